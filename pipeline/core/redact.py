"""Keeping secrets out of everything that is written, and foreign text harmless where it is shown."""

import base64
import re
from collections.abc import Sequence
from urllib.parse import quote

HIDDEN = "***"
MOST_CHARS = 500
# What looks like somebody's key although it is not ours: gateways quote keys, sometimes another customer's.
_KEY_LIKE = re.compile(r"\b(?:sk|pk|rk|SG|hf|gsk|xai|nvapi)[-_][A-Za-z0-9_-]{16,}|\bBearer\s+[A-Za-z0-9._~+/=-]{8,}", re.ASCII)
# Bidirectional controls reorder what a person reads; line and paragraph separators forge lines.
_INVISIBLE = re.compile("[\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
# A shorter "secret" would be found in innocent text all over a reply.
_LEAST_SECRET = 4


def harmless(text: str, limit: int = MOST_CHARS) -> str:
    """Give text as one line for a terminal or a log: controls visible as \\xNN, direction changes gone, cut at `limit`."""
    text = text[: 4 * limit]
    line = _CONTROL.sub(_visible, _INVISIBLE.sub("", " ".join(text.split("\n"))).replace("\t", " "))
    return line if len(line) <= limit else line[: limit - 1] + "…"


class Redactor:
    """Replaces these secrets, in the forms in which they travel, wherever they turn up."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        forms = sorted({form for secret in secrets if len(secret) >= _LEAST_SECRET for form in _forms(secret)}, key=len)
        # Longer forms first: one may contain another.
        self._forms = tuple(reversed(forms))
        self._bytes = tuple(form.encode() for form in self._forms)

    def text(self, text: str, limit: int = MOST_CHARS) -> str:
        """Give an error message or the like as one harmless line without secrets, or what looks like one."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return harmless(_KEY_LIKE.sub(HIDDEN, text[: 16 * limit]), limit)

    def scrub(self, body: bytes) -> bytes:
        """Give a reply's raw body without our secrets; the same object if there are none in it, as nearly always."""
        for form in self._bytes:
            if form in body:
                body = body.replace(form, HIDDEN.encode())
        return body


def _forms(secret: str) -> list[str]:
    forms = [secret, quote(secret, safe=""), secret.replace("/", "\\/"), secret.replace("\\", "\\\\").replace('"', '\\"')]
    return [
        *forms,
        base64.b64encode(secret.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    ]


def _visible(match: re.Match[str]) -> str:
    return f"\\x{ord(match.group()):02x}"
