"""Which rows each part holds, where the journal's own list of them has holes. Pure."""

from collections.abc import Iterator, Mapping

from pipeline.core.parts import plan
from pipeline.core.types import Part


def tiled(known: Mapping[int, Part], *, published: int, upto: int, part_rows: int) -> list[Part] | None:
    """Give all parts in order: the known ones, and between them as many as their numbers leave room for.

    Rows up to `published` lie in the output, which ends where a part does. Behind the last known part more follow up to
    row `upto`, of `part_rows` rows each. None if the known ones do not fit together.
    """
    parts: list[Part] = []
    for part in sorted(known.values(), key=lambda each: each.id):
        filled = list(_between(parts[-1] if parts else Part(-1, 0, 0), part, published))
        if not filled and (part.id, part.start) != (len(parts), parts[-1].stop if parts else 0):
            return None
        parts += [*filled, part]
    for end in (published, upto):
        at = parts[-1].stop if parts else 0
        parts += plan(at, end, part_rows, next_id=len(parts))
    return parts if all(len(each) > 0 for each in parts) else None


def _between(before: Part, after: Part, published: int) -> Iterator[Part]:
    """Cut the rows between two parts into as many as there are numbers between theirs; one of the cuts is at `published`."""
    numbers, start, stop = after.id - before.id - 1, before.stop, after.start
    if numbers < 1 or stop - start < numbers:
        return
    ends = [start + (stop - start) * count // numbers for count in range(1, numbers + 1)]
    if start < published < stop and numbers > 1:
        inner = max(1, numbers - (stop - published), min(numbers - 1, published - start))
        rest = numbers - inner
        ends = [start + (published - start) * count // inner for count in range(1, inner + 1)]
        ends += [published + (stop - published) * count // rest for count in range(1, rest + 1)]
    for id_, end in enumerate(ends, before.id + 1):
        yield Part(id_, start, end)
        start = end
