"""Outcomes as the journal holds them: compact JSON and a checksum of it.

SQLite has no checksums of its own, and a flipped bit would read back as a good row: so each row carries one, which
covers its index too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

import orjson

from pipeline.core.empty import is_empty
from pipeline.core.errors import DamagedError
from pipeline.core.tally import Tally
from pipeline.core.types import RESULT_COLUMNS, Fault, FaultKind, Outcome, Reply, Usage

Entry = tuple[int, bytes, int]  # id, body, checksum of both: a row of any table

# What is stored of an outcome. 1: it is a reply; attempts, elapsed, cost; text, finish_reason, three counts of tokens, model,
# response_id, extra. 0: it is a fault; attempts, elapsed, cost; error_kind, message, status.
Values = Sequence[Any]
PENDING: Values = (None,) * 12
# Status, error_kind, error and http_status where there is no fault.
_ENDED = {1: ("ok", None, None, 200), None: ("pending", None, None, None)}

MOST_ERROR_CHARS = 500

_INT32 = 2**31
_INT64 = 2**63


def entries(outcomes: Sequence[Outcome]) -> list[Entry]:
    """Give outcomes as the journal's rows: number, body, checksum of both."""
    return [(each.row, body := encode(each), checksum(each.row, body)) for each in outcomes]


def encode(outcome: Outcome) -> bytes:
    """Give the outcome as bytes that decode() reads. Total: what JSON or Parquet cannot hold is normalised, never raised.

    Lone surrogates become U+FFFD, NaN and infinities null, integers too large for their column null. Of a fault only
    what the output shows is kept.
    """
    stored = values(outcome)
    try:
        # Refuses integers beyond 53 bits, some of which do not fit their column: so nobody has to look at each.
        return orjson.dumps(stored, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return orjson.dumps([_plain(value) for value in stored])


def values(outcome: Outcome) -> Values:
    """Give what is stored of an outcome; where it stands is columns()' to know."""
    result = outcome.result
    return _ok(outcome, result) if isinstance(result, Reply) else _failed(outcome, result)


def decode(row: int, body: bytes) -> Outcome:
    """Read what encode() gave."""
    ok, attempts, elapsed, cost, *rest = orjson.loads(body)
    if not ok:
        return Outcome(row, attempts, elapsed, Fault(FaultKind.REJECTED, *rest), cost)
    text, finish_reason, prompt, completion, total, model, response_id, extra = rest
    return Outcome(
        row, attempts, elapsed, Reply(text, finish_reason, Usage(prompt, completion, total), model, response_id, extra), cost
    )


def checksum(id_: int, body: bytes) -> int:
    """Give the CRC-32 that stands beside a body in the journal; it covers the number under which the body is stored."""
    return crc32(body, id_ & 0xFFFFFFFF)


def prove(row: int, body: bytes, crc: int) -> None:
    """Raise DamagedError if this is not what was stored for this row."""
    if not isinstance(body, bytes) or checksum(row, body) != crc:
        raise DamagedError(f"the journal is damaged at row {row}: the outcome recorded for it fails its checksum")


def decode_checked(row: int, body: bytes, crc: int) -> Outcome:
    """Read a stored outcome. Raises DamagedError if it is not what was stored for this row."""
    prove(row, body, crc)
    return decode(row, body)


def parse(rows: Sequence[Entry]) -> list[Values]:
    """Read stored outcomes all at once, each as its values. Raises DamagedError if one is not what was stored for its row."""
    for row, body, crc in rows:
        prove(row, body, crc)
    parsed: list[Values] = orjson.loads(b"[%b]" % b",".join([body for _, body, _ in rows]))
    return parsed


def columns(rows: Sequence[Values]) -> list[Sequence[Any]]:
    """Give the values of some outcomes column by column, in the order of RESULT_COLUMNS; PENDING stands for none yet."""
    if not rows:
        return [()] * len(RESULT_COLUMNS)
    said = [(*row[:4], *PENDING[4:]) if row[0] == 0 else row for row in rows]
    ended = [("failed", *row[4:]) if row[0] == 0 else _ENDED[row[0]] for row in rows]
    _, attempts, elapsed, cost, *reply, model, response_id, extra = zip(*said, strict=True)
    return [*reply, *zip(*ended, strict=True), attempts, elapsed, cost, model, response_id, extra]


def count(tally: Tally, rows: Sequence[Values]) -> None:
    """Count stored outcomes."""
    replies = [row for row in rows if row[0]]
    text, reason, prompt, completion, extra = ([row[at] for row in replies] for at in (4, 5, 6, 7, 11))
    tally.add_replies(text, extra, reason, prompt, completion)
    tally.add_faults([row[4] for row in rows if row[0] == 0])
    tally.add_sends([row[2] for row in rows], [row[3] for row in rows])


def outline(outcome: Outcome) -> Outcome:
    """Cut away the texts, leaving what a tally counts: kept of an outcome that is to be replaced by a retry."""
    match outcome.result:
        case Reply(text=text, extra=extra) as reply:
            cut = replace(reply, text="" if is_empty(text, extra) else "…", extra=None, model=None, response_id=None)
            return replace(outcome, result=cut)
        case fault:
            return replace(outcome, result=replace(fault, message=""))


def _ok(outcome: Outcome, reply: Reply) -> Values:
    usage = reply.usage
    return (
        1,
        _attempts(outcome),
        outcome.elapsed,
        outcome.cost,
        reply.text,
        reply.finish_reason,
        usage.prompt,
        usage.completion,
        usage.total,
        reply.model,
        reply.response_id,
        reply.extra,
    )


def _failed(outcome: Outcome, fault: Fault) -> Values:
    status = fault.status if fault.status is not None and -_INT32 <= fault.status < _INT32 else None
    return (0, _attempts(outcome), outcome.elapsed, outcome.cost, fault.error_kind, fault.message[:MOST_ERROR_CHARS], status)


def _attempts(outcome: Outcome) -> int:
    return outcome.attempts if -_INT32 <= outcome.attempts < _INT32 else 0


def _plain(value: object) -> object:
    if isinstance(value, str):
        # Both halves of a split pair join up again on the way through UTF-16; a lone one becomes U+FFFD.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else None
    if isinstance(value, float):
        return float(value)
    return value if value is None else str(value)
