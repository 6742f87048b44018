"""A few points of the table's trials of crashes and disks (faults/syscalls.py, faults/power.py), with their negative controls."""

from collections.abc import Iterator

import pytest

from tests.whole.faults.power import power_cuts
from tests.whole.faults.syscalls import WIDTH, Sweep, why_no_strace
from tests.whole.harness import Bench

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(300)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


@pytest.mark.parametrize(
    ("fault", "call", "at"),
    [("signal=KILL", "rename", range(7, 9)), ("error=EIO", "fsync", range(12, 14)), ("error=ENOSPC", "pwrite64", range(40, 42))],
    ids=["killed at a rename", "a failed fsync", "a full disk"],
)
def test_a_broken_call_costs_no_row(bench: Bench, fault: str, call: str, at: range) -> None:
    if (why := why_no_strace()) is not None:
        pytest.skip(why)
    struck = list(Sweep(bench, "struck").all(fault, [call], at=at))
    assert len(struck) == len(at)
    assert [(str(each.blow), each.wrong) for each in struck if each.wrong or each.twice > WIDTH] == []


def test_a_mistake_at_such_a_call_is_noticed(bench: Bench) -> None:
    if (why := why_no_strace()) is not None:
        pytest.skip(why)
    struck = list(Sweep(bench, "unheeded", "syncs-unheeded").all("error=EIO", ["fsync"], at=range(10, 12)))
    assert any(each.wrong for each in struck)


def test_a_power_cut_costs_no_row_that_is_on_record(bench: Bench) -> None:
    claims = list(power_cuts(bench, cuts=3, rows=1500))
    if claims[0].held is None:
        pytest.skip(claims[0].seen)
    assert [each for each in claims if not each.held] == []
