"""Which texts go round in circles: a model that repeats the same words until it is cut off. Linear in the text's length."""

from collections.abc import Sequence
from itertools import pairwise

# So many words (or characters, within one long word and where no spaces are written) have to say what was said just
# before, at one distance, and what is said so has to stand there three times. "ha ha ha", a refrain, and "a man, a woman,
# a dog, a cat" are no loops; the same four words three times over are.
LEAST_WORDS = 8
LEAST_CHARACTERS = 16
_TIMES = 3
# A word of fewer characters cannot hold a loop.
_LONG_WORD = LEAST_CHARACTERS + 2


def is_loop(words: Sequence[str], *, characters: bool = False) -> bool:
    """Tell whether a text goes round somewhere, given its words; with `characters` these are single ones."""
    least = LEAST_CHARACTERS if characters else LEAST_WORDS
    # Each word of a loop stood before: for nearly every caption that is all there is to look at.
    if len(words) - len(set(words)) >= least:
        if _goes_round(words, least):
            return True
        # "1. a dog 2. a dog 3. a dog" goes round too; but of "3 kg 5 kg 4 kg" one word in two is left, and that is a table.
        spoken = [each for each in words if each.isalpha() or _any_letter(each)]
        if len(spoken) < len(words) and _goes_round(spoken, least, shortest=2):
            return True
    if not words or max(map(len, words)) < _LONG_WORD:
        return False
    return any(_goes_round(each, LEAST_CHARACTERS) for each in words if len(each) >= _LONG_WORD)


def _goes_round(units: Sequence[str], least: int, shortest: int = 1) -> bool:
    """Tell whether a stretch of at least `least` units repeats what stood one period before, for two periods or more.

    The period tried at each mismatch is the distance to where the last two units stood before. Only repeats with a
    letter count: rules, tables and rows of zeros are meant.
    """
    # A tenth of what follows costs: all but the first three units of a loop end a triple that was there before.
    if len(units) - 2 - len(set(zip(units, units[1:], units[2:], strict=False))) < least - 2:
        return False
    last: dict[tuple[str, str], int] = {}
    period = run = 0
    for at, pair in enumerate(pairwise(units), 1):
        if period and units[at] == units[at - period]:
            run += 1
            # Looked at once a run, so that long periods without a letter cost no more than their length.
            if run == max(least, (_TIMES - 1) * period) and period >= shortest and _any_letter(units[at - period + 1 : at + 1]):
                return True
        else:
            seen = last.get(pair)
            period, run = (at - seen, 2) if seen is not None else (0, 0)
        last[pair] = at
    return False


def _any_letter(units: Sequence[str]) -> bool:
    return any(character.isalpha() for unit in units for character in unit)
