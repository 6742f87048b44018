"""The letter that an answer to a multiple-choice question chooses, and whether it is the reference's."""

import re

from pipeline.core.errors import ConfigError
from pipeline.core.scores import About
from pipeline.evaluate.found import Found
from pipeline.version import __version__

_DRESSED = r"[\s*_\"'`‘“(\[{$\\]{0,6}"
_UNDRESSED = r"(?!\w|['’]\w)"
# A and I are words where another word follows.
_CAPITAL = r"(?:([B-HJ])|([AI])(?! (?!because|since|as|is\b)[a-z]))"
_IS = (
    r"(?:\s{1,3}(?i:is|would be|should be|must be|will be))?(?:\s{1,3}(?i:therefore|thus|clearly|likely|most likely|probably))?"
    r"[*_]{0,3}\s{0,3}[:=]?(?:\s{1,3}(?i:option|choice|letter))?"
)
_RIGHT = r"\s(?i:is|must be) (?i:the )?(?i:correct|right|best)\b"
_NOT_WRONG = r"(?![*_)\]]{0,4}\s(?i:is|was|seems|would be) (?i:not|wrong|false|incorrect|too|off)\b)"
# In the order in which they are believed; of several places the last, where reasoning has come to its end. What is said of the
# answer comes before what is said of options: those may be the wrong ones, explained after the answer.
_WAYS = (
    re.compile(r"\\boxed\{(?:\\(?:text|mathrm)(?:bf)?\{|\\mathbf\{){0,2}\s{0,3}\(?([A-J])(?:\)?\s{0,3}\}|[.:,)]\s)"),
    re.compile(rf"(?i:\banswer|\b(?:correct|right|best) (?:option|choice|letter))\b{_IS}{_DRESSED}{_CAPITAL}{_UNDRESSED}"),
    re.compile(
        rf"(?i:\b(?:choose|select|pick))(?i:\s{{1,3}}(?:option|choice|answer|letter))?\b:?{_DRESSED}{_CAPITAL}{_UNDRESSED}"
        rf"|(?<![\w'’])([A-J])[*_)\]]{{0,4}}{_RIGHT}"
    ),
    re.compile(rf"\A{_DRESSED}([A-Ja-j])[\s*_\"'`’”)\]}}$.:,!\\]{{0,6}}\Z"),
    re.compile(rf"\A{_DRESSED}([A-J])(?:[*_)\].:,]|[ \t]{{0,3}}\r?\n){_NOT_WRONG}"),
    re.compile(rf"(?i:\b(?:option|choice)\b){_IS}{_DRESSED}{_CAPITAL}{_UNDRESSED}{_NOT_WRONG}"),
    re.compile(rf"(?<!\w)[(\[]([A-J])[)\]]{_NOT_WRONG}"),
    re.compile(r"(?<![\w'’])(?:([B-HJ])(?!\w|['’]\w)|([AI])(?=[.)\]:,*]|\s*\Z))"),
)
_LETTER = re.compile(r"[\s(\[]*([A-Ja-j])[\s)\].:]*")


def chosen_letter(text: str) -> str | None:
    """Give the letter, A to J, that a text chooses, upper case; None if no way of saying so is found in it.

    The ways, the first that is found counts: \\boxed{B}; "answer is B"; "I choose B", "B is correct"; a text that is a letter
    and no more; one that begins with "B.", "B)" or B on a line; "option B"; "(B)"; a capital letter by itself. A and I may be
    words, and an option that is called wrong is not chosen.
    """
    for way in _WAYS:
        found = None
        for match in way.finditer(text):
            found = match
        if found is not None:
            return str(found.group(found.lastindex or 1)).upper()
    return None


def choice() -> Found[str]:
    """Score 1 where the letter chosen is the reference's."""
    about = About("choice", "Choice", f"letters:A-J|refs:any|rowcall:{__version__}", proportion=True)
    return Found(about, chosen_letter, _reference)


def _reference(text: str) -> str:
    found = _LETTER.fullmatch(text)
    if found is None:
        raise ConfigError(f"--metric choice: a reference is a letter from A to J, and not {text[:60]!r}; name another column")
    return found.group(1).upper()
