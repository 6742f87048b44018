"""Telling a host of pictures that is down from a picture that cannot be had, and both from a network that is unplugged.

    a host that has answered in this run     is in doubt once a picture of its fails and nobody else gets one meanwhile;
                                             down, once two pictures failed so, or one found nobody there
    all hosts, as one more, ANYBODY          in doubt once a host that never answered cannot be reached, and nobody answers;
                                             down, once three such hosts could not

Who fails in doubt waits, and asks again by turns, one every few seconds; who comes new asks, unless it is down. Any answer ends
it, also one that holds no picture. A picture whose host answers others has only itself to blame. Lest all who wait are such, the
witness is asked before them: what was answered last.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum

# Stands for every host there is; no host is called so.
ANYBODY = ""
# One picture that the host cannot give is common; two at once, and nobody else getting one, is not.
LEAST_PICTURES = 2
# In old collections of links one host in five is gone.
LEAST_HOSTS = 3
# A doubt that comes to no more than this is over after so many questions, half a minute: those who waited in it are given up.
MOST_PROBES = 3
# Who was told that its host answers again, and failed again, so often, is given up; of the network, once is enough.
MOST_ROUNDS = 2
FIRST_PROBE_S, MOST_PROBE_S = 5.0, 30.0
# More hosts than that are forgotten, those first that answered longest ago: memory must not grow with the input.
MOST_HOSTS = 10_000
MOST_WITNESS_CHARS = 2000


class Verdict(Enum):
    ALONE = "alone"  # this picture cannot be had
    WAIT = "wait"  # who can tell? ask again when it is one's turn
    NOBODY = "nobody"  # the doubt has come to nothing: this picture cannot be had, nor can those that wait with it
    GIVE_UP = "give up"  # nobody has been answered for too long


@dataclass(frozen=True, slots=True)
class Ended:
    """A doubt that an answer ended, after so many seconds."""

    scope: str
    seconds: float
    was_down: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    at: float
    url: str | None


@dataclass(slots=True)
class _Doubt:
    since: float
    of: set[str] = field(default_factory=set)  # the pictures that failed, or the hosts
    certain: bool = False
    probes: int = 0
    probe_s: float = FIRST_PROBE_S


class HostHealth:
    """`now` in every call is monotonic seconds. `longest`: seconds that a host, or everybody, may be down."""

    def __init__(self, *, longest: float) -> None:
        self._longest = longest
        self._answered: OrderedDict[str, _Answer] = OrderedDict()
        self._latest = _Answer(float("-inf"), None)
        self._doubts: dict[str, _Doubt] = {}

    def scope(self, host: str) -> str:
        """Give what a failure of this host speaks of: the host, or ANYBODY if it never answered."""
        return host if host in self._answered else ANYBODY

    def down(self, host: str) -> str | None:
        """Give what keeps this host from being asked, itself or ANYBODY; None if nothing does."""
        return next((each for each in (ANYBODY, host) if self.is_down(each)), None)

    def is_down(self, scope: str) -> bool:
        doubt = self._doubts.get(scope)
        if doubt is None:
            return False
        return doubt.certain or len(doubt.of) >= (LEAST_HOSTS if scope == ANYBODY else LEAST_PICTURES)

    def answered(self, host: str, url: str, now: float) -> list[Ended]:
        """Note an answer of any kind but a 5xx or 429, and to what it was. Give the doubts that it ends."""
        self._answered[host] = self._latest = _Answer(now, url if len(url) <= MOST_WITNESS_CHARS else None)
        self._answered.move_to_end(host)
        if len(self._answered) > MOST_HOSTS:
            self._answered.popitem(last=False)
        return [self._end(each, now) for each in (host, ANYBODY) if each in self._doubts]

    def failed(
        self, host: str, picture: str, now: float, *, asked_at: float, unreachable: bool, certain: bool, rounds: int, probe: bool
    ) -> Verdict:
        """Judge a picture that failed after all its tries, the last one begun at `asked_at`.

        `picture` is anything that tells it from others. `unreachable`: nobody was there. `certain`: it cannot be the
        picture's own doing. `rounds`: how often it was told before that somebody is answered again; `probe`: it was its
        turn to ask.
        """
        scope = self.scope(host)
        if scope == ANYBODY and not unreachable:
            return Verdict.ALONE
        latest = self._latest if scope == ANYBODY else self._answered[host]
        if latest.at > asked_at or rounds >= (1 if scope == ANYBODY else MOST_ROUNDS):
            return Verdict.ALONE
        doubt = self._doubts.setdefault(scope, _Doubt(now))
        doubt.of.add(host if scope == ANYBODY else picture)
        doubt.certain = doubt.certain or (certain and scope != ANYBODY)
        doubt.probes += probe
        if self.is_down(scope):
            return Verdict.GIVE_UP if probe and now - doubt.since >= self._longest else Verdict.WAIT
        if doubt.probes >= MOST_PROBES:
            self._end(scope, now)
            return Verdict.NOBODY
        return Verdict.WAIT

    def witness(self, scope: str) -> str | None:
        """Give the URL that was last answered there, None if none was."""
        answer = self._latest if scope == ANYBODY else self._answered.get(scope)
        return None if answer is None else answer.url

    def in_doubt(self, scope: str) -> bool:
        return scope in self._doubts

    def probe_after(self, scope: str, draw: float) -> float:
        """Give the seconds until somebody may ask, with `draw` in [0, 1); longer each time."""
        doubt = self._doubts[scope]
        wait, doubt.probe_s = doubt.probe_s * (0.5 + 0.5 * draw), min(doubt.probe_s * 2, MOST_PROBE_S)
        return wait

    def _end(self, scope: str, now: float) -> Ended:
        was_down = self.is_down(scope)
        return Ended(scope, now - self._doubts.pop(scope).since, was_down)
