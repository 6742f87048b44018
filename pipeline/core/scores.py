"""What an evaluation found: scores with their intervals, what had no answer, and how two runs differ. Values only.

They are made by evaluate/, written as JSON, judged by gates and shown by observe/. All text in here may be hostile
(completions, references, cells): whoever shows it escapes it. Scores are on each metric's own `scale`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

from pipeline.core.values import value

Rule = Literal["zero", "drop"]

# Why a row has no answer, in the order in which a row that is several of them counts.
MISSING = ("failed", "refused", "length", "empty")


@value(frozen=True, slots=True)
class About:
    """A metric: `name` as on the command line, `title` as people write it, `signature` all that its numbers depend on.

    The best possible score is `scale` where `higher` is better, 0 where it is not (error rates, which may pass `scale`).
    """

    name: str
    title: str
    signature: str
    scale: float = 1.0
    higher: bool = True
    proportion: bool = False  # each row scores 0 or 1


@value(frozen=True, slots=True)
class Estimate:
    """A score, or a difference of two, and its 95 % interval; both None where there are too few rows, or none that differ.

    `method` says how the interval was found, or why there is none.
    """

    value: float | None
    low: float | None
    high: float | None
    method: str


@value(frozen=True, slots=True)
class Counted:
    """A score over `n` rows."""

    n: int
    estimate: Estimate


@value(frozen=True, slots=True)
class Score:
    """One metric's score, with rows that have no answer counted as empty answers (`zero`), and without them (`drop`).

    `no_answer` counts rows with a completion in which no answer was found (no number, no letter, no match); they are in
    both, as empty answers. None where nothing is looked for in the completion.
    """

    metric: str
    zero: Counted
    drop: Counted
    no_answer: int | None = None


@value(frozen=True, slots=True)
class Group:
    """All rows, or those whose `column` holds `value`. Rows without a reference are `unreferenced`, and in no score.

    `missing` counts those rows with a reference that have no answer, by a name of MISSING. `pending` rows were never
    asked; they are in no score either.
    """

    column: str | None
    value: str | None
    rows: int
    unreferenced: int
    missing: Mapping[str, int]
    scores: Sequence[Score]
    pending: int = 0


@value(frozen=True, slots=True)
class Table:
    """Where rows came from: the file's or folder's name, how many, and the fingerprint of the job that made them, if one did."""

    name: str
    rows: int
    job: str | None = None
    completion: str = "completion"


@value(frozen=True, slots=True)
class Spread:
    """How the rows of all scored by one metric differ: `bins` are low, high and count; the last takes its `high` too."""

    metric: str
    bins: Sequence[tuple[float, float, int]]


@value(frozen=True, slots=True)
class ScoredRow:
    """One row as a person checks it. `cells` are some input columns, by name; `missing` says why there is no answer.

    `answer` is what was found in the completion, None if all of it is the answer or nothing was found.
    """

    index: int
    scores: Mapping[str, float | None]
    references: Sequence[str] = field(repr=False)
    completion: str | None = field(default=None, repr=False)
    answer: str | None = field(default=None, repr=False)
    cells: Mapping[str, str] = field(default_factory=dict, repr=False)
    missing: str | None = None


@value(frozen=True, slots=True)
class Gate:
    """A bound somebody set, what was seen, and whether it holds."""

    text: str
    seen: float | None
    holds: bool


@value(frozen=True, slots=True)
class Evaluation:
    """One table scored. `rule` is the treatment of missing rows that the user chose; `extract` what finds the answer.

    `groups` begins with all rows, then come the groups of each column asked for. `rows` are a sample, worst first.
    """

    version: str
    made: float
    table: Table
    references: Sequence[str]
    rule: Rule
    extract: str | None
    cluster: str | None
    metrics: Sequence[About]
    groups: Sequence[Group]
    spreads: Sequence[Spread]
    notices: Sequence[str] = ()
    gates: Sequence[Gate] = ()
    rows: Sequence[ScoredRow] = field(default=(), repr=False)
    kind: Literal["evaluation"] = "evaluation"


@value(frozen=True, slots=True)
class Compared:
    """Two runs over the same `n` rows: the score of each, `difference` = b - a, rows where b is better, equal, worse.

    `p_value` is McNemar's exact one (two-sided) for scores of 0 and 1, None for others and where rows come in clusters.
    """

    n: int
    a: Estimate
    b: Estimate
    difference: Estimate
    wins: int
    ties: int
    losses: int
    p_value: float | None = None


@value(frozen=True, slots=True)
class Difference:
    """One metric's comparison: rows without an answer on a side as empty answers, and only rows answered on both."""

    metric: str
    zero: Compared
    drop: Compared


@value(frozen=True, slots=True)
class ComparedGroup:
    """All rows, or those whose `column` holds `value`; `missing_a` and `missing_b` by a name of MISSING.

    `pending` rows were not yet asked on one side or both, and are in no score.
    """

    column: str | None
    value: str | None
    rows: int
    unreferenced: int
    missing_a: Mapping[str, int]
    missing_b: Mapping[str, int]
    differences: Sequence[Difference]
    pending: int = 0


@value(frozen=True, slots=True)
class Flip:
    """A row on which the two runs differ much. `scores_a` and `scores_b` by metric."""

    key: str
    scores_a: Mapping[str, float | None]
    scores_b: Mapping[str, float | None]
    references: Sequence[str] = field(repr=False)
    completion_a: str | None = field(default=None, repr=False)
    completion_b: str | None = field(default=None, repr=False)
    cells: Mapping[str, str] = field(default_factory=dict, repr=False)
    missing_a: str | None = None
    missing_b: str | None = None


@value(frozen=True, slots=True)
class Comparison:
    """Two tables scored and compared over the rows whose `key` both hold; `only_a` and `only_b` rows stand on one side only.

    `flips` are the largest differences by the first metric, losses of b before its wins.
    """

    version: str
    made: float
    a: Table
    b: Table
    key: Sequence[str]
    references: Sequence[str]
    rule: Rule
    extract: str | None
    cluster: str | None
    metrics: Sequence[About]
    groups: Sequence[ComparedGroup]
    matched: int
    only_a: int
    only_b: int
    notices: Sequence[str] = ()
    gates: Sequence[Gate] = ()
    flips: Sequence[Flip] = field(default=(), repr=False)
    kind: Literal["comparison"] = "comparison"
