"""CSV and TSV: cells stay the strings they are, and a mistake is named by its line."""

import csv
import gzip
import io
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.core.errors import SourceError
from pipeline.sources import CsvOptions
from pipeline.sources.delimited import CHUNK_CHARS, CHUNK_ROWS, CsvFile

PLAIN = CsvOptions()


def table(path: Path, content: bytes | str, options: CsvOptions = PLAIN) -> pa.Table:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    file = CsvFile(path, options)
    return pa.Table.from_batches(file.batches(), file.schema)


def rows(path: Path, content: bytes | str, options: CsvOptions = PLAIN) -> list[tuple[object, ...]]:
    read = table(path, content, options)
    return list(zip(*(column.to_pylist() for column in read.columns), strict=True))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param("a,b\n007,NA\ntrue,null\n1e5,-\n", [("007", "NA"), ("true", "null"), ("1e5", "-")], id="not guessed"),
        pytest.param('a,b\n,""\n', [("", "")], id="empty is the empty string, quoted or not"),
        pytest.param('a,b\n"x\ny","1,2"\n"he said ""no""",z\n', [("x\ny", "1,2"), ('he said "no"', "z")], id="quotes"),
        pytest.param('a,b\r\n"x\r\ny",2\r\n', [("x\r\ny", "2")], id="Windows line ends, kept inside quotes"),
        pytest.param("a,b\r1,2\r", [("1", "2")], id="old Mac line ends"),
        pytest.param("a,b\n1,2", [("1", "2")], id="no last line end"),
        pytest.param("\n\na,b\n\n1,2\n\n\n", [("1", "2")], id="blank lines"),
        pytest.param('a\n""\nx\n', [("",), ("x",)], id="an empty cell alone on its line is quoted"),
        pytest.param("a,b\n 1 , 2 \n", [(" 1 ", " 2 ")], id="spaces are part of the cell"),
        pytest.param('a,b\n5" pipe,x"y\n', [('5" pipe', 'x"y')], id="quotes inside an unquoted cell"),
        pytest.param("a,b\nx\u2028y,\u0085\x0c\n", [("x\u2028y", "\u0085\x0c")], id="other line ends of Unicode are text"),
        pytest.param("a,b\nx\0y,z\n", [("x\0y", "z")], id="NUL"),
        pytest.param("a,b\n", [], id="header only"),
        pytest.param("a,b", [], id="header only, no line end"),
        pytest.param("\ufeffa,b\n1,2\n", [("1", "2")], id="byte order mark"),
    ],
)
def test_cells_are_the_strings_in_the_file(tmp_path, content, wanted):
    assert rows(tmp_path / "a.csv", content) == wanted


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    assert table(tmp_path / "a.csv", "\ufeffid,b\n").schema.names == ["id", "b"]


def test_columns_without_a_name_are_called_as_pandas_calls_them(tmp_path):
    assert table(tmp_path / "a.csv", ",b,\n0,1,2\n").schema.names == ["Unnamed: 0", "b", "Unnamed: 2"]


@pytest.mark.parametrize(
    ("name", "options", "content"),
    [
        pytest.param("a.tsv", CsvOptions(), b"a\tb\n1,1\t\xc3\xa9\n", id="tsv"),
        pytest.param("a.TSV.gz", CsvOptions(), gzip.compress(b"a\tb\n1,1\t\xc3\xa9\n"), id="tsv.gz"),
        pytest.param("a.csv", CsvOptions(";"), b"a;b\n1,1;\xc3\xa9\n", id="semicolon"),
        pytest.param("a.csv", CsvOptions(";", "latin-1"), b"a;b\n1,1;\xe9\n", id="latin-1"),
        pytest.param("a.csv", CsvOptions(";", "utf-16"), "a;b\n1,1;é\n".encode("utf-16"), id="utf-16"),
        pytest.param("a.csv", CsvOptions(";", "utf-16-le"), "\ufeffa;b\n1,1;é\n".encode("utf-16-le"), id="utf-16-le with a mark"),
        pytest.param(
            "a.csv.gz", CsvOptions(";"), gzip.compress(b"a;b\n") + gzip.compress(b"1,1;\xc3\xa9\n"), id="two gzip members"
        ),
    ],
)
def test_delimiter_encoding_and_gzip(tmp_path, name, options, content):
    read = table(tmp_path / name, content, options)
    assert read.to_pylist() == [{"a": "1,1", "b": "é"}]


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(st.text(max_size=8), min_size=width, max_size=width), min_size=1, max_size=20)
    )
)
@example([["\r\n", '"', ",\n"]])
def test_whatever_a_csv_writer_wrote_comes_back(tmp_path_factory, cells):
    cells = [[each.encode("utf-8", "replace").decode() for each in row] for row in cells]
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow([f"column {number}" for number in range(len(cells[0]))])
    writer.writerows(cells)
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    assert rows(path, out.getvalue()) == [tuple(row) for row in cells]


def test_rows_with_line_ends_are_counted_right_over_many_chunks(tmp_path):
    count = 3 * CHUNK_ROWS + 1
    content = "id,text\n" + "".join(f'{number},"a\nb, ""c"" {number}"\n' for number in range(count))
    read = table(tmp_path / "a.csv", content)
    assert read["id"].to_pylist() == [str(number) for number in range(count)]
    assert read["text"][count - 1].as_py() == f'a\nb, "c" {count - 1}'


def test_many_narrow_columns_are_read_in_few_rows_at_a_time(tmp_path):
    columns = 2000
    path = tmp_path / "wide.csv"
    path.write_text("".join(",".join(f"{row}{column}" for column in range(columns)) + "\n" for row in range(200)))
    sizes = [batch.num_rows for batch in CsvFile(path, CsvOptions()).batches()]
    assert sum(sizes) == 199
    assert max(sizes) * columns * 50 <= 2 * CHUNK_CHARS  # as Python's objects they take ten times their letters


def test_a_cell_may_be_megabytes_long(tmp_path):
    assert rows(tmp_path / "a.csv", "a\n" + "x" * 3_000_000 + "\n") == [("x" * 3_000_000,)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", ["no header", "empty"], id="zero bytes"),
        pytest.param("\n\n", ["no header"], id="blank lines only"),
        pytest.param("a,b\n1,2\n3\n", ["line 3", "1 cells", "header has 2"], id="too few cells"),
        pytest.param("a,b\n1,2,3\n", ["line 2", "3 cells"], id="too many cells"),
        pytest.param('a,b\n"x\ny",2\n\n3\n', ["line 5", "1 cells"], id="ragged after a quoted line end and a blank line"),
        pytest.param('a,b\n1,2\n3,"open\n4,5\n6,7\n', ["line 3", "never closed"], id="a quote that is never closed"),
        pytest.param('a,b\n"x"y,2\n', ["line 2", "closing quote"], id="text behind a quote"),
        pytest.param("a,b,a\n", ["line 1", "name 'a' stands there twice"], id="duplicate columns"),
        pytest.param("i\0d\0,\0t\0\n\0", ["line 1", "UTF-16"], id="UTF-16 without a mark"),
        pytest.param("a,b\nx,é\n".encode("utf-16"), ["line 1", "input.csv.encoding", "utf-16"], id="UTF-16"),
        pytest.param(b"a,b\n1,2\nx,\xe9\n", ["line 3", "0xE9", "not utf-8", "input.csv.encoding"], id="latin-1"),
        pytest.param(b'a,b\r\n"1\r\n\r\n2",2\r\nx,\xe9\r\n', ["line 5", "0xE9"], id="latin-1 on Windows"),
        pytest.param(b"a\n" + b"x\n" * 100_000 + b"\xff", ["line 100002"], id="a bad byte far down"),
        pytest.param(b"a\n1\n\xe2\x82", ["line 3"], id="a character cut off at the end"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, content, words):
    with pytest.raises(SourceError) as caught:
        rows(tmp_path / "in.csv", content)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in ["in.csv", *words]), message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(CsvOptions(encoding="rot13"), "input.csv.encoding", id="no text encoding"),
        pytest.param(CsvOptions(encoding="nonsense"), "input.csv.encoding", id="unknown encoding"),
        pytest.param(CsvOptions(delimiter='"'), "input.csv.delimiter", id="quote as delimiter"),
        pytest.param(CsvOptions(delimiter="||"), "input.csv.delimiter", id="long delimiter"),
        pytest.param(CsvOptions(types={"idd": "int64"}), "did you mean 'id'", id="typed column that is not there"),
        pytest.param(CsvOptions(types={"id": "integer"}), "allowed: string, int64", id="unknown type"),
    ],
)
def test_options_that_do_not_fit_are_named(tmp_path, options, words):
    with pytest.raises(SourceError, match=words):
        rows(tmp_path / "a.csv", "id\n1\n", options)


@pytest.mark.parametrize("cut", [5, 20, -1, -6])
def test_a_gzip_that_is_cut_off_is_an_error(tmp_path, cut):
    content = gzip.compress(b"id\n" + b"".join(b"%d\n" % number for number in range(5000)))
    with pytest.raises(SourceError, match=r"a\.csv\.gz: (cut off|broken)"):
        rows(tmp_path / "a.csv.gz", content[:cut])


@pytest.mark.parametrize("content", [b"id\n1\n", gzip.compress(b"id\n1\n")[:10] + b"\xff" * 50], ids=["no head", "no body"])
def test_what_is_no_gzip_is_an_error(tmp_path, content):
    with pytest.raises(SourceError, match=r"a\.csv\.gz: broken after line 0: not valid gzip"):
        rows(tmp_path / "a.csv.gz", content)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("string", " 007 ", " 007 "),
        ("string", "", ""),
        ("int64", "007", 7),
        ("int64", "-9223372036854775808", -(2**63)),
        ("int64", " +5 ", 5),
        ("int64", "", None),
        ("float64", "1e-3", 0.001),
        ("float64", ".5", 0.5),
        ("float64", "-inf", float("-inf")),
        ("bool", "TRUE", True),
        ("bool", "0", False),
        ("bool", " ", None),
        ("date", "2024-02-29", date(2024, 2, 29)),
        ("timestamp", "2024-01-31 06:00:00.25", datetime(2024, 1, 31, 6, 0, 0, 250_000)),
        ("timestamp", "2024-01-31", datetime(2024, 1, 31)),
    ],
)
def test_a_type_asked_for_is_read(tmp_path, kind, cell, value):
    assert rows(tmp_path / "a.csv", f'a,b\n"{cell}",\n', CsvOptions(types={"a": kind})) == [(value, "")]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("int64", "1.0"),
        ("int64", "1_000"),
        ("int64", "0x1F"),
        ("int64", "٣"),
        ("int64", str(2**63)),
        ("int64", "9" * 5000),
        ("float64", "1,5"),
        ("float64", "1_0.5"),
        ("float64", "NaNs"),
        ("bool", "yes"),
        ("date", "20240131"),
        ("date", "2024-02-30"),
        ("timestamp", "2024-01-31T06:00:00Z"),
        ("timestamp", "2024-01-31T06:00:00+02:00"),
        ("timestamp", "2024-W05-1"),
        ("timestamp", "2024-01-31 06:00:00.1234567"),
        ("float64", "1e999"),
    ],
)
def test_a_cell_that_is_not_of_the_type_asked_for_is_named_and_its_neighbours_are_not_quoted(tmp_path, kind, cell):
    content = f'b,price\n"x\ny",\n"secret cell","{cell}"\n'
    with pytest.raises(SourceError) as caught:
        rows(tmp_path / "a.csv", content, CsvOptions(types={"price": kind}))
    message = str(caught.value)
    assert f"line 4: column 'price' should be {kind}" in message
    assert "secret" not in message
