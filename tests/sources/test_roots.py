"""Pictures of the same name in several folders are told apart by `path`, and no job changes what it calls them midway."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.roots import path_of, prefix_in, prefixes_of

A, B, C = Path("/p/a"), Path("/p/b"), Path("/p/c/d")
NAMES = st.sampled_from(["a", "b", "c", "new\nline"])
ROOTS = st.lists(NAMES, max_size=4).map(lambda parts: Path("/", *parts))


@pytest.mark.parametrize(
    ("roots", "known", "prefixes"),
    [
        pytest.param([A], {}, {A: "."}, id="one folder"),
        pytest.param([A, A], {}, {A: "."}, id="files of one folder"),
        pytest.param([A, B], {}, {A: "a", B: "b"}, id="two folders"),
        pytest.param([A, C], {}, {A: "a", C: "c/d"}, id="at two depths"),
        pytest.param([A.parent, A], {}, {A.parent: ".", A: "a"}, id="one in the other"),
        pytest.param([A, Path("/q")], {}, {A: "p/a", Path("/q"): "q"}, id="nothing in common"),
        pytest.param([A, B], {A: "."}, {A: ".", B: "../b"}, id="a second one later"),
        pytest.param([B, C], {A: ".", B: "../b"}, {A: ".", B: "../b", C: "../c/d"}, id="a third one later"),
        pytest.param([C], {A: "a", B: "b"}, {A: "a", B: "b", C: "c/d"}, id="a third one beside two"),
        pytest.param([A, B, C], {A: ".", B: "."}, {A: ".", B: ".", C: "."}, id="begun by an older version"),
    ],
)
def test_names_start_from_the_folder_common_to_the_first(roots, known, prefixes):
    assert prefixes_of(roots, known) == prefixes


@given(st.lists(st.lists(ROOTS, min_size=1, max_size=3), min_size=1, max_size=4))
def test_no_two_places_are_called_alike_and_none_is_called_anew(runs):
    known: dict[Path, str] = {}
    for roots in runs:
        before, known = known, prefixes_of(roots, known)
        assert before.items() <= known.items()
    start = prefixes_of(runs[0], {})
    assert len({PurePosixPath(each) for each in known.values()}) == len(known)
    assert start.items() <= known.items()


@given(st.sampled_from([".", "a", "../b", "c/d"]), st.sampled_from(["1.jpg", "a/1.jpg", "a/a.jpg", " .jpg"]))
def test_a_prefix_is_read_back_from_a_path(prefix, name):
    assert prefix_in(path_of(name, prefix), name) == prefix


def test_a_folder_whose_name_is_no_text_has_one_that_is():
    bad = Path("/p/b\udce9")
    assert prefixes_of([A, bad], {}) == {A: "a", bad: "b\ufffd"}
