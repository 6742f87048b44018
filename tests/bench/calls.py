"""Count the functions that a command of rowcall calls, in all its threads: python -m tests.bench.calls run -i ...

Python's own functions and those in C. Unlike seconds, calls are nearly the same on every machine and under every load.
"""

import itertools
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from tests.bench.data import write_texts
from tests.bench.endpoint import Endpoints
from tests.bench.machine import HERE


def calls_a_row(folder: Path, few: int = 1000, many: int = 3000) -> float:
    """Give the calls that one more row costs. Two runs of different length are compared, so that the start does not count."""
    with Endpoints(folder, "", None).at_once() as url:
        return (_calls(folder, url, many) - _calls(folder, url, few)) / (many - few)


def _calls(folder: Path, url: str, rows: int) -> int:
    source = write_texts(folder / f"{rows}.parquet", rows, 500)
    command = [
        *(
            sys.executable,
            "-m",
            "tests.bench.calls",
            "run",
            "-q",
            "-i",
            str(source),
            "-o",
            str(folder / str(rows) / "out.parquet"),
        ),
        *("-p", "{{ text }}", "--provider", "openai", "-m", "any", "--set", f"endpoint.base_url={url}"),
    ]
    return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE).stdout)


def main(arguments: list[str]) -> None:
    from pipeline.cli import main as rowcall  # only here: whoever asks for calls_a_row() runs it elsewhere

    numbers = itertools.count()

    def counted(frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_call"):
            next(numbers)

    sys.argv[1:] = arguments
    threading.setprofile(counted)
    sys.setprofile(counted)
    try:
        rowcall()
    except SystemExit as end:
        sys.setprofile(None)
        if end.code:
            raise
        print(next(numbers))


if __name__ == "__main__":
    main(sys.argv[1:])
