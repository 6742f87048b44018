"""The plots of a report: axes that can be told apart, whatever a run's length, and bars that say no more than was seen."""

import re
from itertools import pairwise

import pytest

from pipeline.core.timeline import Moment
from pipeline.observe.report.gathered import course_of
from pipeline.observe.report.plots import histogram, requests_over_time, rows_over_time
from pipeline.observe.report.types import Bin


def course(*moments: tuple[float, int]):
    """Give the course of one run from times and requests."""
    return course_of([[Moment(at, sent, 0, sent, 0, 0, 1, 4) for at, sent in moments]])


def labels(plot):
    """Give what stands along the axes: x first, then y."""
    assert plot is not None
    return re.findall(r"<text[^>]*>([^<]*)</text>", plot.svg)


@pytest.mark.parametrize(
    ("seconds", "times"),
    [
        (0.1, ["0 s", "0.05 s", "0.1 s"]),
        (0.3, ["0 s", "0.1 s", "0.2 s", "0.3 s"]),
        (1.0, ["0 s", "0.5 s", "1 s"]),
        (3.0, ["00:00", "00:01", "00:02", "00:03"]),
        (300.0, ["00:00", "02:00", "04:00"]),
        (4 * 86400.0, ["0 d", "1 d", "2 d", "3 d", "4 d"]),
    ],
)
def test_times_along_an_axis_differ(seconds, times):
    assert labels(rows_over_time(course((0, 0), (seconds, 40))))[: len(times)] == times


@pytest.mark.parametrize(
    "edges",
    [
        pytest.param([12_000 + 100 * each for each in range(11)], id="thousands that lie close"),
        pytest.param([0.2500 + 0.0002 * each for each in range(11)], id="seconds that lie close"),
        pytest.param([0, 1, 2, 3], id="few"),
    ],
)
def test_the_edges_of_a_histogram_differ(edges):
    bins = [Bin(low, high, 3) for low, high in pairwise(edges)]
    found = labels(histogram(bins, name="x", title="X", unit="tokens"))
    along = found[: -(-len(edges) // max(1, -(-len(bins) // 5)))]
    assert len(set(along)) == len(along) >= 4


@pytest.mark.parametrize("number", [1, 2, 3])
def test_small_counts_along_an_axis_differ(number):
    found = labels(histogram([Bin(0, 1, number)], name="x", title="X", unit="tokens"))[2:]
    assert len(set(found)) == len(found) >= 2


def test_less_than_a_request_a_minute_is_no_axis_of_zeros():
    found = labels(requests_over_time(course((0, 0), (36_000, 60))))[4:]
    assert len(set(found)) == len(found) >= 2


def test_what_a_runs_last_moment_brings_is_not_blown_up_to_a_minute_of_it():
    high = labels(requests_over_time(course((0, 0), (1.0, 10), (1.1, 74))))[-1]
    assert high == "3,000"  # the highest line below 74 in 1.1 seconds; half of them in a third of a second would be 10k
