"""A script: episodes of when and what, and which of them a request meets. Pure; the first episode that applies is played."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.core.errors import ConfigError
from pipeline.core.redact import without_keys
from pipeline.simulate import catalogue, reading
from pipeline.simulate.acts import Fault, Given
from pipeline.simulate.faults import RateWindow, draws
from pipeline.simulate.shapes import Style

_NUMBERS = re.compile(r"(\d{1,12})?(-)?(\d{1,12})?")
_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as the script sees it: the `number`-th, `seconds` after the first, with this prompt, sent for the `send`-th time.

    Both counts begin at 1. `reused`: its connection has carried a request before.
    """

    number: int
    seconds: float
    style: Style
    text: str = field(repr=False)
    send: int = 1
    reused: bool = False


@dataclass(frozen=True, slots=True)
class When:
    """Conditions, all of which must hold. The bounds of `numbers` are within it, `until` is not."""

    start: float = 0.0
    until: float = math.inf
    numbers: tuple[float, float] = (1, math.inf)
    every: int = 1
    share: float = 1.0
    text: str = ""
    sends: float = math.inf
    style: Style | None = None

    def holds(self, arrival: Arrival, draw: float) -> bool:
        """`draw` lies strictly between 0 and 1: what `share` is compared with."""
        first, last = self.numbers
        return (
            self.start <= arrival.seconds < self.until
            and first <= arrival.number <= last
            and arrival.number % self.every == 0
            and draw < self.share
            and arrival.send <= self.sends
            and (self.style is None or arrival.style is self.style)
            and self.text in arrival.text
        )


@dataclass(frozen=True, slots=True)
class Episode:
    """When, and what. `name` is what it is counted under."""

    name: str
    when: When
    fault: Fault
    given: Given


@dataclass(frozen=True, slots=True)
class Script:
    episodes: tuple[Episode, ...]


@dataclass(frozen=True, slots=True)
class Strike:
    """What one request meets. `episode` is None where chance brought it."""

    fault: Fault
    given: Given = field(default_factory=dict)
    episode: str | None = None


class Player:
    """Goes through a script: remembers how often each prompt came, and what each rate limit let through. Brings no clock."""

    def __init__(self, script: Script, *, seed: int) -> None:
        self._script = script
        self._seed = seed
        self._sends: Counter[bytes] = Counter()
        self._windows = {each.name: _window(each.given) for each in script.episodes if each.fault.name == catalogue.RATE_LIMIT}

    def count_send(self, body: bytes) -> int:
        """Count a request with this body, and give how often it came by now: asked again, a row sends equal bytes."""
        key = hashlib.blake2b(body, digest_size=8).digest()
        self._sends[key] += 1
        return self._sends[key]

    def strike(self, arrival: Arrival) -> Strike | None:
        """Give what this request meets; None: the ordinary answer."""
        for number, episode in enumerate(self._script.episodes):
            draw = draws(f"{self._seed}:{number}:{arrival.number}")[0]
            if episode.when.holds(arrival, draw) and (arrival.reused or not episode.fault.reused_only):
                given = self._given(episode, arrival)
                if given is not None:
                    return Strike(episode.fault, given, episode.name)
        return None

    def _given(self, episode: Episode, arrival: Arrival) -> Given | None:
        """Give the fault its figures; None where a rate limit lets the request through."""
        if episode.fault.name == catalogue.RATE_LIMIT:
            window = self._windows[episode.name]
            if window.admit(arrival.seconds):
                return None
            return {**episode.given, "retry_after_s": window.resets_in(arrival.seconds)}
        if episode.fault.name == catalogue.REFUSE and math.isfinite(episode.when.until):
            return {"for_s": episode.when.until - arrival.seconds, **episode.given}
        return episode.given


def _window(given: Given) -> RateWindow:
    seconds = given.get("window_s", _WINDOW_S)
    return RateWindow(max(1, round(given["per_minute"] * seconds / 60.0)), seconds)


# -- reading


def read_script(raw: object, name: str) -> Script:
    """Read a script from plain values. Raises ConfigError with one line a mistake, each beginning with `name`."""
    mistakes: list[str] = []
    top = reading.keys(raw, {"episodes": _list}, name, mistakes)
    listed = top.get("episodes", ())
    assert isinstance(listed, Sequence)
    if not listed and not mistakes:
        mistakes.append(f"{name}: episodes: is required: a list of what happens, each with `then` and perhaps `when`")
    episodes = [_episode(each, number, f"{name}: episode {number}", mistakes) for number, each in enumerate(listed, 1)]
    made = tuple(episode for episode in episodes if episode is not None)
    twice = [each for each, times in Counter(episode.name for episode in made).items() if times > 1]
    mistakes += [f"{name}: two episodes are called {each!r:.60}; they could not be told apart when counted" for each in twice]
    if mistakes:
        raise ConfigError(without_keys("\n".join(mistakes)))
    return Script(made)


def _list(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise reading.UnfitError("a list")
    return value


def _mapping(value: object) -> object:
    if not isinstance(value, Mapping):
        raise reading.UnfitError(f"keys with values, of {', '.join(_WHEN)}")
    return value


def _anything(value: object) -> object:
    return value


def _numbers(value: object) -> object:
    """Read `7`, `500-`, `-20`, `100-200`: numbers of requests, both ends within."""
    found = _NUMBERS.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if found and (found[1] or found[3]):
        first = int(found[1] or 1)
        last = int(found[3]) if found[3] else math.inf if found[2] else first
        if 1 <= first <= last:
            return (first, last)
    raise reading.UnfitError("a number of a request from 1 on, or a range: 500-, 100-200, -20")


def _style(value: object) -> object:
    return Style(reading.choice(*(each.value for each in Style))(value))


_EPISODE: Mapping[str, reading.Read] = {"name": reading.text, "when": _mapping, "then": _anything}
# Key -> what it is called in When, and its reader.
_CONDITIONS: Mapping[str, tuple[str, reading.Read]] = {
    "from_s": ("start", reading.number(0)),
    "until_s": ("until", reading.number(0)),
    "requests": ("numbers", _numbers),
    "every": ("every", reading.whole(1)),
    "share": ("share", reading.number(0, 1)),
    "prompt_contains": ("text", reading.text),
    "first_sends": ("sends", reading.whole(1)),
    "style": ("style", _style),
}
_WHEN: Mapping[str, reading.Read] = {key: read for key, (_, read) in _CONDITIONS.items()}


def _episode(raw: object, number: int, where: str, mistakes: list[str]) -> Episode | None:
    before = len(mistakes)
    found = reading.keys(raw, _EPISODE, where, mistakes)
    when = _when(found.get("when", {}), f"{where}: when", mistakes)
    if "then" not in found and len(mistakes) == before:
        mistakes.append(f"{where}: then: is required: the name of a fault, or `fault` with its keys")
    if len(mistakes) > before:
        return None
    then = _then(found["then"], f"{where}: then", mistakes)
    if then is None or when is None:
        return None
    fault, given = then
    return Episode(str(found.get("name", f"{number} {fault.name}")), when, fault, given)


def _when(raw: object, where: str, mistakes: list[str]) -> When | None:
    before = len(mistakes)
    found = reading.keys(raw, _WHEN, where, mistakes)
    if len(mistakes) > before:
        return None
    when = When(**{_CONDITIONS[key][0]: value for key, value in found.items()})  # type: ignore[arg-type]  # as their readers made them
    if when.until <= when.start:
        mistakes.append(f"{where}: until_s {when.until:g} must come after from_s {when.start:g}")
    return when


def _then(raw: object, where: str, mistakes: list[str]) -> tuple[Fault, Given] | None:
    """Read a fault's name, or a mapping of `fault` and the keys that this fault takes."""
    rest = dict(raw) if isinstance(raw, Mapping) else {"fault": raw}
    name = rest.pop("fault", None)
    fault = catalogue.find(str(name)) if isinstance(name, str | int) and not isinstance(name, bool) else None
    if fault is None:
        problem = "fault: is required: a fault by its name" if name is None else catalogue.unknown(str(name))
        mistakes.append(f"{where}: {problem}")
        return None
    before = len(mistakes)
    given = reading.keys(rest, fault.keys, f"{where}: {fault.name}", mistakes)
    mistakes += [f"{where}: {fault.name}.{key}: is required" for key in fault.needs if key not in rest]
    return None if len(mistakes) > before else (fault, given)
