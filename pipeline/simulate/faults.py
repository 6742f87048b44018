"""What chance brings: how late, which fault, when a request is over the rate. Pure: the server brings the clock.

Unless the user names others, every fault of chance passes: sent again, the same request may be answered.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from pipeline.core.errors import ConfigError

_NORMAL = NormalDist()
# Spread 3 already puts one reply in a hundred at a thousand times the median.
MOST_SPREAD = 3.0
# How an endpoint fails in passing: what `--faults P` plays. Their names as in catalogue.py.
MISHAPS = ("429", "500", "502", "503", "reset", "cut")
_LATENCY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?::(\d+(?:\.\d*)?|\.\d+))?")


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds before a reply: lognormal around `median`. `spread` is the standard deviation of its logarithm; 0 is constant."""

    median: float = 0.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.median < math.inf and 0.0 <= self.spread <= MOST_SPREAD):
            raise ConfigError(f"latency {self.median}:{self.spread}: seconds must be 0 or more, the spread 0 to {MOST_SPREAD:g}")

    @classmethod
    def parse(cls, text: str) -> "Latency":
        """Read `0.2` (constant) or `0.2:0.8` (median and spread)."""
        found = _LATENCY.fullmatch(text.strip())
        if not found:
            raise ConfigError(f"latency {text!r}: give seconds, as 0.2, or median and spread of a lognormal, as 0.2:0.8")
        return cls(float(found[1]), float(found[2] or 0.0))

    def seconds(self, draw: float) -> float:
        """Give the latency at quantile `draw`, strictly between 0 and 1."""
        return self.median * math.exp(self.spread * _NORMAL.inv_cdf(draw)) if self.spread else self.median


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one request: `latency` in seconds, then the fault of this name if any. `draw` is the fault's own chance,
    such as where it cuts a body."""

    latency: float
    fault: str | None
    draw: float


def plan(serial: int, *, seed: int, faults: float, latency: Latency, names: Sequence[str] = MISHAPS) -> Plan:
    """Decide the fate of the request with this serial number, independently of every other request's.

    With probability `faults` it meets one of the faults of these names, each as likely as the next.
    """
    chance, which, late, draw = draws(f"{seed}:{serial}")
    fault = names[int(which * len(names))] if chance < faults else None
    return Plan(latency.seconds(late), fault, draw)


def draws(text: str) -> tuple[float, float, float, float]:
    """Give four independent numbers strictly between 0 and 1 that depend on nothing but `text`."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=32).digest()
    first, second, third, fourth = (int.from_bytes(digest[at : at + 8], "big") >> 12 for at in (0, 8, 16, 24))
    return _unit(first), _unit(second), _unit(third), _unit(fourth)


def _unit(bits: int) -> float:
    """Map 52 bits to the middle of their interval: neither 0 nor 1 is reached, where a quantile would be infinite."""
    return (bits + 0.5) / 2.0**52


class RateWindow:
    """A limit on requests in each window of fixed length; the first request opens the first window.

    Refused requests do not count: who waits for the reset always gets through.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self.used = 0
        self._opened: float | None = None

    def admit(self, now: float) -> bool:
        """Count a request at `now`, any steady clock's seconds. False: the window is full."""
        self._turn(now)
        if self.used >= self.limit:
            return False
        self.used += 1
        return True

    def remaining(self) -> int:
        return self.limit - self.used

    def resets_in(self, now: float) -> float:
        """Give the seconds until the window ends."""
        return self.seconds if self._opened is None else max(self._opened + self.seconds - now, 0.0)

    def _turn(self, now: float) -> None:
        if self._opened is None:
            self._opened = now
        elif now - self._opened >= self.seconds:
            # Windows stay on their grid, so that the reset told in a header holds.
            self._opened += (now - self._opened) // self.seconds * self.seconds
            self.used = 0
