"""What the simulator counted: the other side's truth about a run, which tests compare with the run's own."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.simulate.answers import Answer
from pipeline.simulate.faults import MISHAPS


@dataclass
class Counts:
    """Tallies since the start.

    `served`: replies of status 200 handed whole to an open connection. `unread`: replies that were ready when the client had
    gone. `digests` counts both kinds for each digest that a prompt carried, for both would have been billed.
    `lost`: replies that were worked out, and would have been billed, but that a fault kept from being read: no fault of the
    client's, so they are in no digest's count, and their tokens are counted apart. `episodes`: how often each one of the
    script was played.
    """

    requests: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    served: int = 0
    unread: int = 0
    lost: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    refusals: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    digests: Counter[str] = field(default_factory=Counter)
    episodes: dict[str, int] = field(default_factory=dict)
    lost_prompt_tokens: int = 0
    lost_completion_tokens: int = 0

    def arrive(self) -> int:
        """Count a request; gives its serial number."""
        serial = self.requests
        self.requests += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        return serial

    def leave(self) -> None:
        self.in_flight -= 1

    def refuse(self, status: int) -> None:
        self.refusals[status] += 1

    def fault(self, name: str, episode: str | None = None) -> None:
        self.faults[name] += 1
        if episode is not None:
            self.episodes[episode] += 1

    def lose(self, answer: Answer) -> None:
        self.lost += 1
        self.lost_prompt_tokens += answer.prompt_tokens
        self.lost_completion_tokens += answer.completion_tokens

    def serve(self, answer: Answer, *, whole: bool) -> None:
        if whole:
            self.served += 1
        else:
            self.unread += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        self.digests.update(answer.digests)

    def picture(self, *, each_digest: bool = False) -> dict[str, object]:
        """Give everything as JSON values. `digests.most` is how often the same digest was served at most."""
        digests = dict(self.digests)  # a copy in one step: another thread may be asking
        return {
            "requests": self.requests,
            "served": self.served,
            "unread": self.unread,
            "lost": self.lost,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "refusals": _named(self.refusals.items()),
            "faults": {**dict.fromkeys(MISHAPS, 0), **self.faults},
            "episodes": dict(self.episodes),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "lost_prompt_tokens": self.lost_prompt_tokens,
            "lost_completion_tokens": self.lost_completion_tokens,
            "digests": {
                "seen": len(digests),
                "served_twice": sum(times > 1 for times in digests.values()),
                "extra": sum(digests.values()) - len(digests),
                "most": max(digests.values(), default=0),
                **({"each": digests} if each_digest else {}),
            },
        }


def _named(counts: Iterable[tuple[int, int]]) -> dict[str, int]:
    return {str(status): count for status, count in sorted(counts)}
