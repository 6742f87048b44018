"""Messages arrive as they were sent."""

from dataclasses import replace

import pytest

from pipeline.core.quota import Quotas
from pipeline.core.types import Fault, FaultKind, Reply, Usage
from pipeline.distributed.messages import (
    Answered,
    Failed,
    Notice,
    Report,
    Weighed,
    flat,
    whole,
)
from pipeline.engine.send import Sent

REPLY = Reply("text", "stop", Usage(1, None, 3), "model", "id", '{"refusal": null}')
FAULT = Fault(FaultKind.THROTTLED, "rate_limited", "slow down", 429, retry_after=2.5)


@pytest.mark.parametrize(
    "report",
    [
        Answered.of(7, 12, Sent(REPLY, 1.0, 0.5, requests=2, ambiguous=1, credits=3.5, quotas=Quotas())),
        Answered(7, 12, REPLY),
        Answered.of(7, 12, Sent(FAULT, 1.0, 0.5)),
        Weighed(7, 12, 300),
        Weighed(7, 0, 0, FAULT),
        Failed(None, "no such folder", 2),
        Notice("a line"),
    ],
    ids=lambda report: type(report).__name__,
)
def test_a_report_arrives_as_it_was_sent(report: Report) -> None:
    assert whole(flat([report, report])) == [report, report]


def test_what_came_of_a_send_is_given_by_the_drivers_clock_with_what_was_lost_before() -> None:
    sent = Sent(REPLY, 1.0, 0.5, requests=2, ambiguous=1, credits=3.5, quotas=Quotas())
    assert Answered.of(7, 12, sent).sent(at=9.0, lost=1) == replace(sent, at=9.0, requests=3, ambiguous=2)
