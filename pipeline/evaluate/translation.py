"""BLEU, chrF and TER: sacrebleu's statistics of each row, and its formulas over many sums of them at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.lib_ter import translation_edit_rate
from sacrebleu.metrics.ter import TER
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_char import TokenizerChar
from sacrebleu.tokenizers.tokenizer_intl import TokenizerV14International
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp
from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from pipeline.core.scores import About
from pipeline.evaluate.metric import Floats, Scored

# sacrebleu looks for shifts in up to 1000 rounds of slow edit distances: 0.3 s where half of 100 words differ, 2.7 s where
# they are few and go round, 117 s for 800 words. In longer texts, edits are counted without shifts.
LONGEST_SHIFTED = 100

_ORDERS = 4  # of BLEU's word n-grams
_CHARACTERS = 6  # the order of chrF's
_BETA = 2


def bleu(tokenize: str = "13a") -> "Translation":
    """BLEU with sacrebleu's defaults but for its tokenizer; a row's own score takes the orders it has (`effective_order`)."""
    # `force` silences a warning that texts look tokenized.
    return Translation("bleu", "BLEU", BLEU(force=True, tokenize=tokenize), 2 + 2 * _ORDERS, _bleu, _bleu_of_row, "|rows-eff:yes")


def chrf() -> "Translation":
    """chrF2 with sacrebleu's defaults."""
    return Translation("chrf", "chrF2", CHRF(), 3 * _CHARACTERS, _chrf)


def ter() -> "Translation":
    """TER with sacrebleu's defaults, but without shifts in texts of more than LONGEST_SHIFTED words; the signature says if so."""
    return Translation("ter", "TER", _BoundedTER(), 2, _ter, higher=False)


class Translation:
    """One of sacrebleu's metrics. `width` is the number of statistics, `formula` what turns sums of them into scores.

    `formula_of_row` does so for a single row, where that differs.
    """

    learns = False

    def __init__(
        self,
        name: str,
        title: str,
        metric: BLEU | CHRF | TER,
        width: int,
        formula: Callable[[Floats], Floats],
        formula_of_row: Callable[[Floats], Floats] | None = None,
        note: str = "",
        *,
        higher: bool = True,
    ) -> None:
        self._name = name
        self._title = title
        self._metric = metric
        self._width = width
        self._formula = formula
        self._formula_of_row = formula_of_row or formula
        self._note = note
        self._higher = higher
        self._references: set[int] = set()

    @property
    def about(self) -> About:
        """Its signature is sacrebleu's, which tells how many references rows had: ask when all are scored."""
        seen = self._references
        self._metric.num_refs = -1 if len(seen) > 1 else max(seen, default=0)
        note = self._metric.note if isinstance(self._metric, _BoundedTER) else self._note
        signature = f"{self._metric.get_signature()}{note}"
        return About(self._name, self._title, signature, scale=100.0, higher=self._higher)

    def learn(self, references: Sequence[Sequence[str]]) -> None:
        """Meet references; there is nothing to learn."""

    def score(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
        """Score n rows."""
        if not answers:
            return Scored(np.empty(0), np.empty((0, self._width)))
        self._references.update(map(len, references))
        # Row by row: the library holds the n-grams of all references that it is given at once, of chrF 23 kB a caption.
        extract = self._metric._extract_corpus_statistics
        counted = [extract([answer], [[text] for text in texts])[0] for answer, texts in zip(answers, references, strict=True)]
        statistics = np.array(counted, dtype=np.float64)
        _forget_texts()
        return Scored(self._formula_of_row(statistics), statistics)

    def overall(self, sums: Floats, n: Floats) -> Floats:
        return self._formula(sums)


def _forget_texts() -> None:
    """Empty sacrebleu's memory of texts: it keeps 65,536 of them however long they are, 26 GB if each is of 200 kB."""
    for tokenizer in (Tokenizer13a, TokenizerRegexp, TercomTokenizer, TokenizerV14International, TokenizerZh, TokenizerChar):
        cast("Any", tokenizer.__call__).cache_clear()


class _BoundedTER(TER):
    """TER whose time is bounded: see LONGEST_SHIFTED."""

    note = ""

    def _compute_segment_statistics(self, hypothesis: str, ref_kwargs: Mapping[str, Any]) -> list[float]:
        """Give the fewest edits to any reference, and the mean length of references."""
        answer = hypothesis.split()
        references: list[list[str]] = ref_kwargs["ref_words"]
        return [min(self._edits(answer, each) for each in references), sum(map(len, references)) / len(references)]

    def _edits(self, answer: list[str], reference: list[str]) -> int:
        if max(len(answer), len(reference)) <= LONGEST_SHIFTED:
            return translation_edit_rate(answer, reference)[0]
        self.note = f"|shifts:to-{LONGEST_SHIFTED}-words"
        return Levenshtein.distance(answer, reference)


def _bleu(sums: Floats, *, effective: bool = False) -> Floats:
    """BLEU of sums: lengths of answers and of references, n-grams that match, n-grams; smoothed as NIST does ("exp").

    `effective` leaves out orders of which there is no n-gram, which otherwise make the score 0.
    """
    answers, references = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + _ORDERS], sums[..., 2 + _ORDERS :]
    logs = np.zeros(sums.shape[:-1])
    orders = np.zeros(sums.shape[:-1])
    smooth = np.ones(sums.shape[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        for order in range(_ORDERS):
            match, total = matches[..., order], totals[..., order]
            smooth = np.where(match == 0, 2 * smooth, smooth)
            precision = np.where(match == 0, 1 / smooth, match) / total
            logs += np.where(total > 0, np.log(100 * precision), 0.0 if effective else -np.inf)
            orders += total > 0
        brevity = np.where(answers < references, np.exp(1 - references / answers), 1.0)
        scores = brevity * np.exp(logs / (orders if effective else _ORDERS))
    return np.where(matches.any(axis=-1), scores, 0.0)


def _bleu_of_row(statistics: Floats) -> Floats:
    return _bleu(statistics, effective=True)


def _chrf(sums: Floats) -> Floats:
    """chrF of sums: for each order the n-grams of answers, of references and of both. Orders that either lacks do not count."""
    answers, references, matches = np.moveaxis(sums.reshape(*sums.shape[:-1], _CHARACTERS, 3), -1, 0)
    counted = (answers > 0) & (references > 0)
    orders = np.maximum(counted.sum(axis=-1), 1)
    precision = np.divide(matches, answers, out=np.zeros_like(matches), where=counted).sum(axis=-1) / orders
    recall = np.divide(matches, references, out=np.zeros_like(matches), where=counted).sum(axis=-1) / orders
    weighted = _BETA**2 * precision + recall
    product = (1 + _BETA**2) * precision * recall
    return np.asarray(100 * np.divide(product, weighted, out=np.zeros_like(weighted), where=weighted > 0))


def _ter(sums: Floats) -> Floats:
    """TER of sums: edits, and mean lengths of references."""
    edits, lengths = sums[..., 0], sums[..., 1]
    return 100 * np.divide(edits, lengths, out=np.array(edits > 0, dtype=np.float64), where=lengths > 0)
