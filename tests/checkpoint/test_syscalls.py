"""What the kernel is really asked to do, and in which order: the steps' names could lie."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STORY = """
import sys
from pathlib import Path
from tests.checkpoint.desk import Desk
desk = Desk(Path(sys.argv[1]), rows=10)
desk.folder.mkdir()
desk.run()
"""


@pytest.mark.slow
def test_data_then_name_then_folder_then_commit_then_the_older_copy_goes(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    log = tmp_path / "log"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat"
    command = ["strace", "-f", "-y", "-o", str(log), "-e", calls, sys.executable, "-c", STORY, str(tmp_path / "job")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    if "ptrace" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("ptrace is forbidden here")
    assert done.returncode == 0, done.stderr
    text = log.read_text()
    seen = [name for line in text.splitlines() for name, pattern in CALLS.items() if re.search(pattern, line)]
    position = 0
    for wanted in ORDER:
        assert wanted in seen[position:], f"no {wanted} after {ORDER[: ORDER.index(wanted)]} in {seen}"
        position += seen[position:].index(wanted) + 1


CALLS = {
    "kept data": r"fsync\(.*kept-000000\.\w+\.arrow\.tmp>",
    "kept name": r"rename.*kept-000000\.\w+\.arrow\.tmp\",",
    "kept folder": r"fsync\(.*/kept>",
    "part data": r"fsync\(.*part-000000\.g1\.\w+\.parquet\.tmp>",
    "part name": r"rename.*part-000000\.g1\.\w+\.parquet\.tmp\",",
    "part folder": r"fsync\(.*/parts>",
    "commit": r"f(data)?sync\(.*journal\.db-wal>",
    "kept goes": r"unlink.*kept-000000\.\w+\.arrow\"",
    "output data": r"fsync\(.*/\.rowcall-\w+-\w+\.tmp>",
    "output name": r"rename.*/\.rowcall-\w+-\w+\.tmp\",",
    "output folder": r"fsync\(.*/job>",
    "part goes": r"unlink.*part-000000\.g1\.\w+\.parquet\"",
}
ORDER = [
    *("kept data", "kept name", "kept folder", "commit"),
    *("part data", "part name", "part folder", "commit", "kept goes"),
    *("output data", "commit", "output name", "output folder", "commit", "part goes"),
]
