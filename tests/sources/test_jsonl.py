"""JSONL: one object a line, one type a column whichever row comes first, and mistakes named by line and column."""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import SourceError
from pipeline.sources.delimited import CHUNK_ROWS
from pipeline.sources.jsonl import JsonlFile
from pipeline.sources.shapes import MOST_DEPTH, MOST_FIELDS


def read(path: Path, content: bytes | str | list[object]) -> pa.Table:
    if isinstance(content, list):
        content = "".join(json.dumps(each) + "\n" for each in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    file = JsonlFile(path)
    return pa.Table.from_batches(file.batches(), file.schema)


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["a", None], pa.string()),
        ([True, False], pa.bool_()),
        ([1, -1], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([2.5, 1], pa.float64()),
        ([2**64 - 1, 1], pa.uint64()),
        ([None, None], pa.string()),
        ([[1], [], [2.5]], pa.list_(pa.float64())),
        ([[], None], pa.list_(pa.null())),
        ([{"x": 1}, {"y": ["a"]}], pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))])),
        ([[{"role": "user", "content": "hi"}]], pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
    ],
    ids=str,
)
def test_a_column_has_the_type_that_fits_all_its_values(tmp_path, values, type_):
    assert read(tmp_path / "a.jsonl", [{"c": value} for value in values]).schema.field("c").type == type_


@given(st.randoms(use_true_random=False))
def test_the_types_do_not_depend_on_which_rows_come_first(tmp_path_factory, rand: random.Random):
    rows = [{"a": 1}, {"a": 2.5}, {"a": None, "b": [1]}, {"b": []}, {"b": [0.5], "c": {"x": 1}}, {"c": {"y": "t"}}, {"c": None}]
    rand.shuffle(rows)
    found = read(tmp_path_factory.mktemp("jsonl") / "a.jsonl", rows)
    assert found.schema.field("a").type == pa.float64()
    assert found.schema.field("b").type == pa.list_(pa.float64())
    assert {each.name: each.type for each in found.schema.field("c").type} == {"x": pa.int64(), "y": pa.string()}
    assert found.num_rows == len(rows)


def test_a_missing_key_is_null_and_columns_come_in_the_order_first_seen(tmp_path):
    found = read(tmp_path / "a.jsonl", [{"b": 1}, {"a": "x", "b": None}, {}])
    assert found.to_pylist() == [{"b": 1, "a": None}, {"b": None, "a": "x"}, {"b": None, "a": None}]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, min_size=1, max_size=3),
    max_leaves=5,
)


@given(value=json_values)
def test_one_value_comes_back_as_it_was(tmp_path_factory, value):
    found = read(tmp_path_factory.mktemp("jsonl") / "a.jsonl", [{"c": value}])
    assert found["c"].to_pylist() == [value]


def test_values_come_back_over_many_chunks(tmp_path):
    rows = [{"id": number, "text": f"line\n{number}"} for number in range(2 * CHUNK_ROWS + 3)]
    assert read(tmp_path / "a.jsonl", rows).to_pylist() == rows


def test_an_object_that_never_has_a_key_is_null_for_no_column_can_hold_it(tmp_path):
    rows = [{"m": {}, "n": {"i": {}, "k": 1}, "l": [{}]}]
    assert read(tmp_path / "a.jsonl", rows).to_pylist() == [{"m": None, "n": {"i": None, "k": 1}, "l": [None]}]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'\xef\xbb\xbf{"a": "\xc3\xa9"}\r\n\r\n  \n', id="mark, Windows ends, blank lines"),
        pytest.param('{"a": "é"}', id="no last line end"),
        pytest.param(b'{"a": "\\u00e9"}\n', id="escaped"),
    ],
)
def test_plain_variants_are_read(tmp_path, content):
    assert read(tmp_path / "a.jsonl", content).to_pylist() == [{"a": "é"}]


def test_gzip_is_read(tmp_path):
    assert read(tmp_path / "a.jsonl.gz", gzip.compress(b'{"a": 1}\n')).to_pylist() == [{"a": 1}]


def test_only_the_first_rows_are_read_if_asked(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2}\n{"a": "x"}\nbroken\n')
    file = JsonlFile(tmp_path / "a.jsonl", rows=2)
    assert [batch.num_rows for batch in file.batches()] == [2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", ["zero bytes"], id="zero bytes"),
        pytest.param("\n \n", ["no rows", "no columns"], id="blank lines only"),
        pytest.param('{"a": 1}\n{"a": \n', ["line 2", "not valid JSON"], id="broken"),
        pytest.param('[\n{"a": 1}\n]\n', ["line 1", "not valid JSON"], id="a list over several lines"),
        pytest.param('[{"a": 1}]\n', ["line 1", "a JSON list", "one object"], id="a list"),
        pytest.param("\n{}\n{}\n", ["no rows", "no columns"], id="objects without keys"),
        pytest.param("\n3\n", ["line 2", "a JSON number"], id="a number"),
        pytest.param('{"a": 1, "a": 2}\n', ["line 1", "the key 'a' stands twice"], id="key twice"),
        pytest.param('{"a": 1}\n\n{"a": "x"}\n', ["line 3", "column 'a'", "text here", "number on line 1"], id="types"),
        pytest.param('{"a": true}\n{"a": 1}\n', ["line 2", "column 'a'", "true or false on line 1"], id="bool and number"),
        pytest.param('{"a": {"b": [1]}}\n{"a": {"b": ["x"]}}\n', ["line 2", "column 'a.b[]'"], id="nested types"),
        pytest.param('{"a": [1]}\n{"a": 1}\n', ["line 2", "list on line 1"], id="list and number"),
        pytest.param('{"a": 1}\n{"a": 18446744073709551616}\n', ["line 2", "column 'a'", "64 bits"], id="too large"),
        pytest.param('{"a": -1}\n{"a": 18446744073709551615}\n', ["line 2", "64 bits"], id="no sign for all"),
        pytest.param('{"a": 0.5}\n{"a": 9007199254740993}\n', ["line 2", "2**53"], id="would be rounded"),
        pytest.param('{"a": 9007199254740993}\n{"a": 0.5}\n', ["line 2", "2**53"], id="would be rounded, other order"),
        pytest.param('{"a": ' + "9" * 5000 + "}\n", ["line 1"], id="5,000 digits"),
        pytest.param('{"a": "x"}\n{"a": "\\ud800"}\n', ["line 2", "column 'a'", "surrogate"], id="half a character"),
        pytest.param('{"a": {"b": "\\ud800"}}\n', ["line 1", "column 'a'", "surrogate"], id="half a character, nested"),
        pytest.param('{"\\ud800": 1}\n', ["line 1", "name"], id="half a character as name"),
        pytest.param(b'{"a": 1}\n{"a": "\xe9"}\n', ["line 2", "0xE9", "UTF-8"], id="latin-1"),
        pytest.param('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}\n", ["line 1"], id="nesting bomb"),
        pytest.param('{"a": ' + "[" * 60 + "]" * 60 + "}\n", ["line 1", f"deeper than {MOST_DEPTH}"], id="nested too deep"),
        pytest.param(
            "".join(f'{{"m": {{"k{number}": 1}}}}\n' for number in range(MOST_FIELDS + 1)),
            [f"line {MOST_FIELDS + 1}", "column 'm'", "different keys"],
            id="keys without end",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, content, words):
    with pytest.raises(SourceError) as caught:
        read(tmp_path / "in.jsonl", content)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in ["in.jsonl", *words]), message
