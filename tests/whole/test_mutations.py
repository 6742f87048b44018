"""Spoilt files end in rows or in one line: a small version of `tests.whole.faults mutations`."""

from pathlib import Path

import pytest

from tests.whole.faults.mutants import KINDS
from tests.whole.faults.mutations import run_all, unseen

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(600)]


def test_spoilt_files_end_in_rows_or_in_one_line_that_names_them(tmp_path: Path) -> None:
    seen = run_all(range(3 * len(KINDS)), tmp_path / "mutants")
    assert seen.wrong == []
    assert seen.codes.total() == 3 * len(KINDS)


def test_a_rowcall_that_dies_or_loses_a_row_is_seen(tmp_path: Path) -> None:
    assert unseen(tmp_path / "sabotaged", ["crash", "loss"]) == []
