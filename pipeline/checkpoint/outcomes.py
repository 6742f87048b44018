"""Outcomes as the journal holds them: compact JSON and a checksum of it.

SQLite has no checksums of its own, and a flipped bit would read back as a good row: so each row carries one, which
covers its index too.
"""

from dataclasses import replace
from zlib import crc32

import orjson

from pipeline.core.empty import is_empty
from pipeline.core.errors import DamagedError
from pipeline.core.types import Fault, FaultKind, Outcome, Reply, Usage

MOST_ERROR_CHARS = 500

_INT32 = 2**31
_INT64 = 2**63


def encode(outcome: Outcome) -> bytes:
    """Give the outcome as bytes that decode() reads. Total: what JSON or Parquet cannot hold is normalised, never raised.

    Lone surrogates become U+FFFD, NaN and infinities null, integers too large for their column null. Of a fault only
    what the output shows is kept.
    """
    values = _ok(outcome, outcome.result) if isinstance(outcome.result, Reply) else _failed(outcome, outcome.result)
    try:
        return orjson.dumps(values)
    except orjson.JSONEncodeError:
        return orjson.dumps([_plain(value) for value in values])


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


def decode_checked(row: int, body: bytes, crc: int) -> Outcome:
    """Read a stored outcome. Raises DamagedError if it is not what was stored for this row."""
    if not isinstance(body, bytes) or checksum(row, body) != crc:
        raise DamagedError(f"the journal is damaged at row {row}: the outcome recorded for it fails its checksum")
    return decode(row, body)


def outline(outcome: Outcome) -> Outcome:
    """Cut away the texts, leaving what a tally counts: kept of an outcome that is to be replaced by a retry."""
    match outcome.result:
        case Reply(text=text, extra=extra) as reply:
            cut = replace(reply, text="" if is_empty(text, extra) else "…", extra=None, model=None, response_id=None)
            return replace(outcome, result=cut)
        case fault:
            return replace(outcome, result=replace(fault, message=""))


def _ok(outcome: Outcome, reply: Reply) -> list[object]:
    usage = reply.usage
    tokens = [_integer(count, _INT64) for count in (usage.prompt, usage.completion, usage.total)]
    return [
        *(1, _integer(outcome.attempts, _INT32) or 0, outcome.elapsed, outcome.cost),
        *(reply.text, reply.finish_reason, *tokens, reply.model, reply.response_id, reply.extra),
    ]


def _failed(outcome: Outcome, fault: Fault) -> list[object]:
    return [
        *(0, _integer(outcome.attempts, _INT32) or 0, outcome.elapsed, outcome.cost),
        *(fault.error_kind, fault.message[:MOST_ERROR_CHARS], _integer(fault.status, _INT32)),
    ]


def _integer(value: int | None, limit: int) -> int | None:
    return value if value is not None and -limit <= value < limit else None


def _plain(value: object) -> object:
    if isinstance(value, str):
        # Both halves of a split pair join up again on the way through UTF-16; a lone one becomes U+FFFD.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float):
        return float(value)
    return value if value is None or isinstance(value, int) else str(value)
