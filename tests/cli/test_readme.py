"""What the README prints of evaluations is what the command prints, to the letter."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = re.search(r"\n## Scores one may rely on\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.DOTALL)


def blocks(kind: str) -> list[str]:
    assert SECTION is not None
    return re.findall(rf"```{kind}\n(.*?)```", SECTION.group(1), re.DOTALL)


@pytest.mark.network
def test_the_readmes_evaluation_and_comparison_are_true(rowcall, tmp_path: Path) -> None:
    (tmp_path / "out" / "demo").mkdir(parents=True)
    for name in ("configs", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert rowcall("run", "configs/demo-questions.yaml", "-q", "-o", "out/demo/answers.parquet").code == 0
    printed = []
    for line in "".join(blocks("sh")).splitlines():
        command, *arguments = shlex.split(line)
        if command != "rowcall":
            continue
        ended = rowcall(*arguments)
        assert (ended.code, ended.err if arguments[0] == "evaluate" else "") == (0, "")
        if arguments[0] == "evaluate":
            printed.append(ended.out)
    assert printed == blocks("text")
