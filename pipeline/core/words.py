"""A text's words, in whatever script: what captions are measured and compared by."""

import re

# Thai to Khmer, kana and CJK ideographs: written without spaces, so each character counts as a word.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)
_MARKS = re.compile("[\u3000-\u303f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+")


def number_of_words(text: str) -> int:
    """Count the words that `words_of` gives, at a fraction of its price."""
    return len(text.split() if text.isascii() or not _UNSPACED.search(text) else words_of(text)[1])


def words_of(text: str) -> tuple[str, list[str], bool]:
    """Give the text in lower case with straight apostrophes and single spaces; its words; and whether they are characters.

    They are where some of it is written without spaces: each of its characters there is a word, without punctuation.
    """
    words = text.casefold().replace("’", "'").split()
    plain = " ".join(words)
    if plain.isascii() or not _UNSPACED.search(plain):
        return plain, words, False
    return plain, _UNSPACED.sub(r" \1 ", _MARKS.sub(" ", plain)).split(), True
