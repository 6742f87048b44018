"""Whether what `rowcall evaluate` needs is installed: asked before it is loaded, so this loads none of it."""

from collections.abc import Callable
from importlib.util import find_spec

from pipeline.core.errors import ConfigError
from pipeline.core.extras import missing_extra

_NEEDED = ("jiwer", "numpy", "rapidfuzz", "regex", "rouge_score", "sacrebleu", "scipy")


def check_installed(find: Callable[[str], object | None] = find_spec) -> None:
    """See that the libraries of the extra are there, as `find` knows them. Raises ConfigError."""
    lacking = [name for name in _NEEDED if find(name) is None]
    if lacking:
        raise ConfigError(f"rowcall evaluate needs {', '.join(lacking)}: {missing_extra('evaluate')}")
