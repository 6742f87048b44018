"""The trials of misbehaving endpoints that take seconds, at a size for every push; `make bench-faults` has them whole."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.whole.faults import endpoints, refusals
from tests.whole.harness import Bench
from tests.whole.table import Trial

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


@pytest.mark.parametrize(
    "trial",
    [
        pytest.param(partial(endpoints.stale, rows=200), id="closing used connections"),
        pytest.param(partial(endpoints.width, wide=100, each=3), id="wide"),
        pytest.param(partial(endpoints.cuts, step=40), id="cutting bodies"),
        pytest.param(partial(refusals.hints, rows=40, wait=1.0, holds=2, forms=("Segmind's header",)), id="naming a time"),
        pytest.param(partial(refusals.days, rows=200, ways=(50,)), id="naming a time in days"),
        pytest.param(partial(refusals.at_start, ways=("405", "redirect (307)")), id="refusing from the start"),
    ],
)
def test_an_endpoint_that_is(trial: Trial, bench: Bench) -> None:
    claims = list(trial(bench))
    assert claims
    for claim in claims:
        assert claim.held, f"{claim.text}: {claim.seen}, goal {claim.goal}"
