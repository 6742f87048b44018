"""What the template of an evaluation prints, put together by scored.py and compared.py."""

from collections.abc import Sequence
from dataclasses import field

from pipeline.core.scores import About, Gate
from pipeline.core.values import value
from pipeline.observe.evaluation.scale import Scale, Strip
from pipeline.observe.report.sections import Counts, Fact


@value(frozen=True, slots=True)
class Line:
    """One line of the table of all rows. `beside` lines repeat the one above under the other treatment of missing rows."""

    name: str
    note: str
    cells: Sequence[str]
    strip: Strip
    tag: tuple[str, str] | None = None
    beside: bool = False


@value(frozen=True, slots=True)
class Overall:
    """The table of all rows: `drawn` says what its strips show, `columns` name the cells after them."""

    drawn: str
    columns: Sequence[str]
    lines: Sequence[Line]
    scale: Scale


@value(frozen=True, slots=True)
class Branch:
    """One group in a forest; where `heading`, the column's name that the groups below it have in common."""

    name: str
    rows: str = ""
    figure: str = ""
    span: str = ""
    strip: Strip | None = None
    heading: bool = False


@value(frozen=True, slots=True)
class Forest:
    """One metric by groups; `rest` smaller ones are not drawn."""

    title: str
    note: str
    scale: Scale
    branches: Sequence[Branch]
    rest: int = 0


@value(frozen=True, slots=True)
class Bar:
    """One bar of a histogram: place, width and height in hundredths of the drawing."""

    at: float
    width: float
    height: float
    says: str


@value(frozen=True, slots=True)
class Histogram:
    title: str
    bars: Sequence[Bar]
    edges: Sequence[str]
    note: str


@value(frozen=True, slots=True)
class Figures:
    """What is known of all rows and of groups. `lead` says what was compared with what, `guide` how to read it."""

    notices: Sequence[Fact]
    tiles: Sequence[Fact]
    lead: str
    guide: str
    overall: Overall
    forests: Sequence[Forest]
    counts: Sequence[Counts]
    histograms: Sequence[Histogram] = ()


@value(frozen=True, slots=True)
class Part:
    """All of it; `rows` is JSON for the page's script, in pieces, and `chosen` says which rows these are."""

    title: str
    version: str
    made: float
    compares: bool
    figures: Figures
    metrics: Sequence[About]
    gates: Sequence[Gate]
    chosen: str
    script: str = field(repr=False)
    rows: Sequence[str] = field(repr=False)
