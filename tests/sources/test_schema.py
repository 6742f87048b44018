"""The files of a job have one schema: wrappings may differ, names and values' types may not."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.core.errors import SourceError
from pipeline.sources import agreed_schema
from pipeline.sources.schema import checked_columns, common_type, conformed


def agree(*schemas: pa.Schema) -> pa.Schema:
    return agreed_schema((Path(f"{number}.parquet"), schema) for number, schema in enumerate(schemas))


def dictionary(index: pa.DataType) -> pa.DataType:
    return pa.dictionary(index, pa.string())


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        pytest.param(pa.int64(), pa.int64(), pa.int64(), id="equal"),
        pytest.param(pa.string(), pa.large_string(), pa.string(), id="texts: the first's"),
        pytest.param(pa.large_binary(), pa.binary_view(), pa.large_binary(), id="bytes: the first's"),
        pytest.param(pa.null(), pa.int64(), pa.int64(), id="no value yet"),
        pytest.param(pa.int64(), pa.null(), pa.int64(), id="no value here"),
        pytest.param(dictionary(pa.int8()), dictionary(pa.int16()), dictionary(pa.int16()), id="more categories"),
        pytest.param(pa.list_(pa.null()), pa.list_(pa.int8()), pa.list_(pa.int8()), id="only empty lists"),
        pytest.param(
            pa.struct([("a", pa.null())]), pa.struct([("a", pa.string())]), pa.struct([("a", pa.string())]), id="only null fields"
        ),
        pytest.param(pa.int64(), pa.int32(), None, id="widths"),
        pytest.param(pa.int64(), pa.float64(), None, id="number and decimal"),
        pytest.param(pa.string(), pa.int64(), None, id="text and number"),
        pytest.param(pa.string(), dictionary(pa.int8()), None, id="text and categories"),
        pytest.param(pa.timestamp("us"), pa.timestamp("us", "UTC"), None, id="time zones"),
        pytest.param(pa.struct([("a", pa.int8())]), pa.struct([("b", pa.int8())]), None, id="other fields"),
    ],
)
def test_types_agree_where_no_value_has_to_be_converted(first, second, wanted):
    assert common_type(first, second) == wanted


def test_the_order_is_the_first_files():
    first, second = pa.schema([("a", pa.int8()), ("b", pa.int8())]), pa.schema([("b", pa.int8()), ("a", pa.int8())])
    assert agree(first, second).names == ["a", "b"]


def test_a_column_may_be_null_if_it_may_in_any_file():
    never, perhaps = pa.schema([pa.field("a", pa.int8(), nullable=False)]), pa.schema([("a", pa.int8())])
    assert not agree(never, never).field("a").nullable
    assert agree(never, perhaps).field("a").nullable


def test_no_files_have_no_columns():
    assert agree().names == []


@pytest.mark.parametrize(
    ("schemas", "words"),
    [
        pytest.param(
            [[("a", pa.int8())], [("a", pa.string())]], ["1.parquet", "column 'a' is string", "int8 in 0.parquet"], id="type"
        ),
        pytest.param([[("a", pa.int8())], [("b", pa.int8())]], ["1.parquet", "no column 'a'"], id="missing"),
        pytest.param([[("a", pa.int8())], [("a", pa.int8()), ("b", pa.int8())]], ["1.parquet", "a column 'b'"], id="extra"),
        pytest.param([[("a", pa.int8()), ("a", pa.int8())]], ["0.parquet", "name 'a' stands there twice"], id="duplicate"),
    ],
)
def test_files_that_disagree_are_named_with_their_column(schemas, words):
    with pytest.raises(SourceError) as caught:
        agree(*map(pa.schema, schemas))
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("array", "type_"),
    [
        (pa.array(["a"], pa.large_string()), pa.string()),
        (pa.nulls(1), pa.int64()),
        (pa.array(["a", None]).dictionary_encode().cast(dictionary(pa.int32())), dictionary(pa.int64())),
        (pa.array([[]], pa.list_(pa.null())), pa.list_(pa.int8())),
        (pa.array([{"a": None}], pa.struct([("a", pa.null())])), pa.struct([("a", pa.string())])),
    ],
    ids=lambda each: str(each)[:20],
)
def test_a_batch_is_conformed_to_what_was_agreed(array, type_):
    batch = pa.RecordBatch.from_arrays([pa.array([1] * len(array)), array], ["other", "c"])
    made = conformed(batch, pa.schema([("c", type_)]), Path("a.parquet"))
    assert made.schema == pa.schema([("c", type_)])
    assert made.column(0).to_pylist() == array.to_pylist()


def test_a_batch_that_does_not_fit_names_its_file():
    batch = pa.RecordBatch.from_arrays([pa.array(["x"])], ["c"])
    with pytest.raises(SourceError, match=r"a\.parquet"):
        conformed(batch, pa.schema([("c", pa.int64())]), Path("a.parquet"))


def test_a_column_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(SourceError, match="no column 'titel'; did you mean 'title'"):
        checked_columns(["titel"], pa.schema([("title", pa.string())]))
