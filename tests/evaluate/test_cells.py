"""Columns as texts: what can be a reference, a group, a key, and what is an error."""

import pyarrow as pa
import pytest

from pipeline.core.errors import ConfigError
from pipeline.evaluate import cells


def batch(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", None, " ", ""]), [("a",), (), (), ()]),
        (pa.array([["a", "b"], None, [], ["", None, "c"]]), [("a", "b"), (), (), ("c",)]),
        (pa.array([["a"], ["b"]], pa.large_list(pa.large_string())), [("a",), ("b",)]),
        (pa.array([["a", "b"], None, ["c", "d"]], pa.list_(pa.string(), 2)), [("a", "b"), (), ("c", "d")]),
        (pa.array([3, None]), [("3",), ()]),
        (pa.array([0.5]), [("0.5",)]),
        (pa.array([True]), [("true",)]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), [("a",), ("b",), ("a",)]),
        (pa.array([["x"], None, ["y", "z"]])[1:], [(), ("y", "z")]),
        (pa.nulls(2), [(), ()]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_references_are_texts_and_blank_ones_are_none(column: pa.Array, expected: list[tuple[str, ...]]) -> None:
    cells.check_references(batch(r=column).schema, "r")
    assert cells.references_of([column]) == expected


def test_several_columns_give_all_their_references() -> None:
    assert cells.references_of([pa.array(["a", None]), pa.array([["b", "c"], ["d"]])]) == [("a", "b", "c"), ("d",)]


def test_a_dotted_name_is_a_field_unless_a_column_is_called_so() -> None:
    struct = pa.array([{"text": ["x"], "start": [0]}])
    with_field = batch(answers=struct)
    cells.check_references(with_field.schema, "answers.text")
    assert cells.references_of([cells.column_of(with_field, "answers.text")]) == [("x",)]
    with_name = pa.RecordBatch.from_arrays([struct, pa.array(["y"])], names=["answers", "answers.text"])
    assert cells.references_of([cells.column_of(with_name, "answers.text")]) == [("y",)]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing", r"no such column; it has bytes, struct, nested"),
        ("bytes", "the column holds binary, not text"),
        ("struct", r"not text.*name one of its fields: struct\.a"),
        ("nested", "list<item: list<item: string>>"),
        ("struct.b", "no such column"),
        ("bytes.b", "no such column"),
    ],
)
def test_a_column_that_cannot_be_a_reference_is_an_error_that_helps(name: str, says: str) -> None:
    schema = batch(bytes=pa.array([b"x"]), struct=pa.array([{"a": 1}]), nested=pa.array([[["x"]]])).schema
    with pytest.raises(ConfigError, match=f"--reference {name}: .*{says}"):
        cells.check_references(schema, name)
