"""What a run is given besides its settings, and what it gives back."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.core.tally import Tally, Traffic
from pipeline.core.types import Part


@dataclass(frozen=True, slots=True)
class Work:
    """What to do: parts with rows to ask, in order, and the job so far.

    `rows` is how many the job has, within --limit; `tally` what is recorded of them; `again` how many recorded rows
    are asked again in a retry.
    """

    parts: Sequence[Part]
    rows: int
    tally: Tally
    again: int = 0


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, passed in so that a test can choose them. `now` must go with the loop's timers."""

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    draw: Callable[[], float] = random.random


REAL_TIME = Clock()


@dataclass(frozen=True, slots=True)
class Result:
    """What the run did. `resumed` rows were recorded before it."""

    tally: Tally
    traffic: Traffic
    resumed: int
    seconds: float
    stopped: str | None
    stop_code: int
