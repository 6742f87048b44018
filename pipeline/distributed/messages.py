"""What driver and workers say to each other, in batches. Whoever carries it writes and reads it, as Ray does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.quota import Quotas
from pipeline.core.types import Fault, Reply, Usage
from pipeline.core.values import value
from pipeline.engine.send import Sent


@dataclass(slots=True)
class Orders:
    """Rows whose requests are to be made ready and weighed, sent, or sent by somebody who may not send them twice."""

    build: list[int] = field(default_factory=list)
    send: list[int] = field(default_factory=list)
    send_once: list[int] = field(default_factory=list)


@value(frozen=True, slots=True)
class Weighed:
    """A request is ready: `size` bytes with its row, and about so many `tokens`. Or the row cannot be asked."""

    row: int
    tokens: int
    size: int
    fault: Fault | None = None


@value(frozen=True, slots=True)
class Answered:
    """What came of a send, as in engine.send.Sent, but for when it began: clocks differ. `tokens` as in Weighed."""

    row: int
    tokens: int
    result: Reply | Fault
    elapsed: float = 0.0
    requests: int = 0
    ambiguous: int = 0
    credits: float | None = None
    quotas: Quotas | None = None

    @classmethod
    def of(cls, row: int, tokens: int, sent: Sent) -> "Answered":
        return cls(row, tokens, sent.result, sent.elapsed, sent.requests, sent.ambiguous, sent.credits, sent.quotas)

    def sent(self, at: float, lost: int) -> Sent:
        """Give it as sent `at` monotonic seconds here, after `lost` others that nobody can tell of."""
        return Sent(self.result, at, self.elapsed, self.requests + lost, self.ambiguous + lost, self.credits, self.quotas)


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker cannot go on, nor could another: the run has to stop, for this reason and with this exit code.

    `row` is what it was at, None where it did not get so far.
    """

    row: int | None
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Notice:
    """One line that a person should read."""

    text: str


Report = Weighed | Answered | Failed | Notice
# Reports as they travel: replies as plain tuples, the rest as it is.
Flat = Sequence[Any]


def flat(reports: Sequence[Report]) -> Flat:
    return [_flat(each) if isinstance(each, Answered) else each for each in reports]


def whole(found: Flat) -> list[Report]:
    return [_whole(each) if isinstance(each, tuple) else each for each in found]


def _flat(answered: Answered) -> Answered | tuple[Any, ...]:
    """Give a reply as a plain tuple: values of classes take five times as long to write and read, on every row."""
    reply = answered.result
    if not isinstance(reply, Reply):
        return answered
    usage = reply.usage
    return (
        *(reply.text, reply.finish_reason, usage.prompt, usage.completion, usage.total),
        *(reply.model, reply.response_id, reply.extra, answered.row, answered.tokens),
        *(answered.elapsed, answered.requests, answered.ambiguous, answered.credits, answered.quotas),
    )


def _whole(flat: tuple[Any, ...]) -> Answered:
    text, finish, prompt, completion, total, model, id_, extra, row, tokens, *rest = flat
    return Answered(row, tokens, Reply(text, finish, Usage(prompt, completion, total), model, id_, extra), *rest)
