"""What the README prints of evaluations and of nights in a store is what the command prints, to the letter."""

import re
import shlex
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.storage.server import S3Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section_of(title: str) -> str:
    found = re.search(rf"\n## {title}\n(.*?)\n## ", README, re.DOTALL)
    assert found is not None
    return found[1]


def blocks(kind: str, section: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL)


@pytest.mark.network
def test_the_readmes_evaluation_and_comparison_are_true(rowcall, tmp_path: Path) -> None:
    (tmp_path / "out" / "demo").mkdir(parents=True)
    for name in ("configs", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert rowcall("run", "configs/demo-questions.yaml", "-q", "-o", "out/demo/answers.parquet").code == 0
    printed = []
    section = section_of("Scores one may rely on")
    for line in "".join(blocks("sh", section)).splitlines():
        command, *arguments = shlex.split(line)
        if command != "rowcall":
            continue
        ended = rowcall(*arguments)
        assert (ended.code, ended.err if arguments[0] == "evaluate" else "") == (0, "")
        if arguments[0] == "evaluate":
            printed.append(ended.out)
    assert printed == blocks("text", section)


def masked(text: str) -> str:
    """Leave out what another run or machine makes different: the port, seconds, and rows a second."""
    return re.sub(r":\d{4,5}/v1|\d\d:\d\d, [\d.]+ rows/s|[\d.]+ s (?=median|p95)", "…", text)


@pytest.mark.network
def test_the_readmes_nights_from_store_to_store_are_true(rowcall, tmp_path: Path, s3: S3Server) -> None:
    section = section_of("Object storage")
    (tmp_path / "nightly.yaml").write_text(blocks("yaml", section)[0])
    photos = pq.read_table(ROOT / "data" / "photos.parquet")
    s3.make_bucket("my-bucket")
    printed = ""
    for name, rows in (("monday", photos.slice(0, 10)), ("tuesday", photos.slice(10))):
        pq.write_table(rows, tmp_path / name)
        s3.put("my-bucket", f"in/{name}.parquet", (tmp_path / name).read_bytes())
        ended = rowcall("run", "nightly.yaml", "--progress", "none")
        assert ended.code == 0
        printed += f"$ rowcall run nightly.yaml --progress none\n{ended.err}{ended.out}"
    assert masked(printed) == masked(blocks("text", section)[0])
    read: dict[str, Any] = {}
    exec(blocks("python", section)[0], read)
    assert read["table"]["status"].to_pylist() == ["ok"] * 14
