"""scores.json: what `rowcall evaluate --json` writes, and `rowcall report --evaluation` reads again."""

import json
from collections.abc import Collection
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from pipeline.core.errors import ConfigError
from pipeline.core.redact import harmless
from pipeline.core.scores import Comparison, Evaluation, Table
from pipeline.observe.whole_file import replacing

Scores: TypeAlias = Evaluation | Comparison

# A thousand groups by ten metrics and two thousand rows with long texts are a third of that.
MOST_BYTES = 64 << 20
_ABSURD = 1e15
_YEAR_10000 = 253_402_300_800
_OURS = "is not what `rowcall evaluate --json` writes"
_AGAIN = "run `rowcall evaluate` again"


def json_of(scores: Scores) -> bytes:
    """Give the scores as JSON, UTF-8, on one line. What is no number (NaN) becomes null."""
    try:
        return orjson.dumps(scores, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:  # a file's name that is no Unicode
        return json.dumps(asdict(scores), ensure_ascii=False).encode("utf-8", "replace")


def write_scores(scores: Scores, path: Path) -> None:
    """Write the file whole, or leave what is there. Raises ConfigError for a place that will not do, StoppedError if the
    disk is full."""
    content = json_of(scores)
    with replacing(path) as file:
        file.write(content + b"\n")


def read_scores(path: Path) -> Scores:
    """Read the file. Raises ConfigError, naming it, for one that is not there, or holds anything else."""
    content: Any
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path}: {_OURS}: it is larger than {MOST_BYTES >> 20} MB")
    try:
        content = orjson.loads(content)
        scores = _scores().validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = harmless(".".join(map(str, first["loc"][1:])), 80)
        raise ConfigError(f"{path}: {_OURS}: {f'{where}: ' if where else ''}{harmless(first['msg'], 120)}") from None
    except ValueError:  # orjson says where in words of its own, and quotes
        raise ConfigError(f"{path}: {_OURS}: it is not JSON") from None
    if _has_absurd(content) or any(each.scale <= 0 for each in scores.metrics) or not 0 <= scores.made < _YEAR_10000:
        raise ConfigError(f"{path}: {_OURS}: it holds numbers that no score, scale or time has")
    return scores


def refuse_others(scores: Scores, path: Path, *, jobs: Collection[str], rows: int, last_run: float | None) -> None:
    """Refuse scores of another output than that of a job with so many `rows`, and those that a later run has made old.

    `jobs` are the names under which the output goes, `last_run` is when the last run that did something ended.
    Raises ConfigError.
    """
    tables = [scores.table] if isinstance(scores, Evaluation) else [scores.a, scores.b]
    if (other := _other(tables, jobs)) is not None:
        raise ConfigError(f"{path}: was made from another output ({harmless(other.name, 80)}); {_AGAIN} on this one")
    if all(each.rows != rows for each in tables):
        of = " and ".join(f"{each.rows:,}" for each in tables)
        raise ConfigError(f"{path}: was made from {of} rows, and this job has {rows:,}; {_AGAIN}")
    if last_run is not None and last_run > scores.made:
        raise ConfigError(f"{path}: was made before this job last ran; {_AGAIN}")


def _other(tables: list[Table], jobs: Collection[str]) -> Table | None:
    """Give a table that is another's where all are; one without a job's name may be anybody's."""
    return None if any(each.job is None or each.job in jobs for each in tables) else tables[0]


def _has_absurd(content: object) -> bool:
    """Tell whether there is a number in it that nothing here can be; a loop, for JSON nests deeper than calls may."""
    todo = [content]
    while todo:
        match todo.pop():
            case dict() as mapping:
                todo.extend(mapping.values())
            case list() as items:
                todo.extend(items)
            case int() | float() as number if not abs(number) < _ABSURD:
                return True
    return False


@cache
def _scores() -> TypeAdapter[Scores]:
    return TypeAdapter(Annotated[Scores, Field(discriminator="kind")])
