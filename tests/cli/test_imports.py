"""What a verb imports before it does anything: time and memory that every call pays for."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

HEAVY = ("pyarrow", "numpy", "pandas", "aiohttp", "jinja2", "pydantic")

# Runs the command, then says on stderr which of some modules are there.
LOADED = """
import sys
from pipeline.cli import main
names, sys.argv = sys.argv[1].split(","), ["rowcall", *sys.argv[2:]]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
print("loaded:", *(each for each in names if sys.modules.get(each)), file=sys.stderr)
"""


def loaded(names: tuple[str, ...], *args: str) -> list[str]:
    """Run `rowcall` with `args` in a process of its own; give those of these modules that it imported."""
    command = (sys.executable, "-c", LOADED, ",".join(names), *args)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr.rpartition("loaded:")[2].split()


@pytest.mark.parametrize("args", [("--help",), ("--version",)], ids=" ".join)
def test_help_needs_no_heavy_module(args: tuple[str, ...]) -> None:
    assert loaded(HEAVY, *args) == []


@pytest.mark.parametrize("verb", ["run", "check", "status", "export", "init", "report"])
def test_help_on_a_verb_needs_no_arrow_and_no_http_client(verb: str) -> None:
    assert loaded(("pyarrow", "numpy", "pandas", "aiohttp", "jinja2", "click"), verb, "--help") == ["click"]


def test_nanoseconds_still_come_as_what_has_them(tmp_path: Path) -> None:
    moments = pa.array([123_456_789], pa.timestamp("ns"))
    pq.write_table(pa.table({"at": moments}), tmp_path / "rows.parquet")
    args = ("run", "-q", "-i", str(tmp_path / "rows.parquet"), "-p", "{{ at }} {{ at.nanosecond }}", "--provider", "simulated")
    assert loaded(("pandas",), *args, "-o", str(tmp_path / "out.parquet")) == ["pandas"]


def test_a_run_over_parquet_imports_only_what_it_uses(tmp_path: Path) -> None:
    rows = 3000
    pq.write_table(pa.table({"text": [f"row {row} {'words ' * 20}" for row in range(rows)]}), tmp_path / "rows.parquet")
    args = ("run", "-q", "-i", str(tmp_path / "rows.parquet"), "-p", "{{ text }}", "--provider", "simulated")
    args += ("--limit", "2500", "-o", str(tmp_path / "out.parquet"))
    unused = ("numpy", "pandas", "pyarrow.compute", "pyarrow.dataset", "PIL", "matplotlib", "multiprocessing")
    assert loaded((*unused, "aiohttp"), *args) == ["aiohttp"]  # the last one shows that the list is not blind
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 2500
