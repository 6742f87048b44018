"""Evaluations and comparisons as evaluate/ would give them, made up: ordinary, large, empty, hostile."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.core.scores import (
    About,
    Compared,
    ComparedGroup,
    Comparison,
    Counted,
    Difference,
    Estimate,
    Evaluation,
    Flip,
    Gate,
    Group,
    Score,
    ScoredRow,
    Spread,
    Table,
)

MADE = 1_790_000_000.0
EXACT = About("exact", "Exact match", "exact|norm:squad|rowcall:0.1.0", proportion=True)
F1 = About("f1", "F1 of words", "f1|norm:squad|average:row|rowcall:0.1.0")
BLEU = About("bleu", "BLEU", "nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1", scale=100.0)
WER = About("wer", "Word error rate", "wer|norm:lower,space|jiwer:4.0.0", higher=False)
METRICS = (EXACT, F1, BLEU, WER)
MISSING = {"failed": 61, "length": 143, "empty": 4, "refused": 12}
CATEGORIES = ("animal", "building", "food", "landscape", "person", "vehicle")
PRECISE = {"exact": 0.7124, "f1": 0.8391, "bleu": 34.218, "wer": 0.2874}
_CAPTIONS = (
    ("a cat lies on a blue chair", "A grey cat is sleeping on a chair."),
    ("two boats in a harbour at dusk", "Two fishing boats lie in a harbour at sunset."),
    ("a man rides a bicycle", "A man in a red jacket rides a bicycle down a street."),
)


def estimate(about: About, value: float, n: int) -> Estimate:
    """Give an interval as wide as so many rows would have it."""
    half = about.scale * 1.96 * (0.21 / n) ** 0.5
    method = "Wilson" if about.proportion else "BCa bootstrap, 9,999 resamples"
    return Estimate(value, max(value - half, 0.0), min(value + half, about.scale) if about.higher else value + half, method)


def group(
    column: str | None,
    value: str | None,
    rows: int,
    shift: float = 0.0,
    metrics: Sequence[About] = METRICS,
    unreferenced: int = 0,
) -> Group:
    """Give a group whose scores lie `shift` (of the scale) above the usual ones; one row in twenty-two is missing."""
    missing = {kind: number * rows // 4948 for kind, number in MISSING.items() if number * rows // 4948}
    scored = rows - unreferenced
    answered = scored - sum(missing.values())
    scores = []
    for about in metrics:
        precise = PRECISE[about.name] + about.scale * shift
        zero = precise * answered / scored if about.higher else precise * answered / scored + 1 - answered / scored
        scores.append(
            Score(
                about.name,
                Counted(scored, estimate(about, zero, scored)),
                Counted(answered, estimate(about, precise, answered)),
                no_answer=answered // 80 if about is EXACT else None,
            )
        )
    return Group(column, value, rows, unreferenced, missing, scores)


def evaluation(groups: int = 0, rows: int = 200) -> Evaluation:
    """Give the evaluation of a captioning job by category, and with `groups` further ones by source."""
    chance = random.Random(3)
    by = [group("category", each, chance.randrange(300, 1300), chance.uniform(-0.15, 0.1)) for each in CATEGORIES]
    many = [group("source", f"source {each:04}", chance.randrange(30, 90), chance.uniform(-0.1, 0.1)) for each in range(groups)]
    return Evaluation(
        version="0.1.0",
        made=MADE,
        table=Table("captions.parquet", 4948, job="0123456789abcdef"),
        references=["caption_a", "caption_b"],
        rule="zero",
        extract="regex ^Caption: (.*)$",
        cluster=None,
        metrics=METRICS,
        groups=[group(None, None, 4948, unreferenced=148), *by, *many],
        spreads=[Spread(about.name, _bins(about, chance)) for about in METRICS],
        notices=["wer: 3 references are longer than 200 words and were scored as they are"],
        gates=[Gate("exact>=0.60", 0.6791, True), Gate("f1.low>=0.85", 0.8013, False)],
        rows=[_row(chance, each) for each in range(rows)],
    )


def empty() -> Evaluation:
    """Give the evaluation of a table without rows."""
    nothing = Counted(0, Estimate(None, None, None, "no rows"))
    return Evaluation(
        **{"version": "0.1.0", "made": MADE, "table": Table("none.parquet", 0), "references": ["answer"], "rule": "drop"},
        **{"extract": None, "cluster": None, "metrics": [EXACT], "spreads": [Spread("exact", [])]},
        groups=[Group(None, None, 0, 0, {}, [Score("exact", nothing, nothing)])],
    )


def single() -> Evaluation:
    """Give the evaluation of one row: a score, and no interval."""
    one = Counted(1, Estimate(1.0, None, None, "too few rows"))
    return replace(
        empty(),
        table=Table("one.parquet", 1),
        metrics=[F1],
        groups=[Group(None, None, 1, 0, {}, [Score("f1", one, one)])],
        spreads=[Spread("f1", [(0.9, 1.0, 1)])],
        rows=[ScoredRow(0, {"f1": 1.0}, ["Paris"], "Paris")],
    )


def comparison(groups: bool = True, flips: int = 60) -> Comparison:
    """Give the comparison of two runs."""
    chance = random.Random(4)
    by = [_compared_group("category", each, chance.randrange(300, 1300), chance) for each in CATEGORIES] if groups else []
    return Comparison(
        version="0.1.0",
        made=MADE,
        a=Table("captions-short.parquet", 4948),
        b=Table("captions-long.parquet", 4951),
        key=["image_id"],
        references=["caption_a", "caption_b"],
        rule="zero",
        extract=None,
        cluster=None,
        metrics=METRICS,
        groups=[_compared_group(None, None, 4940, chance), *by],
        matched=4940,
        only_a=8,
        only_b=11,
        gates=[Gate("exact.difference>=0", 0.0214, True)],
        flips=[_flip(chance, each, flips) for each in range(flips)],
    )


def hostile(text: str) -> Evaluation:
    """Give an evaluation in which every text is this one."""
    about = About(text, text, text)
    counted = Counted(3, Estimate(0.5, 0.2, 0.8, text))
    row = ScoredRow(1, {text: 0.5}, [text, text], text, text, {text: text}, text)
    found = Group(text, text, 3, 1, {text: 1}, [Score(text, counted, counted, 1)])
    return Evaluation(
        **{"version": text, "made": MADE, "table": Table(text, 3, text, text), "references": [text], "rule": "zero"},
        **{"extract": text, "cluster": text, "metrics": [about], "spreads": [Spread(text, [(0.0, 1.0, 3)])]},
        **{"groups": [replace(found, column=None, value=None), found], "notices": [text], "gates": [Gate(text, 0.5, False)]},
        rows=[row],
    )


def hostile_comparison(text: str) -> Comparison:
    """Give a comparison in which every text is this one."""
    plain, one = hostile(text), Estimate(0.5, 0.2, 0.8, text)
    compared = Compared(3, one, one, one, 1, 1, 1, 0.5)
    found = ComparedGroup(text, text, 3, 1, {text: 1}, {text: 2}, [Difference(text, compared, compared)])
    return Comparison(
        **{"version": text, "made": MADE, "a": plain.table, "b": plain.table, "key": [text], "references": [text]},
        **{"rule": "drop", "extract": text, "cluster": text, "metrics": plain.metrics, "matched": 3, "only_a": 1, "only_b": 0},
        **{"groups": [replace(found, column=None, value=None), found], "notices": [text], "gates": plain.gates},
        flips=[Flip(text, {text: 1.0}, {text: 0.0}, [text], text, text, {text: text}, text, text)],
    )


def _bins(about: About, chance: random.Random) -> list[tuple[float, float, int]]:
    width = about.scale / 10
    return [(width * each, width * (each + 1), chance.randrange(20, 120) * (each + 1)) for each in range(10)]


def _row(chance: random.Random, number: int) -> ScoredRow:
    reference, completion = _CAPTIONS[number % len(_CAPTIONS)]
    missing = None if number % 9 else chance.choice(("failed", "length", "empty"))
    low = number / 200
    return ScoredRow(
        chance.randrange(5000),
        {"exact": float(number > 150), "f1": low, "bleu": 100 * low, "wer": 1.4 - low} if not missing else _worst(),
        [reference, reference.capitalize()],
        completion if missing is None else completion[:20] if missing == "length" else None,
        "a cat" if missing is None and not number % 5 else None,
        {"title": f"Photograph {number}", "category": CATEGORIES[number % len(CATEGORIES)]},
        missing,
    )


def _worst() -> Mapping[str, float | None]:
    return {"exact": 0.0, "f1": 0.0, "bleu": None, "wer": 1.0}


def _compared_group(column: str | None, value: str | None, rows: int, chance: random.Random) -> ComparedGroup:
    differences = []
    for about in METRICS:
        a = PRECISE[about.name] + about.scale * chance.uniform(-0.05, 0.05)
        shift = about.scale * chance.uniform(-0.03, 0.05)
        half = about.scale * 0.9 / rows**0.5
        method = "paired BCa bootstrap, 9,999 resamples"
        zero = Compared(
            rows,
            estimate(about, a, rows),
            estimate(about, a + shift, rows),
            Estimate(shift, shift - half, shift + half, method),
            rows // 6,
            rows - rows // 6 - rows // 7,
            rows // 7,
            0.0312 if about.proportion else None,
        )
        answered = replace(zero, n=rows - rows // 40)
        differences.append(Difference(about.name, zero, answered))
    return ComparedGroup(
        column, value, rows, 0, {"failed": rows // 80}, {"failed": rows // 120, "length": rows // 90}, differences
    )


def _flip(chance: random.Random, number: int, of: int) -> Flip:
    reference, completion = _CAPTIONS[number % len(_CAPTIONS)]
    lost = number < of // 2
    missing = "length" if lost and number % 4 == 0 else None
    best = {"exact": 1.0, "f1": 1.0, "bleu": 100.0, "wer": 0.0}
    worst = {"exact": 0.0, "f1": chance.uniform(0, 0.3), "bleu": None if missing else 4.2, "wer": 1.1}
    right, wrong = reference, None if missing else completion
    return Flip(
        f"image-{chance.randrange(10**6):06}",
        best if lost else worst,
        worst if lost else best,
        [reference, reference.capitalize()],
        right if lost else wrong,
        wrong if lost else right,
        {"category": CATEGORIES[number % len(CATEGORIES)]},
        None,
        missing,
    )
