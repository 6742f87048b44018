"""A job to run: its config, and what is asked of this run only."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pipeline.config import Config, Override, load_config
from pipeline.core.errors import ConfigError
from pipeline.core.types import ERROR_KINDS

RETRY_KINDS = (*ERROR_KINDS, "length", "empty")


@dataclass(frozen=True, slots=True)
class Job:
    """What `run_job` takes; `Job.load` and `Job.of` make one.

    `limit`: rows from there on do not exist for this run. `retry_failed`: error kinds to ask again, () for all failed
    rows, None for none. `fresh`: set record and output aside and start over. `keep_done`: go on under a changed config.
    `repair`: mend a damaged record first. `deadline`: seconds since the epoch after which nothing is sent.
    """

    config: Config
    limit: int | None = None
    retry_failed: tuple[str, ...] | None = None
    fresh: bool = False
    keep_done: bool = False
    repair: bool = False
    deadline: float | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str], changes: Mapping[str, object] | None = None, **asked: Any) -> Self:
        """Make a job from a config file; `changes` are dotted keys, such as {"limits.concurrency": 8}.

        Raises ConfigError, which names every mistake.
        """
        return cls(load_config(Path(path), _overrides(changes)), **asked)

    @classmethod
    def of(cls, values: Mapping[str, Any], **asked: Any) -> Self:
        """Make a job from the config's sections as mappings; relative paths start from the working directory."""
        return cls(load_config(None, values=values), **asked)

    def check_kinds(self) -> None:
        """See that `retry_failed` names kinds there are. Raises ConfigError."""
        for kind in self.retry_failed or ():
            if kind not in RETRY_KINDS:
                raise ConfigError(f"--retry-failed={kind}: no such kind; allowed: {', '.join(RETRY_KINDS)}")


def _overrides(changes: Mapping[str, object] | None) -> Sequence[Override]:
    return [Override(key, value, key) for key, value in (changes or {}).items()]
