"""Keeping secrets out of everything that is written, and foreign text harmless where it is shown."""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
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
_CONTROL_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_RAW_IN_JSON = re.compile(f"[\x7f-\x9f]|{_INVISIBLE.pattern}")
# File names and replies may hold halves of surrogate pairs, which no file and no database takes.
_SURROGATE = re.compile("[\ud800-\udfff]")
# A shorter "secret" would be found in innocent text all over a message.
_LEAST_SECRET = 4
# Up to here a secret of nothing but letters, or nothing but digits, may be an ordinary word or number.
_LONGEST_WORD = 15
# The base64 of a shorter one, begun in the middle, is so few letters that ordinary words hold them.
_LEAST_SHIFTED = 8
# JSON may write any letter as \uXXXX; a printable one hardly ever is.
_ESCAPED = re.compile(r"\\u00[2-7]")
_ESCAPED_BYTES = re.compile(rb"\\u00[2-7]")


def harmless(text: str, limit: int = MOST_CHARS) -> str:
    """Give text as one line for a terminal or a log: controls visible as \\xNN, direction changes gone, cut at `limit`."""
    text = text[: 4 * limit]
    line = _CONTROL.sub(_visible, _INVISIBLE.sub("", text.replace("\n", " ")).replace("\t", " "))
    line = _SURROGATE.sub("\ufffd", line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def visible(text: str) -> str:
    """Give text of several lines for a terminal: controls but tabs and line feeds as \\xNN, direction changes gone."""
    return _CONTROL_IN_LINES.sub(_visible, _INVISIBLE.sub("", text))


def escaped_json(text: str) -> str:
    """Give JSON text with what a terminal would obey, or turn about, written as \\uXXXX: the same value, fit to be shown."""
    return _RAW_IN_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def looks_like_key(text: str) -> bool:
    """Tell whether text holds what looks like somebody's key."""
    return _KEY_LIKE.search(text) is not None


def without_keys(text: str) -> str:
    """Hide what looks like somebody's key."""
    return _KEY_LIKE.sub(HIDDEN, text)


class Redactor:
    """Replaces these secrets, in the forms in which they travel, wherever they turn up."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        self.hide(*secrets)

    def hide(self, *secrets: str) -> None:
        """Replace these, too, from now on."""
        self._secrets = secrets = (*self._secrets, *secrets)
        self._any = _Hiding(secret for secret in secrets if len(secret) >= _LEAST_SECRET)
        # `EMPTY` is what people give a local server that wants no key. Replies are paid for and kept as they came: a word
        # that may well be meant is left in them.
        self._telling = _Hiding(secret for secret in secrets if len(secret) >= _LEAST_SECRET and not _is_a_word(secret))

    def text(self, text: str, limit: int = MOST_CHARS) -> str:
        """Give an error message or the like as one harmless line without secrets, or what looks like one."""
        return harmless(without_keys(self._any.text(text)[: 16 * limit]), limit)

    def reply(self, text: str) -> str:
        """Give what a reply says without our secrets, all else as it came."""
        return self._telling.text(text)

    def scrub(self, body: bytes) -> bytes:
        """Give a reply's raw body without our secrets; the same object if there are none in it, as nearly always.

        This is for what is shown raw, and cut before it is redacted. A secret that a stream brings piece by piece is
        whole only when the reply is read: see `reply`.
        """
        return self._telling.body(body)


class _Hiding:
    """Secrets in all their forms, and how to find these in text and in bytes."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # Longer ones first: one may contain another.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._bytes = [form.encode() for form in self._forms]
        escaped = "|".join("".join(map(_maybe_escaped, form)) for form in self._forms)
        self._escaped = re.compile(escaped or "(?!)")
        self._escaped_bytes = re.compile(self._escaped.pattern.encode())

    def text(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return self._escaped.sub(HIDDEN, text) if _ESCAPED.search(text) else text

    def body(self, body: bytes) -> bytes:
        for form in self._bytes:
            if form in body:
                body = body.replace(form, HIDDEN.encode())
        return self._escaped_bytes.sub(HIDDEN.encode(), body) if _ESCAPED_BYTES.search(body) else body


def _forms(secret: str) -> Iterator[str]:
    in_url = quote(secret, safe="")
    yield from (secret, in_url, quote(secret, safe="/"))
    yield re.sub("%..", lambda escape: escape.group().lower(), in_url)
    yield secret.replace("/", "\\/")
    yield secret.replace("\\", "\\\\").replace('"', '\\"')
    for before in (0, 1, 2) if len(secret) >= _LEAST_SHIFTED else (0,):
        # Behind "Bearer ", "user:" or anything else, and whatever follows: the letters that depend on the secret alone.
        first, stop = -(-before * 8 // 6), (before + len(secret.encode())) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + secret.encode()).decode()[first:stop]


def _maybe_escaped(char: str) -> str:
    """Give a pattern for a character as it is or as JSON may write it, also in JSON within JSON."""
    digits = "".join(f"[{digit}{digit.upper()}]" for digit in f"{ord(char):04x}")
    short = rf"|\\{{1,4}}{char}" if char in '/"' else ""
    return rf"(?:{re.escape(char)}|\\{{1,4}}u{digits}{short})"


def _is_a_word(secret: str) -> bool:
    return len(secret) <= _LONGEST_WORD and (secret.isalpha() or secret.isdigit())


def _visible(match: re.Match[str]) -> str:
    return f"\\x{ord(match.group()):02x}"
