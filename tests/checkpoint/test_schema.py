import pyarrow as pa
import pytest

from pipeline.checkpoint import schema
from pipeline.core.errors import ConfigError
from pipeline.core.types import RESULT_COLUMNS, Outcome
from tests.checkpoint.desk import failed, ok


def test_the_result_columns_have_the_contracts_types() -> None:
    types = dict(zip(schema.RESULTS.names, schema.RESULTS.types, strict=True))
    assert tuple(types) == RESULT_COLUMNS
    assert {name for name, each in types.items() if each == pa.int64()} == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert {name for name, each in types.items() if each == pa.int32()} == {"http_status", "attempts"}
    assert {name for name, each in types.items() if each == pa.float64()} == {"latency_s", "cost"}


def test_a_taken_name_is_refused_and_the_prefix_named() -> None:
    kept = pa.schema([("error", pa.string()), ("cost", pa.int8())])
    with pytest.raises(ConfigError, match=r"output\.prefix.*error, cost"):
        schema.output_schema(kept, "")
    assert schema.output_schema(kept, "llm_").names[:3] == ["error", "cost", "llm_completion"]


@pytest.mark.parametrize("outcomes", [[], [None, None], [failed(0), failed(1)], [ok(0), None, failed(2)]], ids=str)
def test_arrays_have_the_same_types_whatever_came_back(outcomes: list[Outcome | None]) -> None:
    arrays = schema.result_arrays(outcomes)
    assert [each.type for each in arrays] == schema.RESULTS.types
    batch = pa.RecordBatch.from_arrays(list(arrays), schema=schema.RESULTS)
    assert list(schema.outcomes_of(batch, 0)) == outcomes


def test_newer_outcomes_replace_only_their_own_rows() -> None:
    full = schema.output_schema(pa.schema([("a", pa.int8())]), "")
    batch = schema.joined(full, [pa.array([1, 2, 3], pa.int8())], schema.result_arrays([ok(0), failed(1), failed(2)]))
    changed = schema.overlaid(batch, {1: ok(1, "new")})
    assert changed.column("a").to_pylist() == [1, 2, 3]
    assert list(schema.outcomes_of(changed, 0)) == [ok(0), ok(1, "new"), failed(2)]
