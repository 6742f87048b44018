"""The command in this process: arguments in, exit code and streams out."""

import sys
from dataclasses import dataclass

import pytest

from pipeline.cli import main


@dataclass
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def rowcall(monkeypatch, capfd, tmp_path):
    """Run the command in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("SEGMIND_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["rowcall", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code: object = 0
        except SystemExit as ended:
            code = ended.code or 0
        out, err = capfd.readouterr()
        assert isinstance(code, int)
        return Ended(code, out, err)

    return run
