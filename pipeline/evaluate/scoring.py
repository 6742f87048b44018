"""One table's rows scored: batch after batch in, arrays out. Texts are let go; what stays is numbers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.core.errors import ConfigError
from pipeline.core.phrases import LONGEST_REFUSAL, is_refusal
from pipeline.core.scores import MISSING, Rule
from pipeline.evaluate import cells
from pipeline.evaluate.extract import Extractor
from pipeline.evaluate.metric import Flags, Floats, Metric
from pipeline.evaluate.missing import Texts, missing_kinds

Codes = npt.NDArray[np.int32]
Batches = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]

MOST_GROUPS = 1000
MISSING_OR_PENDING = (*MISSING, "pending")
_PLACES: Mapping[str | None, int] = {name: place for place, name in enumerate(MISSING)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a table: which columns are what, how answers are found, by which metrics they are scored."""

    metrics: Sequence[Metric]
    references: Sequence[str]
    completion: str = "completion"
    extractor: Extractor | None = None
    by: Sequence[str] = ()
    cluster: str | None = None
    key: Sequence[str] = ()
    rule: Rule = "zero"
    seed: int = 0

    def check(self, schema: pa.Schema) -> None:
        """See that a table has these columns, of fit types. Raises ConfigError."""
        cells.check_text(schema, self.completion, "--completion")
        for name in self.references:
            cells.check_references(schema, name)
        for name in self.by:
            cells.check_values(schema, name, "--by")
        for name in self.key:
            cells.check_values(schema, name, "--key")
        if self.cluster is not None:
            cells.check_values(schema, self.cluster, "--cluster")

    def columns(self, schema: pa.Schema) -> list[str]:
        """Give the columns that scoring reads."""
        named = [self.completion, *self.references, *self.by, *self.key, *([self.cluster] if self.cluster else [])]
        tops = [cells.top_of(schema, name) for name in named]
        return list(dict.fromkeys([*tops, *(name for name in self.beside if name in schema.names)]))

    @property
    def beside(self) -> tuple[str, str, str]:
        """What a run's output has beside its completion: the names of status, finish reason and extra."""
        prefix = self.completion.removesuffix("completion") if self.completion.endswith("completion") else "\0none "
        return f"{prefix}status", f"{prefix}finish_reason", f"{prefix}extra"


@dataclass(frozen=True, slots=True)
class Coded:
    """A column as numbers: `codes`, shape (n,), says which of `values` a row has."""

    codes: Codes
    values: Sequence[str]


@dataclass(slots=True)
class Rows:
    """What is known of n rows. Arrays have the shape (n,) or (n, k).

    `missing` holds places in core.scores.MISSING, -1 for a row with an answer. Rows that are not `scored` have no score: they
    have no reference, or were never asked (`pending`).
    `refusals` counts answers that read like a refusal, which are scored as answers.
    """

    scored: Flags
    pending: Flags
    missing: npt.NDArray[np.int8]
    found: Flags  # whether the extractor found something; True without one
    scores: dict[str, Floats] = field(default_factory=dict)
    statistics: dict[str, Floats] = field(default_factory=dict)
    unanswered: dict[str, Flags] = field(default_factory=dict)
    groups: dict[str, Coded] = field(default_factory=dict)
    clusters: Codes | None = None
    refusals: int = 0
    blind: dict[str, int] = field(default_factory=dict)  # by metric: rows of whose references it sees nothing

    def __len__(self) -> int:
        return len(self.missing)

    @property
    def answered(self) -> Flags:
        return np.asarray(self.missing < 0)


@dataclass(frozen=True, slots=True)
class Texted:
    """A batch of rows as texts. `answers` are what is scored: "" where there is none."""

    completions: Texts
    kinds: Texts
    answers: Sequence[str]
    found: Sequence[bool]
    references: cells.References


def texted(batch: pa.RecordBatch, plan: Plan) -> Texted:
    """Read a batch: which rows have an answer, and what it is."""
    completions = cells.texts_of(cells.column_of(batch, plan.completion))
    beside = [cells.texts_of(batch.column(name)) if cells.has_text(batch.schema, name) else None for name in plan.beside]
    kinds = missing_kinds(completions, *beside)
    answers = [text if kind is None and text is not None else "" for text, kind in zip(completions, kinds, strict=True)]
    found = [True] * len(answers)
    if plan.extractor is not None:
        extracted = [plan.extractor.find(each) if each else None for each in answers]
        found = [each is not None for each in extracted]
        answers = [each or "" for each in extracted]
    references = cells.references_of([cells.column_of(batch, name) for name in plan.references])
    return Texted(completions, kinds, answers, found, references)


def score_rows(
    batches: Batches,
    schema: pa.Schema,
    count: int,
    plan: Plan,
    *,
    only: Flags | None = None,
    learn: bool = True,
    seen: Callable[[int], object] = lambda rows: None,
) -> Rows:
    """Score the `count` rows that `batches` gives, or `only` those marked. `seen` is told of every batch's rows.

    Metrics that learn have the references read to them first, unless they were (`learn`). Raises ConfigError for
    references a metric cannot take.
    """
    plan.check(schema)
    learners = [each for each in plan.metrics if each.learns and learn]
    if learners:
        _learn(learners, batches, schema, plan, only, seen)
    gathered = _Gathered(count, plan)
    at = 0
    for batch in batches(plan.columns(schema)):
        within = slice(at, at + batch.num_rows)
        gathered.add(at, batch, None if only is None else only[within])
        at += batch.num_rows
        seen(batch.num_rows)
    if at != count:
        raise ConfigError(f"the table has {at:,} rows where {count:,} were announced: it changed while it was read")
    return gathered.rows()


def _learn(
    learners: Sequence[Metric],
    batches: Batches,
    schema: pa.Schema,
    plan: Plan,
    only: Flags | None,
    seen: Callable[[int], object],
) -> None:
    tops = dict.fromkeys(cells.top_of(schema, name) for name in plan.references)
    at = 0
    for batch in batches(list(tops)):
        references = cells.references_of([cells.column_of(batch, name) for name in plan.references])
        wanted = [each for row, each in enumerate(references, at) if each and (only is None or only[row])]
        for metric in learners:
            metric.learn(wanted)
        at += batch.num_rows
        seen(batch.num_rows)


class _Gathered:
    """Arrays that fill as batches come."""

    def __init__(self, count: int, plan: Plan) -> None:
        self._plan = plan
        nobody = np.zeros(count, np.bool_)
        self._rows = Rows(nobody, nobody.copy(), np.full(count, -1, np.int8), np.ones(count, np.bool_))
        self._coders = {name: _Coder(count, name, "--by", MOST_GROUPS) for name in plan.by}
        self._cluster = _Coder(count, plan.cluster, "--cluster", None) if plan.cluster else None
        # A metric that scores two tables counts on.
        self._blind = {each.about.name: getattr(each, "blind", 0) for each in plan.metrics}

    def add(self, at: int, batch: pa.RecordBatch, only: Flags | None) -> None:
        rows, plan = self._rows, self._plan
        texts = texted(batch, plan)
        within = slice(at, at + batch.num_rows)
        rows.missing[within] = [_PLACES.get(each, -1) for each in texts.kinds]
        rows.pending[within] = [each == "pending" for each in texts.kinds]
        rows.found[within] = texts.found
        scored = np.fromiter(map(bool, texts.references), np.bool_, batch.num_rows) & ~rows.pending[within]
        if only is not None:
            scored &= only
        rows.scored[within] = scored
        for name, coder in self._coders.items():
            coder.add(at, cells.texts_of(cells.column_of(batch, name)))
        if self._cluster is not None and plan.cluster is not None:
            shared = cells.texts_of(cells.column_of(batch, plan.cluster))
            # A row whose source nobody knows shares it with no other.
            self._cluster.add(at, [f"\0{row}" if each is None else each for row, each in enumerate(shared, at)])
        taken = scored.tolist()
        answers, references = list(compress(texts.answers, taken)), list(compress(texts.references, taken))
        said = zip(compress(texts.completions, taken), compress(texts.kinds, taken), strict=True)
        rows.refusals += sum(kind is None and _reads_like_refusal(text or "") for text, kind in said)
        for metric in plan.metrics:
            self._score(metric, answers, references, at + np.flatnonzero(scored))

    def _score(
        self, metric: Metric, answers: Sequence[str], references: Sequence[Sequence[str]], places: npt.NDArray[np.int64]
    ) -> None:
        if not answers:
            return
        rows, count = self._rows, len(self._rows)
        scored, name = metric.score(answers, references), metric.about.name
        if name not in rows.scores:
            rows.scores[name] = np.full(count, np.nan)
            rows.statistics[name] = np.zeros((count, scored.statistics.shape[1]))
            if scored.unanswered is not None:
                rows.unanswered[name] = np.zeros(count, np.bool_)
        rows.scores[name][places] = scored.rows
        rows.statistics[name][places] = scored.statistics
        if scored.unanswered is not None:
            rows.unanswered[name][places] = scored.unanswered

    def rows(self) -> Rows:
        rows = self._rows
        for metric in self._plan.metrics:  # where no row has a reference
            rows.scores.setdefault(metric.about.name, np.full(len(rows), np.nan))
            rows.statistics.setdefault(metric.about.name, np.zeros((len(rows), 1)))
        rows.blind = {each.about.name: getattr(each, "blind", 0) - self._blind[each.about.name] for each in self._plan.metrics}
        rows.groups = {name: coder.coded() for name, coder in self._coders.items()}
        rows.clusters = None if self._cluster is None else self._cluster.coded().codes
        return rows


class _Coder:
    """Numbers a column's values in the order in which they come. A null is a value of its own."""

    def __init__(self, count: int, name: str, option: str, most: int | None) -> None:
        self._codes = np.zeros(count, np.int32)
        self._known: dict[str | None, int] = {}
        self._name, self._option, self._most = name, option, most

    def add(self, at: int, values: Sequence[str | None]) -> None:
        known = self._known
        self._codes[at : at + len(values)] = [known.setdefault(each, len(known)) for each in values]
        if self._most is not None and len(known) > self._most:
            raise ConfigError(
                f"{self._option} {self._name}: more than {self._most:,} different values; name a column that makes fewer groups"
            )

    def coded(self) -> Coded:
        return Coded(self._codes, ["(none)" if each is None else each for each in self._known])


def _reads_like_refusal(text: str) -> bool:
    return len(text) <= LONGEST_REFUSAL and is_refusal(text.lower())


def counts_of(missing: npt.NDArray[np.int8]) -> Mapping[str, int]:
    """Count rows without an answer by kind; kinds of which there are none are left out."""
    counted: Iterable[tuple[str, int]] = ((name, int(np.count_nonzero(missing == at))) for at, name in enumerate(MISSING))
    return {name: number for name, number in counted if number}
