"""CSV and JSONL: cells stay what they are, mistakes are named by line, and the staged copy says the same."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import SourceError
from pipeline.sources import CsvOptions, head, identify, stage, staged_ok

PLAIN = CsvOptions()


def staged(path, options=PLAIN) -> pa.Table:
    target = path.with_name("staged.parquet")
    stage(path, target, options)
    assert staged_ok(target, identify(path), options)
    assert list(path.parent.glob(".*")) == [], "a temporary file was left"
    return pq.read_table(target)


def of(tmp_path, content: bytes, name: str = "in.csv", options=PLAIN) -> pa.Table:
    path = tmp_path / name
    path.write_bytes(content)
    return staged(path, options)


@pytest.mark.parametrize(
    ("content", "name", "options", "wanted"),
    [
        (b"id,x\n007,NA\n,true\n", "in.csv", PLAIN, {"id": ["007", ""], "x": ["NA", "true"]}),
        (b'x\n""\nnull\n', "in.csv", PLAIN, {"x": ["", "null"]}),
        (b'id,x\r\n1,"a\r\nb"\r\n2,"say ""hi"", you"\r\n', "in.csv", PLAIN, {"id": ["1", "2"], "x": ["a\r\nb", 'say "hi", you']}),
        (b"\xef\xbb\xbfid,x\n1,2\n", "in.csv", PLAIN, {"id": ["1"], "x": ["2"]}),
        (b"id\tx\n1\ta,b\n", "in.tsv", PLAIN, {"id": ["1"], "x": ["a,b"]}),
        (b"id;x\n1;2\n", "in.csv", CsvOptions(delimiter=";"), {"id": ["1"], "x": ["2"]}),
        ("x\ncafé\n".encode("latin-1"), "in.csv", CsvOptions(encoding="latin-1"), {"x": ["café"]}),
        ("x\ncafé\n".encode("utf-16"), "in.csv", CsvOptions(encoding="utf-16"), {"x": ["café"]}),
        (gzip.compress(b"x\n1\n"), "in.csv.gz", PLAIN, {"x": ["1"]}),
        (b"x\n1\n\n2\n\n", "in.csv", PLAIN, {"x": ["1", "2"]}),
        (b",x\n0,a\n", "in.csv", PLAIN, {"Unnamed: 0": ["0"], "x": ["a"]}),
        (b"x\n1", "in.csv", PLAIN, {"x": ["1"]}),
        (b"x,y\n" + b"a" * 200_000 + b",b\n", "in.csv", PLAIN, {"x": ["a" * 200_000], "y": ["b"]}),
        (b"x\na\0b\n", "in.csv", PLAIN, {"x": ["a\0b"]}),
    ],
    ids=["strings", "empty and null", "quotes", "BOM", "tsv", "delimiter", "latin-1", "utf-16", "gz", "blank lines", "unnamed",
         "no last newline", "long cell", "NUL"],
)  # fmt: skip
def test_cells_stay_the_strings_they_are(tmp_path, content, name, options, wanted):
    table = of(tmp_path, content, name, options)
    assert table.to_pydict() == wanted
    assert set(table.schema.types) == {pa.string()}


def test_types_are_what_the_user_says_and_an_empty_cell_is_null(tmp_path):
    types = {"i": "int64", "f": "float64", "b": "bool", "d": "date", "t": "timestamp"}
    table = of(tmp_path, b"i,f,b,d,t,s\n007,1e3,TRUE,2026-01-02,2026-01-02T03:04:05,x\n,,,,,\n", options=CsvOptions(types=types))
    first, second = table.to_pylist()
    assert (first["i"], first["f"], first["b"], str(first["d"]), str(first["t"])) == (
        7,
        1000.0,
        True,
        "2026-01-02",
        "2026-01-02 03:04:05",
    )
    assert second == {"i": None, "f": None, "b": None, "d": None, "t": None, "s": ""}


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (b"i\n1\nx\n", CsvOptions(types={"i": "int64"}), ["line 3", "'i'", "'x'", "int64"]),
        (b"i\n99999999999999999999\n", CsvOptions(types={"i": "int64"}), ["line 2", "int64"]),
        (b"i\n1\n", CsvOptions(types={"j": "int64"}), ["'j'", "no column", "i"]),
        (b'a,b\n1,"x\n', PLAIN, ["never closed"]),
        (b'a,b\n1,"x"y\n', PLAIN, ["line 2", "closing quote"]),
        (b"a,b\n1,2\n" + b"1,2\n" * 5000 + b"\xff,2\n", PLAIN, ["line 5003", "utf-8"]),
    ],
)
def test_mistakes_are_named_by_line(tmp_path, content, options, words):
    with pytest.raises(SourceError) as error:
        of(tmp_path, content, options=options)
    for word in ["in.csv", *words]:
        assert word in str(error.value)


@settings(max_examples=60)
@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=2, max_size=2), max_size=20))
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, cells):
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b"], *cells])
    table = of(tmp_path_factory.mktemp("csv"), text.getvalue().encode())
    assert [list(row.values()) for row in table.to_pylist()] == cells


def test_a_copy_is_made_again_when_file_or_options_differ(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("x\n1\n")
    staged(path)
    target = tmp_path / "staged.parquet"
    assert not staged_ok(target, identify(path), CsvOptions(delimiter=";"))
    path.write_text("x\n2\n")
    assert not staged_ok(target, identify(path), PLAIN)
    target.write_bytes(target.read_bytes()[:-10])
    assert not staged_ok(target, identify(path), PLAIN)


def test_json_lines_keep_their_types_and_what_is_missing_is_null(tmp_path):
    lines = [{"a": 1, "b": "x"}, {"a": 2.5, "c": [{"d": 1}]}, {"b": None, "c": [{"e": "y"}]}]
    table = of(tmp_path, "\n".join(map(json.dumps, lines)).encode(), "in.jsonl")
    assert table.column_names == ["a", "b", "c"]
    assert table["a"].to_pylist() == [1.0, 2.5, None]
    assert table["c"].to_pylist() == [None, [{"d": 1, "e": None}], [{"d": None, "e": "y"}]]


def test_a_column_that_appears_late_is_null_before(tmp_path):
    lines = [{"a": number} for number in range(20_000)] + [{"a": 1, "late": "x"}]
    table = of(tmp_path, "\n".join(map(json.dumps, lines)).encode(), "in.jsonl")
    assert table.num_rows == 20_001
    assert table["late"].null_count == 20_000


def test_a_column_of_nulls_is_text(tmp_path):
    assert of(tmp_path, b'{"a": 1, "b": null}\n', "in.jsonl").schema.field("b").type == pa.string()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1}\n{"a": "x"}\n', ["line 2", "'a'"]),
        (b'{"a": [1]}\n' * 9000 + b'{"a": 1}\n', ["line 9001", "'a'"]),
        (b'{"a": 1}\n\n{"a"\n', ["line 3"]),
        (b'{"a": 99999999999999999999}\n', ["line 1", "'a'", "64 bits"]),
        (b"", ["empty"]),
        (b"\n\n", ["no rows"]),
    ],
)
def test_json_lines_that_cannot_be_read_are_named_by_line(tmp_path, content, words):
    with pytest.raises(SourceError) as error:
        of(tmp_path, content, "in.jsonl")
    for word in ["in.jsonl", *words]:
        assert word in str(error.value)


def test_the_head_shows_first_rows_and_counts_without_staging(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("x\n" + "1\n" * 20_000)
    seen = head([path], PLAIN, rows=3)
    assert ([row.cells for row in seen.rows], seen.counted, seen.complete) == ([{"x": "1"}] * 3, 20_000, True)
    cut = head([path], PLAIN, rows=3, most_bytes=1000)
    assert (len(cut.rows), cut.complete) == (3, False)
    assert list(tmp_path.iterdir()) == [path]


def test_a_gzip_whose_damage_shows_first_as_wrong_text_is_one_error(tmp_path):
    good = bytearray(gzip.compress(b"text\n" + "žluť\n".encode() * 40, mtime=0))
    found = 0
    for at in range(10, len(good)):
        path = tmp_path / "in.csv.gz"
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x21]) + good[at + 1 :])
        with pytest.raises(SourceError, match=r"in\.csv\.gz"):
            staged(path)
        found += 1
    assert found > 20
