"""One metric by groups, point and interval of each: a forest plot, whose words are a page's own and not the drawing's."""

from collections.abc import Sequence

from pipeline.core.scores import About, ComparedGroup, Estimate, Group
from pipeline.core.values import value
from pipeline.observe.evaluation.scale import scale_over
from pipeline.observe.evaluation.shapes import Branch, Forest
from pipeline.observe.evaluation.words import change, direction, figure, largest, plain, span, span_of_change, value_of
from pipeline.observe.wording import count

MOST_BRANCHES = 40


@value(frozen=True, slots=True)
class Of:
    """What is drawn of one group: an estimate over so many rows."""

    group: Group | ComparedGroup
    rows: int
    estimate: Estimate
    tone: str = ""


def forest_of(found: Sequence[Of], about: About, *, differences: bool = False) -> Forest | None:
    """Draw all rows and, under each column's name, the largest of its groups; nothing where there are no groups."""
    columns: dict[str, list[Of]] = {}
    for each in found:
        if each.group.column is not None:
            columns.setdefault(each.group.column, []).append(each)
    if not columns:
        return None
    of_all = [each for each in found if each.group.column is None]
    kept, rest = dict[str, list[Of]](), 0
    for column, its in columns.items():
        groups, left_out = largest([each.group for each in its], MOST_BRANCHES)
        names = {id(each) for each in groups}
        kept[column] = [each for each in its if id(each.group) in names]
        rest += left_out
    drawn = [*of_all, *(each for its in kept.values() for each in its)]
    scale = scale_over([each.estimate for each in drawn], about, differences=differences)

    def branch(each: Of) -> Branch:
        said = change(each.estimate.value, about) if differences else figure(each.estimate.value, about)
        interval = span_of_change(each.estimate, about) if differences else span(each.estimate, about)
        name = "all rows" if each.group.column is None else value_of(each.group)
        return Branch(name, count(each.rows), said, interval, scale.strip(each.estimate, each.tone))

    branches = [branch(each) for each in of_all]
    for column, its in kept.items():
        branches += [Branch(plain(column), heading=True), *map(branch, its)]
    return Forest(plain(about.title), direction(about), scale, branches, rest)
