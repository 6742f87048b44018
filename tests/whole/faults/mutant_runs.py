"""A process that runs mutants one after another in itself, and tells what was wrong with how each ended.

    python -m tests.whole.faults.mutant_runs    # reads a JSON line a mutant, answers with one

Apart from its parent, which outlives what a hang, a crash of a C library or a full memory does to this one.
"""

import csv
import gzip
import io
import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.cli import main
from tests.whole.faults import mutants

# Address space, of which the allocators reserve far more than they use.
_MOST_BYTES = 12 << 30
# What a terminal obeys, or what turns text round. A bar or a line end is rowcall's own.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_KEYS = re.compile(r"\b(?:input|prompt|images|endpoint|request|limits|retry|stop|pricing|output|checkpoint)\b|--\w+|column")


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, resource.RLIM_INFINITY))
    for line in sys.stdin:
        task = json.loads(line)
        os.chdir(task["folder"])
        mutant = mutants.make(task["number"], Path())
        if task["sabotage"]:
            _sabotage(task["sabotage"])
        print(json.dumps(_tried(mutant)), file=answers, flush=True)


def _tried(mutant: mutants.Mutant) -> dict[str, object]:
    started = time.monotonic()
    checked, *said = _command("check", mutant)
    wrong = [f"check: {each}" for each in _mistakes(mutant, checked, *said) if checked not in (1, 3, 5)]
    if checked not in (0, 2):
        wrong.append(f"check: exit {checked}")
    code, out, err = _command("run", mutant)
    wrong += _mistakes(mutant, code, out, err)
    if checked == 2 and code != 2:
        wrong.append(f"check refuses and run ends with {code}")
    if Path("pwned").exists():
        wrong.append("the config ran a command")
    return {"done": mutant.done, "code": code, "seconds": time.monotonic() - started, "wrong": wrong, "err": err[-600:]}


def _command(verb: str, mutant: mutants.Mutant) -> tuple[int, str, str]:
    sys.argv = ["rowcall", verb, *mutant.arguments]
    code: object = 0
    with _streams_in("out.txt", "err.txt"):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    assert isinstance(code, int)
    return code, *(Path(name).read_text(errors="replace") for name in ("out.txt", "err.txt"))  # type: ignore[return-value]


@contextmanager
def _streams_in(out: str, err: str) -> Iterator[None]:
    """Let the process's own streams, also those that C code writes to, end in files."""
    kept = [os.dup(1), os.dup(2)]
    for descriptor, name in ((1, out), (2, err)):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, old in enumerate(kept, 1):
            os.dup2(old, descriptor)
            os.close(old)


def _mistakes(mutant: mutants.Mutant, code: int, out: str, err: str) -> Iterator[str]:
    """Give what a user would complain of."""
    if code not in (0, 1, 2, 5):
        yield f"exit {code}"
    if "Traceback" in err or "this is a bug" in err:
        yield "a traceback"
    for stream, text in (("stdout", out), ("stderr", err)):
        if unfit := _UNFIT.search(text):
            yield f"{stream} holds {unfit.group()!r}"
    if stray := [line for line in err.splitlines() if line and not line.startswith("rowcall: ")]:
        yield f"a stray line on stderr: {stray[0][:100]!r}"
    errors = [line for line in err.splitlines() if line.startswith("rowcall: error: ")]
    if code == 2:
        if not errors or (len(errors) > 1 and mutant.kind != "yaml"):
            yield f"{len(errors)} error lines"
        if not all(Path(mutant.name).name in line or _KEYS.search(line) for line in errors):
            yield "the error names neither the file nor a key"
    if code in (0, 1) and sys.argv[1] == "run":
        yield from _lost(mutant)
    if left := [path.name for path in Path().rglob("*.tmp")]:
        yield f"left behind: {left}"


def _lost(mutant: mutants.Mutant) -> Iterator[str]:
    """Compare the output's rows with the input's, as another reader counts them."""
    written = pq.read_table("out.parquet").num_rows
    source = Path(mutant.arguments[1]) if mutant.arguments[0] == "-i" else Path("rows.csv")
    rows = _count(source, "utf-16" if source.name == "wide.csv" else "utf-8")
    if written != rows:
        yield f"{rows} rows in, {written} out"


def _count(path: Path, encoding: str) -> int:
    if path.suffix == ".parquet":
        return pq.read_metadata(path).num_rows
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = io.StringIO(data.decode(encoding).removeprefix("\ufeff"), newline="")
    if ".jsonl" in path.name:
        return sum(bool(line.strip(" \t\r\n")) for line in text.getvalue().split("\n"))
    csv.field_size_limit(1 << 30)
    return sum(bool(row) for row in csv.reader(text, delimiter="\t" if path.suffix == ".tsv" else ",")) - 1


def _sabotage(what: str) -> None:
    """Break rowcall in a way that must be seen."""
    from pipeline.sources import delimited

    def broken(self: delimited.CsvFile) -> Iterator[pa.RecordBatch]:
        for batch in honest(self):
            match what:
                case "hang":
                    time.sleep(600)
                case "bug":
                    raise KeyError("sabotage")
                case "crash":
                    os.abort()
                case "words":
                    print("\x1b[2J", file=sys.stderr)
            yield batch.slice(0, batch.num_rows - 1) if what == "loss" else batch

    honest = delimited.CsvFile.batches
    delimited.CsvFile.batches = broken  # type: ignore[method-assign]


if __name__ == "__main__":
    serve()
