"""Extras: what is said where one is missing can be typed as it stands."""

import re
import tomllib
from pathlib import Path

import pytest

from pipeline.core.extras import missing_extra

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


@pytest.mark.parametrize("upgrade", [False, True])
def test_an_extra_is_installed_from_an_index_or_a_clone(upgrade):
    pip = "pip install --upgrade" if upgrade else "pip install"
    said = missing_extra("report", upgrade=upgrade)
    assert said == f"{pip} 'rowcall[report]', or in a clone of it: {pip} '.[report]'"


def test_no_module_words_it_otherwise_or_names_an_extra_that_there_is_not():
    asked = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert path.name == "extras.py" or "pip install" not in source, path
        asked.update(re.findall(r"missing_extra\([\"'](\w+)", source))
    assert asked
    assert asked <= EXTRAS.keys()
