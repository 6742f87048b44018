import math
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.checkpoint import outcomes as codec
from pipeline.checkpoint import schema
from pipeline.core.errors import DamagedError
from pipeline.core.tally import Tally
from pipeline.core.types import ERROR_KINDS, Fault, FaultKind, Outcome, Reply, Usage

texts = st.text(max_size=50)
tokens = st.none() | st.integers(0, 2**62)
seconds = st.none() | st.floats(0, 1e6)
replies = st.builds(
    Reply,
    st.none() | texts,
    st.none() | texts,
    st.builds(Usage, tokens, tokens, tokens),
    st.none() | texts,
    st.none() | texts,
    st.none() | texts,
)
faults = st.builds(Fault, st.just(FaultKind.REJECTED), st.sampled_from(ERROR_KINDS), texts, st.none() | st.integers(100, 599))
outcomes = st.builds(Outcome, st.integers(0, 2**40), st.integers(0, 10_000), seconds, replies | faults, seconds)


@given(outcomes)
def test_an_outcome_comes_back_as_it_was(outcome: Outcome) -> None:
    assert codec.decode(outcome.row, codec.encode(outcome)) == outcome


@given(st.lists(outcomes, max_size=20, unique_by=lambda each: each.row))
def test_outcomes_read_together_show_and_count_as_those_read_one_by_one(some: list[Outcome]) -> None:
    rows = codec.parse(codec.entries(some))
    batch = pa.RecordBatch.from_arrays(list(schema.stored_arrays(rows)), schema=schema.RESULTS)
    shown = [each and replace(each, row=before.row) for before, each in zip(some, schema.outcomes_of(batch, 0), strict=True)]
    assert shown == [replace(each, result=_shown(each.result)) for each in some]
    counted, added = Tally(), Tally()
    codec.count(counted, rows)
    for each in some:
        added.add(each)
    assert replace(counted, cost=0.0) == replace(added, cost=0.0)
    assert counted.cost == pytest.approx(added.cost)


def _shown(result: Reply | Fault) -> Reply | Fault:
    return result if isinstance(result, Reply) else Fault(FaultKind.REJECTED, result.error_kind, result.message, result.status)


@given(outcomes)
def test_an_outline_is_counted_like_the_outcome_it_was_made_from(outcome: Outcome) -> None:
    whole, outline = Tally(), Tally()
    whole.add(outcome)
    outline.add(codec.decode(outcome.row, codec.encode(codec.outline(outcome))))
    assert outline == whole


@given(outcomes, st.data())
def test_every_flipped_bit_is_noticed(outcome: Outcome, data: st.DataObject) -> None:
    body = bytearray(codec.encode(outcome))
    crc = codec.checksum(outcome.row, bytes(body))
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedError, match=f"row {outcome.row}"):
        codec.decode_checked(outcome.row, bytes(body), crc)


def test_an_outcome_under_another_rows_number_is_noticed() -> None:
    body = codec.encode(Outcome(5, 1, None, Reply("yes")))
    with pytest.raises(DamagedError):
        codec.decode_checked(6, body, codec.checksum(5, body))


POISON = {
    "lone surrogate": (Outcome(1, 1, 0.5, Reply("a\ud800b")), Outcome(1, 1, 0.5, Reply("a\ufffdb"))),
    "split surrogate pair": (Outcome(1, 1, 0.5, Reply("\ud83d\ude00")), Outcome(1, 1, 0.5, Reply("😀"))),
    "surrogate in an error": (
        Outcome(1, 1, 0.5, Fault(FaultKind.REJECTED, "bad_row", "\udcff")),
        Outcome(1, 1, 0.5, Fault(FaultKind.REJECTED, "bad_row", "\ufffd")),
    ),
    "tokens beyond 64 bits": (
        Outcome(1, 1, 0.5, Reply("a", usage=Usage(2**63, 2**70, 3))),
        Outcome(1, 1, 0.5, Reply("a", usage=Usage(None, None, 3))),
    ),
    "not a number": (Outcome(1, 1, math.nan, Reply("a"), math.inf), Outcome(1, 1, None, Reply("a"), None)),
    "endless error": (
        Outcome(1, 1, 0.5, Fault(FaultKind.REJECTED, "bad_row", "x" * 501)),
        Outcome(1, 1, 0.5, Fault(FaultKind.REJECTED, "bad_row", "x" * 500)),
    ),
    "odd status": (
        Outcome(1, 1, 0.5, Fault(FaultKind.REJECTED, "bad_row", "x", 2**40)),
        Outcome(1, 1, 0.5, Fault(FaultKind.REJECTED, "bad_row", "x")),
    ),
}


@pytest.mark.parametrize(("given", "stored"), POISON.values(), ids=POISON)
def test_what_neither_json_nor_parquet_can_hold_is_normalised(given: Outcome, stored: Outcome) -> None:
    assert codec.decode(1, codec.encode(given)) == stored
