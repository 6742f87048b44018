"""Disks and stops against the command, in small: `make bench-faults` has the long versions."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.whole.faults import disk
from tests.whole.harness import Bench
from tests.whole.table import Trial

pytestmark = [pytest.mark.slow, pytest.mark.network]

TRIALS = {
    "full for a while": partial(disk.full_for_a_while, rows=500, seconds=1),
    "full at publish": partial(disk.full_at_publish, rows=1200),
    "read-only output": disk.read_only_at_the_start,
    "stopped for longer than the time-out": partial(disk.stopped_for_a_minute, seconds=6.5, latency=1.0, timeout=2.5, rounds=4),
}


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
def test_no_row_is_lost_or_asked_twice(bench: Bench, trial: Trial) -> None:
    for claim in trial(bench):
        if claim.held is None:
            pytest.skip(claim.seen)
        assert claim.held, claim
