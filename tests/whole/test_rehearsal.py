"""A whole job against a script, as a user rehearses it: an outage, a limit, torn replies, a row that always fails."""

from typing import Any

import pytest

from pipeline import Job, run_job
from pipeline.simulate import Latency, SimulatorSettings, read_script, serve
from tests.whole.harness import CANARY, KEY_VARIABLE, Bench, digest_of, make_job, mistakes_in, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.network]

ROWS, WIDTH = 120, 8
POISONED = 7
BAD_NIGHT: list[dict[str, Any]] = [
    {"name": "poison", "when": {"prompt_contains": digest_of(POISONED)}, "then": 500},
    {"name": "stale", "when": {"first_sends": 1, "share": 0.2}, "then": "stale"},
    {"name": "limit", "when": {"until_s": 2}, "then": {"fault": "rate_limit", "per_minute": 1200, "window_s": 0.5}},
    {"name": "outage", "when": {"from_s": 2, "until_s": 3}, "then": "refuse"},
    {"name": "torn", "when": {"first_sends": 1, "share": 0.1}, "then": "cut"},
]


def test_a_bad_night_fails_the_poisoned_row_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, CANARY)
    settings = SimulatorSettings(latency=Latency(0.1), script=read_script({"episodes": BAD_NIGHT}, "the bad night"))
    with Bench() as bench, serve(settings) as simulator:
        source, how = write_csv(bench.root / "in.csv", ROWS), {"limits": {"concurrency": WIDTH}, "retry": {"max_delay_s": 1}}
        job = make_job(bench, "job", source, ROWS, simulator, **how)
        summary = run_job(Job.load(job.config))
        assert [each for each in mistakes_in(job.output, {}) if f"row {POISONED}:" not in each] == []
    counted: dict[str, Any] = simulator.stats()
    assert (summary.ok, summary.errors) == (ROWS - 1, {"server_error": 1})
    assert all(counted["episodes"].values()), f"each episode is met: {counted['episodes']}"
    assert counted["episodes"]["poison"] >= 3
    assert counted["served"] == ROWS - 1, "what was answered was asked once"
    # Requests that were under way when the outage began were worked on for nobody: those are sent twice, and no others.
    assert counted["digests"]["extra"] == counted["unread"] <= WIDTH
    assert counted["lost"] == counted["episodes"]["torn"]
    assert counted["requests"] <= summary.requests, "while nobody listened, some requests came nowhere"
