"""Texts that metrics are held against their libraries over: a table of odd ones, and made ones that often share words."""

from collections.abc import Sequence

from hypothesis import strategies as st

# Words that meet often, and whatever else a model or a person may write.
_WORDS = (
    "a",
    "cat",
    "Cat",
    "sits",
    "on",
    "the",
    "mat",
    ".",
    ",",
    "3.5",
    "don't",
    "well-lit",
    "—",
    "狗",
    "café",
    "\u202eabc",
    "\x00",
)
ODD = {
    "empty": "",
    "blank": " \t\n",
    "full-stop": ".",
    "punctuation": "?!... --- ''",
    "nul": "a\x00b \x00",
    "lone-surrogate": "a \ud800 cat",
    "right-to-left": "قطة على السجادة \u202e",
    "chinese": "一只猫坐在垫子上。",
    "separators": "a\x1cb\u2028c\x85d\u00a0e",
    "new-lines": "a cat\n\nsits -\non the mat",
    "entities": "&quot;a&amp;b&lt;c&gt; <skipped>",
    "one-word": "cat",
    "same-word": "cat " * 60,
    "caption": "A cat sits on the mat, next to a well-lit window; it's 3.5 m wide.",
}

texts = st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join) | st.text(max_size=30) | st.sampled_from(list(ODD.values()))
references = texts.filter(str.strip)


def rows(most: int) -> st.SearchStrategy[list[tuple[str, list[str]]]]:
    """Make answers, each with one to `most` references, as many as it happens."""
    return st.lists(st.tuples(texts, st.lists(references, min_size=1, max_size=most)), min_size=1, max_size=6)


def streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """Give references as sacrebleu takes them: every row's first, every row's second, None where there is none."""
    most = max(map(len, references))
    return [[texts[at] if at < len(texts) else None for texts in references] for at in range(most)]
