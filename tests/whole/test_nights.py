"""Five nights over a growing folder, from S3 to S3; and that what would be wrong with them, wherever it lies, is seen."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.whole.harness import Bench, digest_of
from tests.whole.nights import (
    KILLED,
    TESTED,
    Night,
    Plan,
    asked_wrongly,
    cell,
    nights,
    published_wrongly,
    read_wrongly,
)
from tests.whole.places import MANIFEST, Folder, Reader


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(400)
def test_only_new_rows_are_asked_and_readers_see_whole_sets(bench: Bench) -> None:
    for claim in nights(bench, TESTED):
        assert claim.held, claim


# -- what would be wrong with the nights is seen


def a_night(code: int, new: range, served: range, recorded: range) -> Night:
    digests = [digest_of(row) for row in range(60)]
    counted = Counter(digests[row] for row in served)
    return Night(Plan("night", [], code), code, "", 1.0, len(new), counted, frozenset(digests[row] for row in recorded))


# 10 rows; 20 more, of which a kill leaves 8, with 4 replies in flight; those, and 10 more; 20 more, and a stop at 48.
FIRST = a_night(0, range(10), range(10), range(10))
STRUCK = a_night(KILLED, range(10, 30), range(10, 22), range(18))
NEXT = a_night(0, range(30, 40), range(18, 40), range(40))
STOPPED = a_night(3, range(40, 60), range(40, 48), range(48))
LAST = a_night(0, range(0), range(48, 60), range(60))
DONE = frozenset(map(digest_of, range(60)))


def test_nights_that_ask_what_is_new_are_right() -> None:
    assert asked_wrongly([FIRST, STRUCK, NEXT, STOPPED, LAST]) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({1: replace(STRUCK, served=STRUCK.served + Counter([digest_of(3)]))}, "1 recorded rows were asked again"),
        ({2: replace(NEXT, served=NEXT.served + Counter([digest_of(35)]))}, "23 replies served, 22 rows newly"),
        ({1: a_night(KILLED, range(10, 30), range(10, 30), range(18))}, "20 replies served, 8 rows newly"),
        ({1: a_night(KILLED, range(10, 30), range(10, 22), range(9, 18))}, "9 rows are on record no more"),
        ({2: a_night(0, range(30, 40), range(18, 39), range(39))}, "39 of 40 rows are on record"),
        ({3: a_night(3, range(40, 60), range(0), range(40))}, "not stopped in its middle"),
        ({1: a_night(KILLED, range(10, 30), range(10, 14), range(10))}, "not killed in its middle"),
    ],
    ids=["a recorded row", "a new row twice", "more than in flight", "forgotten", "left out", "stopped early", "killed early"],
)
def test_a_night_that_asks_or_keeps_other_rows_is_seen(changed: dict[int, Night], said: str) -> None:
    right = [FIRST, STRUCK, NEXT, STOPPED, LAST]
    assert said in str(asked_wrongly([changed.get(at, each) for at, each in enumerate(right)]))


def a_set(rows: list[int], answered: int = 0) -> pa.Table:
    return pa.table(
        {
            "id": rows,
            "text": [cell(row) for row in rows],
            "digest": [digest_of(row) for row in rows],
            "completion": [f"digest:{digest_of(row + answered)}" for row in rows],
            "status": ["ok"] * len(rows),
            "response_id": [f"r{row}" for row in rows],
        }
    )


def test_sets_in_the_order_of_joining_are_right() -> None:
    assert published_wrongly([a_set([0, 1, 2]), a_set([0, 1, 2, 3])], [3, 4]) == []


def test_a_swapped_order_a_foreign_answer_and_a_changed_row_are_seen() -> None:
    first = a_set([0, 1, 2])
    assert "not those that joined" in str(published_wrongly([first, a_set([0, 2, 1, 3])], [3, 4]))
    assert "not those that joined" in str(published_wrongly([a_set([0, 1])], [3]))
    assert "is not its own" in str(published_wrongly([a_set([0, 1], answered=1)], [2]))
    renamed = a_set([0, 1, 2, 3]).set_column(5, "response_id", [["r0", "other", "r2", "r3"]])
    assert "not as they were" in str(published_wrongly([first, renamed], [3, 4]))


def test_a_reader_that_saw_another_set_or_missed_one_is_seen() -> None:
    one, two = a_set([0, 1]), a_set([0, 1, 2])
    assert read_wrongly([one, two], [one, two]) == []
    for read in ([one, a_set([0, 1, 3]), two], [one], [two, one], []):
        assert read_wrongly(read, [one, two])


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Give a folder of two parts."""
    folder = tmp_path / "out"
    folder.mkdir()
    for part in (0, 1):
        pq.write_table(a_set([2 * part, 2 * part + 1]), folder / f"part-{part:06d}.parquet")
    manifest = {"rows": 4, "files": [{"name": f"part-{part:06d}.parquet"} for part in (0, 1)]}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def read_twice(place: Folder, output: str, *, tears: tuple[type[Exception], ...] = ()) -> Reader:
    with Reader(place, output, every=0.001, tears=tears) as reader:
        reader.caught_up()
    return reader


def test_a_reader_reads_what_the_manifest_names(published: Path) -> None:
    pq.write_table(a_set([7]), published / "part-000002.parquet")  # on its way
    reader = read_twice(Folder(published.parent), "out")
    assert reader.wrong == []
    assert [each["id"].to_pylist() for each in reader.sets] == [[0, 1, 2, 3]]


def test_a_reader_fed_half_a_set_or_half_a_file_says_so(published: Path) -> None:
    part = published / "part-000001.parquet"
    whole = part.read_bytes()
    for half in (None, whole[: len(whole) // 2], (published / "part-000000.parquet").read_bytes()):
        part.unlink() if half is None else part.write_bytes(half)
        reader = read_twice(Folder(published.parent), "out")
        assert reader.wrong or read_wrongly(reader.sets, [a_set([0, 1, 2, 3])]), half
    pq.write_table(a_set([2]), part)
    assert "HalfSetError: 3 rows, of 4" in read_twice(Folder(published.parent), "out").wrong[0]
    (published.parent / "out.parquet").write_bytes(whole[:-3])
    assert read_twice(Folder(published.parent), "out.parquet").wrong
    twice = read_twice(Folder(published.parent), "out.parquet", tears=(pa.ArrowException,))
    assert twice.wrong, "it may be torn once, and not again"


def test_a_torn_manifest_is_read_again_where_it_may_be_and_a_half_set_is_not(published: Path) -> None:
    manifest = published / MANIFEST
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-3])
    assert read_twice(Folder(published.parent), "out").torn == 0
    assert read_twice(Folder(published.parent), "out", tears=(json.JSONDecodeError,)).torn > 0
    manifest.write_bytes(whole.replace(b"4", b"5"))
    reader = read_twice(Folder(published.parent), "out", tears=(json.JSONDecodeError,))
    assert "HalfSetError" in reader.wrong[0] and reader.torn == 0


def test_a_reader_that_died_says_so_when_it_is_left(published: Path) -> None:
    (published / MANIFEST).write_text("{}")
    with pytest.raises(KeyError, match="files"):
        read_twice(Folder(published.parent), "out")
