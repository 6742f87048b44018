"""Which rows the gallery shows: failures, what the checks marked, and the rest at even steps. The same rows every time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from pipeline.observe.wording import count

# How much of a sample failed rows may take at most, and marked ones.
_FAILED_SHARE = 0.4
_MARKED_SHARE = 0.2


class Thinned:
    """Ascending rows, thinned as they come: between `room` and twice as many stay, evenly spaced, however many there are."""

    def __init__(self, room: int) -> None:
        self.count = 0
        self._room = max(room, 1)
        self._step = 1
        self._rows: list[int] = []

    def add(self, rows: Sequence[int]) -> None:
        """Meet further rows, all behind those met before."""
        self._rows += rows[-self.count % self._step :: self._step]
        self.count += len(rows)
        while len(self._rows) > 2 * self._room:
            del self._rows[1::2]
            self._step *= 2

    def spread(self, number: int) -> list[int]:
        """Give so many of these rows, first and last of them included, or all that stayed if they are fewer."""
        return _evenly(self._rows, number)


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows of the gallery, ascending, and a sentence that says which of all they are; None: all of them."""

    rows: Sequence[int]
    said: str | None = None


class Sample:
    """Meets every recorded row once, in order, and then chooses at most `most` of them. Keeps a multiple of that in memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed: dict[str, Thinned] = {}
        self._marked: dict[str, Thinned] = {}
        self._all = Thinned(most)

    def add(self, rows: Sequence[int], failed: Iterable[tuple[int, str]], marked: Iterable[tuple[int, str]]) -> None:
        """Meet further rows: those that failed with their kind, and those that were marked with each of their marks.

        The caller sees to it that kinds and marks are few.
        """
        self._all.add(rows)
        self._group(self._failed, failed)
        self._group(self._marked, marked)

    def choose(self, rows: int) -> Choice:
        """Choose from the rows met; the job has `rows`, those still to do among them."""
        met = self._all.count
        if rows <= self._most:
            return Choice(range(rows))
        if met <= self._most:
            return Choice(self._all.spread(met), f"All {count(met)} recorded rows{self._undone(rows - met)}")
        failed = _of_each(self._failed, int(self._most * _FAILED_SHARE))
        marked = _of_each(self._marked, int(self._most * _MARKED_SHARE)) - failed
        rest = self._rest(failed | marked)
        said = f"{count(self._most)} of {count(met)} recorded rows: "
        return Choice(sorted(failed | marked | rest), said + self._sentence(failed, marked, rest) + self._undone(rows - met))

    def _group(self, groups: dict[str, Thinned], rows: Iterable[tuple[int, str]]) -> None:
        found: dict[str, list[int]] = {}
        for row, name in rows:
            found.setdefault(name, []).append(row)
        for name, each in found.items():
            groups.setdefault(name, Thinned(self._most)).add(each)

    def _rest(self, taken: set[int]) -> set[int]:
        others = [row for row in self._all.spread(2 * self._most) if row not in taken]
        return set(_evenly(others, self._most - len(taken)))

    def _sentence(self, failed: set[int], marked: set[int], rest: set[int]) -> str:
        parts = []
        if failed:
            total = sum(each.count for each in self._failed.values())
            whole = len(failed) == total
            parts.append(f"all {count(total)} that failed" if whole else f"{count(len(failed))} of {count(total)} that failed")
        if marked:
            parts.append(f"{count(len(marked))} that were marked ({', '.join(sorted(self._marked))})")
        if rest:
            parts.append(f"{count(len(rest))} at even steps over all" if parts else "at even steps over all")
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)

    @staticmethod
    def _undone(number: int) -> str:
        return f"; {count(number)} more are still to do." if number else "."


def _of_each(groups: Mapping[str, Thinned], room: int) -> set[int]:
    """Give rows of every group, as many of each as of another; what a small one leaves goes to the larger ones."""
    chosen: list[list[int]] = []
    for left, (_, rows) in zip(range(len(groups), 0, -1), sorted(groups.items(), key=lambda each: each[1].count), strict=True):
        share = -(-room // left)
        chosen.append(rows.spread(min(share, room)))
        room -= len(chosen[-1])
    return set(chain.from_iterable(chosen))


def _evenly(rows: Sequence[int], number: int) -> list[int]:
    if number <= 0 or not rows:
        return []
    if number >= len(rows):
        return list(rows)
    if number == 1:
        return [rows[0]]
    return [rows[round(at * (len(rows) - 1) / (number - 1))] for at in range(number)]
