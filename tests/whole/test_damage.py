"""A harmed record, by random bits: the small version of the table of faults' line."""

import random

import pytest

from tests.whole.faults.damage import harmed, misses_seen, stopped_job
from tests.whole.harness import Bench

pytestmark = [pytest.mark.slow, pytest.mark.network]


def test_a_harmed_record_is_never_a_wrong_output_nor_begun_anew_in_silence() -> None:
    with Bench() as bench:
        stopped = stopped_job(bench)
        assert misses_seen(stopped, bench) == (True, True), "the test is blind"
        seen = harmed(stopped, bench, 25, random.randrange(10**6))
        assert seen.wrong == []
        assert seen.finished + seen.repaired == 25
