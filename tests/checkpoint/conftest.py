"""Fixtures of the record's tests: a fresh desk, see desk.py."""

from pathlib import Path

import pytest

from tests.checkpoint.desk import Desk


@pytest.fixture(params=[False, True], ids=["file", "folder"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    (tmp_path / "job").mkdir()
    return Desk(tmp_path / "job", request.param)


@pytest.fixture
def desk_of_file(tmp_path: Path) -> Desk:
    (tmp_path / "job").mkdir()
    return Desk(tmp_path / "job")


@pytest.fixture
def desk_of_folder(tmp_path: Path) -> Desk:
    (tmp_path / "job").mkdir()
    return Desk(tmp_path / "job", is_directory=True)
