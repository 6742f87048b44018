"""The metrics there are, by the names users give them. A metric's library is imported when it is asked for."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from pipeline.core.errors import ConfigError
from pipeline.evaluate.metric import Metric


def _exact() -> Metric:
    from pipeline.evaluate.matches import exact

    return exact()


def _f1() -> Metric:
    from pipeline.evaluate.matches import f1

    return f1()


def _contains() -> Metric:
    from pipeline.evaluate.matches import contains

    return contains()


def _choice() -> Metric:
    from pipeline.evaluate.choices import Choice

    return Choice()


def _number() -> Metric:
    from pipeline.evaluate.numbers import Number

    return Number()


def _json() -> Metric:
    from pipeline.evaluate.jsons import Json

    return Json()


METRICS: Mapping[str, Callable[[], Metric]] = {
    "exact": _exact,
    "f1": _f1,
    "contains": _contains,
    "choice": _choice,
    "number": _number,
    "json": _json,
}


def metrics_named(names: Sequence[str]) -> list[Metric]:
    """Make metrics by their names, each once. Raises ConfigError for a name there is not."""
    for name in names:
        if name not in METRICS:
            near = get_close_matches(name, METRICS, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"--metric {name}: there is no such metric; there are {', '.join(METRICS)}{meant}")
    return [METRICS[name]() for name in dict.fromkeys(names)]
