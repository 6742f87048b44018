"""Every input type goes through a run and comes out unchanged, beside its own answers."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.types import RESULT_COLUMNS
from pipeline.jobs.job import Job
from pipeline.jobs.run import run_job
from tests.whole.harness import digest_of, mistakes_in, picture

pytestmark = pytest.mark.network

ROWS = 23  # divides by neither the parts' nor the row groups' size
DIGESTS = [digest_of(row) for row in range(ROWS)]


def cycled(*values: Any) -> list[Any]:
    return [values[row % len(values)] for row in range(ROWS)]


def day(micros: int) -> datetime:
    return datetime(2024, 2, 29, 12, 30, 1, micros)


COLUMNS = {
    "integers": pa.array(cycled(0, -(2**63), 2**63 - 1, None), pa.int64()),
    "small": pa.array(cycled(-128, 127, None), pa.int8()),
    "unsigned": pa.array(cycled(2**64 - 1, 0), pa.uint64()),
    "floats": pa.array(cycled(0.1, -0.0, float("inf"), 5e-324, None), pa.float64()),
    "halves": pa.array(cycled(0.5, None), pa.float16()),
    "booleans": pa.array(cycled(True, False, None), pa.bool_()),
    "strings": pa.array(cycled("", "NA", "a\x00b", "two\nlines", "☃ \U0001f600", None), pa.string()),
    "large_strings": pa.array(cycled("x" * 5000, "", None), pa.large_string()),
    "string_views": pa.array(cycled("short", "longer than twelve bytes", None), pa.string_view()),
    "bytes": pa.array(cycled(b"", b"\x00\xff", None), pa.binary()),
    "large_bytes": pa.array(cycled(b"\x89PNG", None), pa.large_binary()),
    "fixed_bytes": pa.array(cycled(b"0123", None), pa.binary(4)),
    "decimals": pa.array(cycled(Decimal("1234567890123456789.01"), Decimal("-0.05"), None), pa.decimal128(38, 2)),
    "wide_decimals": pa.array(cycled(Decimal(10**60), None), pa.decimal256(70, 0)),
    "dates": pa.array(cycled(date(1, 1, 1), date(9999, 12, 31), None), pa.date32()),
    "times": pa.array(cycled(time(23, 59, 59, 999999), None), pa.time64("us")),
    "durations": pa.array(cycled(timedelta(days=-1, microseconds=5), None), pa.duration("us")),
    "moments": pa.array(cycled(day(5), None), pa.timestamp("us")),
    "zoned": pa.array(cycled(day(7).replace(tzinfo=UTC), None), pa.timestamp("us", tz="Europe/Prague")),
    "nanoseconds": pa.array(cycled(1_709_209_801_123_456_789, 1, None), pa.int64()).cast(pa.timestamp("ns")),
    "zoned_nanoseconds": pa.array(cycled(1_709_209_801_123_456_789, None), pa.int64()).cast(pa.timestamp("ns", tz="UTC")),
    "dictionary": pa.array(cycled("cat", "dog", None)).dictionary_encode(),
    "structs": pa.array(cycled({"a": 1, "b": {"c": ["x", None]}}, {"a": None, "b": None}, None)),
    "lists": pa.array(cycled([1, None, 3], [], None), pa.list_(pa.int32())),
    "large_lists": pa.array(cycled([[1.5], []], None), pa.large_list(pa.list_(pa.float32()))),
    "fixed_lists": pa.array(cycled([1, 2], [3, None]), pa.list_(pa.int16(), 2)),
    "maps": pa.array(cycled([("k", 1), ("l", None)], [], None), pa.map_(pa.string(), pa.int64())),
    "nulls": pa.nulls(ROWS),
}


def run(
    folder: Path, path: str | list[str], *, output: str = "out.parquet", columns: list[str] | None = None, **sections: Any
) -> pa.Table:
    """Run a job over `path` with small parts, prove each answer to be its row's, and give the output."""
    job = Job.of(
        {
            "input": {"path": path},
            "prompt": {"user": "{{ digest }} digest:{{ digest }}"},
            "endpoint": {"provider": "simulated"},
            "output": {"path": str(folder / output), "columns": columns},
            "checkpoint": {"part_rows": 7},
            **sections,
        }
    )
    summary = run_job(job)
    assert (summary.exit_code, summary.ok, summary.rows) == (0, ROWS, ROWS)
    made = folder / output
    assert mistakes_in(made, {"digest": DIGESTS}) == []
    return pq.read_table(made)


def assert_unchanged(made: pa.Table, given: pa.Table) -> None:
    assert made.column_names == [*given.column_names, *RESULT_COLUMNS]
    for name in given.column_names:
        assert made.schema.field(name).type == given.schema.field(name).type, name
        assert made[name].combine_chunks().equals(given[name].combine_chunks()), name


@pytest.mark.parametrize("name", COLUMNS)
def test_a_parquet_column_comes_out_unchanged(name: str, tmp_path: Path) -> None:
    given = tmp_path / "in.parquet"
    pq.write_table(pa.table({"digest": DIGESTS, name: COLUMNS[name]}), given, row_group_size=5)
    assert_unchanged(run(tmp_path, str(given)), pq.read_table(given))


def test_all_of_them_together_from_many_row_groups_of_several_files(tmp_path: Path) -> None:
    whole = pa.table({"digest": DIGESTS, **COLUMNS})
    for number, (start, stop) in enumerate([(0, 9), (9, 9), (9, 23)]):
        pq.write_table(whole.slice(start, stop - start), tmp_path / f"in-{number}.parquet", row_group_size=4)
    given = pa.concat_tables(pq.read_table(path) for path in sorted(tmp_path.glob("in-*.parquet")))
    assert_unchanged(run(tmp_path, str(tmp_path / "in-*.parquet")).unify_dictionaries(), given.unify_dictionaries())


def test_not_a_number_stays_one(tmp_path: Path) -> None:
    nan = pa.array(cycled(float("nan"), 1.0, None), pa.float64())
    pq.write_table(pa.table({"digest": DIGESTS, "nan": nan}), tmp_path / "in.parquet")
    made = run(tmp_path, str(tmp_path / "in.parquet"))
    assert repr(made["nan"].to_pylist()) == repr(nan.to_pylist())


def test_a_directory_output_holds_the_same_rows(tmp_path: Path) -> None:
    given = tmp_path / "in.parquet"
    pq.write_table(pa.table({"digest": DIGESTS, "structs": COLUMNS["structs"]}), given)
    assert_unchanged(run(tmp_path, str(given), output="made"), pq.read_table(given))
    assert sorted(each.name for each in (tmp_path / "made").iterdir()) == [
        "_manifest.json",
        *(f"part-{number:06d}.parquet" for number in range(4)),
    ]


def test_pictures_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    given = pa.table({"digest": DIGESTS, "photo": [picture(row, 3000) for row in range(ROWS)]})
    pq.write_table(given, tmp_path / "in.parquet")
    prompt = {"user": "echo image digest:{{ digest }}", "images": "photo"}
    assert_unchanged(run(tmp_path, str(tmp_path / "in.parquet"), prompt=prompt), given.select(["digest"]))
    made = run(tmp_path, str(tmp_path / "in.parquet"), prompt=prompt, output="with.parquet", columns=["digest", "photo"])
    assert_unchanged(made, given)


CELLS = cycled("007", "NA", "true", "", 'a "quoted", cell', "two\nlines", "tab\there", " spaces ", "1e5", "null", "žluť ☃")


def write_delimited(path: Path, delimiter: str = ",", cells: list[str] = CELLS, encoding: str = "utf-8") -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(("digest", "cell"))
    writer.writerows(zip(DIGESTS, cells, strict=True))
    content = text.getvalue().encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_json_lines(path: Path) -> None:
    lines = "".join(json.dumps({"digest": digest, "cell": cell}) + "\n" for digest, cell in zip(DIGESTS, CELLS, strict=True))
    path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())


TEXTS: dict[str, Callable[[Path], None]] = {
    "in.csv": write_delimited,
    "in.csv.gz": write_delimited,
    "in.tsv": lambda path: write_delimited(path, "\t"),
    "in.tsv.gz": lambda path: write_delimited(path, "\t"),
    "in.jsonl": write_json_lines,
    "in.jsonl.gz": write_json_lines,
}


@pytest.mark.parametrize("name", TEXTS)
def test_cells_of_a_text_file_stay_the_strings_they_are(name: str, tmp_path: Path) -> None:
    TEXTS[name](tmp_path / name)
    assert_unchanged(run(tmp_path, str(tmp_path / name)), pa.table({"digest": DIGESTS, "cell": CELLS}))


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8-sig", ","), ("utf-16", ";"), ("cp1250", "|")], ids=["bom", "utf-16", "cp1250"]
)
def test_other_encodings_and_delimiters(encoding: str, delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    cells = [cell.replace("☃", "ř") for cell in CELLS]
    write_delimited(path, delimiter, cells, encoding)
    options = {"encoding": "utf-8" if encoding == "utf-8-sig" else encoding, "delimiter": delimiter}
    made = run(tmp_path, str(path), input={"path": str(path), "csv": options})
    assert_unchanged(made, pa.table({"digest": DIGESTS, "cell": cells}))


def test_types_asked_for_are_given(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(
        "digest,n,x,b,d\n" + "".join(f"{digest},{row},{row}.5,true,2024-02-29\n" for row, digest in enumerate(DIGESTS))
    )
    made = run(
        tmp_path,
        str(path),
        input={"path": str(path), "csv": {"types": {"n": "int64", "x": "float64", "b": "bool", "d": "date"}}},
    )
    assert made["n"].to_pylist() == list(range(ROWS))
    assert made["x"].to_pylist() == [row + 0.5 for row in range(ROWS)]
    assert (set(made["b"].to_pylist()), set(made["d"].to_pylist())) == ({True}, {date(2024, 2, 29)})


def test_json_lines_keep_nested_values_and_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    values = cycled({"a": [1, 2], "b": {"c": "x"}}, {"a": [], "b": None}, None)
    rows = [{"digest": digest, **({"value": value} if value else {})} for digest, value in zip(DIGESTS, values, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(tmp_path, str(path))["value"].to_pylist() == values


def test_files_of_several_formats_are_one_job(tmp_path: Path) -> None:
    table = pa.table({"digest": DIGESTS, "cell": CELLS})
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("digest", "cell"), *zip(DIGESTS[:8], CELLS[:8], strict=True)])
    (tmp_path / "b.jsonl").write_text(
        "".join(
            json.dumps({"digest": digest, "cell": cell}) + "\n" for digest, cell in zip(DIGESTS[8:15], CELLS[8:15], strict=True)
        )
    )
    pq.write_table(table.slice(15), tmp_path / "c.parquet")
    assert_unchanged(run(tmp_path, [str(tmp_path / name) for name in ("a.csv", "b.jsonl", "c.parquet")]), table)
