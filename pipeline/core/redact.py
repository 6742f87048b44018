"""Keeping secrets out of everything that is written, and foreign text harmless where it is shown."""

import base64
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

HIDDEN = "***"
MOST_CHARS = 500
# What looks like somebody's key although it is not ours: gateways quote keys, sometimes another customer's.
_KEY_LIKE = re.compile(
    r"\b(?:sk|pk|rk|SG|hf|gsk|xai|nvapi|r8|ghp|glpat)[-_][A-Za-z0-9_-]{16,}"
    r"|\bAIza[A-Za-z0-9_-]{30,}"  # Google
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"  # a JSON web token
    # With a digit or padding: a message may well speak of "bearer authentication".
    r"|\b(?:[Bb]earer|[Bb]asic)\s+(?=[^\s0-9=]*[0-9=])[A-Za-z0-9._~+/=-]{8,}",
    re.ASCII,
)
# Bidirectional controls reorder what a person reads; line and paragraph separators forge lines.
_INVISIBLE = re.compile("[\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
# File names and replies may hold halves of surrogate pairs, which no file and no database takes.
_SURROGATE = re.compile("[\ud800-\udfff]")
# A shorter "secret" would be found in innocent text all over a message.
_LEAST_SECRET = 4
# Up to here a secret of nothing but letters, or nothing but digits, may be an ordinary word or number.
_LONGEST_WORD = 15


def harmless(text: str, limit: int = MOST_CHARS) -> str:
    """Give text as one line for a terminal or a log: controls visible as \\xNN, direction changes gone, cut at `limit`."""
    text = text[: 4 * limit]
    line = _CONTROL.sub(_visible, _INVISIBLE.sub("", text.replace("\n", " ")).replace("\t", " "))
    line = _SURROGATE.sub("\ufffd", line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def looks_like_key(text: str) -> bool:
    """Tell whether text holds what looks like somebody's key."""
    return _KEY_LIKE.search(text) is not None


def without_keys(text: str) -> str:
    """Hide what looks like somebody's key."""
    return _KEY_LIKE.sub(HIDDEN, text)


class Redactor:
    """Replaces these secrets, in the forms in which they travel, wherever they turn up."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._forms = _longest_first(secret for secret in secrets if len(secret) >= _LEAST_SECRET)
        # `EMPTY` is what people give a local server that wants no key. Replies are paid for and kept as they came: a word
        # that may well be meant is left in them.
        telling = (secret for secret in secrets if len(secret) >= _LEAST_SECRET and not _is_a_word(secret))
        self._bytes = tuple(form.encode() for form in _longest_first(telling))

    def text(self, text: str, limit: int = MOST_CHARS) -> str:
        """Give an error message or the like as one harmless line without secrets, or what looks like one."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return harmless(without_keys(text[: 16 * limit]), limit)

    def scrub(self, body: bytes) -> bytes:
        """Give a reply's raw body without our secrets; the same object if there are none in it, as nearly always."""
        for form in self._bytes:
            if form in body:
                body = body.replace(form, HIDDEN.encode())
        return body


def _longest_first(secrets: Iterator[str]) -> tuple[str, ...]:
    """Give every form of the secrets once, longer ones first: one may contain another."""
    return tuple(sorted({form for secret in secrets for form in _forms(secret)}, key=lambda form: (-len(form), form)))


def _forms(secret: str) -> Iterator[str]:
    in_url = quote(secret, safe="")
    yield from (secret, in_url, quote(secret, safe="/"))
    yield re.sub("%..", lambda escape: escape.group().lower(), in_url)
    yield secret.replace("/", "\\/")
    yield secret.replace("\\", "\\\\").replace('"', '\\"')
    for plain in (secret.encode(), f"Bearer {secret}".encode()):
        # Past this many characters the encoding also depends on what follows the secret.
        whole = len(plain) * 8 // 6
        yield base64.b64encode(plain).decode()[:whole]
        yield base64.urlsafe_b64encode(plain).decode()[:whole]


def _is_a_word(secret: str) -> bool:
    return len(secret) <= _LONGEST_WORD and (secret.isalpha() or secret.isdigit())


def _visible(match: re.Match[str]) -> str:
    return f"\\x{ord(match.group()):02x}"
