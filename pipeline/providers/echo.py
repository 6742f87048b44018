"""Taking a row's own words out of an error message before it is read for its meaning.

Gateways quote what they were sent. A row that says "you exceeded your current quota" must not stop a job of three days.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import orjson

# A run of so many characters in both the prompt and the message is a quotation, cut short or not; honest messages and prompts
# share shorter ones by chance.
_QUOTATION = 20
# A prompt text that is quoted whole counts from this length: no phrase the policy looks for is shorter.
_SHORT_TEXT = 6

# Line breaks arrive as they are, or escaped once or twice over.
_BLANK = re.compile(r"(?:\\{1,4}[nrt]|\s)+")
# Links are advice, not meaning: OpenAI's ordinary rate limit message points to its billing page.
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)


class Words:
    """An endpoint's message, searchable for what it means. The prompt is looked at only when something was found."""

    def __init__(self, message: str, prompt_texts: Callable[[], Iterator[str]]) -> None:
        self._prompt_texts = prompt_texts
        self._raw = _LINK.sub(" ", _folded(message))

    def say(self, pattern: re.Pattern[str]) -> bool:
        return bool(pattern.search(self._raw)) and bool(pattern.search(self.own))

    def around(self, pattern: re.Pattern[str]) -> str:
        """Give the endpoint's own words if any part of the message matches, else nothing."""
        return self.own if pattern.search(self._raw) else ""

    @cached_property
    def own(self) -> str:
        """The message, folded to lower case and single blanks, without what the prompt says as well."""
        message = self._raw
        for text in self._prompt_texts():
            message = without(message, _LINK.sub(" ", _folded(text)).strip())
        return message


def unquoted(message: str, texts: Iterable[str]) -> str | None:
    """Give a message without what it quotes of these texts, for those who may not see the data; None if it quotes nothing."""
    whole = own = _flat(message)
    for text in texts:
        own = without(own, _flat(text).strip())
    return " ".join(own.split()) if own != whole else None


def without(message: str, text: str) -> str:
    """Cut out of `message` what it quotes of `text`: the whole of it, or any run of 20 characters and more."""
    if len(text) >= _SHORT_TEXT:
        message = message.replace(text, " ")
    if len(text) < _QUOTATION:
        return message
    kept, at, step = [], 0, _QUOTATION // 2
    for window in range(0, len(message) - step + 1, step):  # every run of 20 holds one of these windows of 10
        if window >= at and message[window : window + step] in text:
            first, stop = _run_around(message, text, window, window + step, at)
            if stop - first >= _QUOTATION:
                kept.append(message[at:first])
                at = stop
    return " ".join([*kept, message[at:]])


def prompt_texts(body: bytes) -> Iterator[str]:
    """Give the texts of a request's messages, as they were sent; no roles, no image data."""
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    messages = sent.get("messages") if isinstance(sent, dict) else None
    waiting = [message.get("content") for message in messages or () if isinstance(message, dict)]
    while waiting:
        match waiting.pop():
            case str(text):
                yield text
            case list(parts):
                waiting.extend(parts)
            case {"type": "image_url", "image_url": {"url": str(url)}} if url.startswith("data:"):
                pass
            case dict(part):
                waiting.extend(value for key, value in part.items() if key != "type")


def _flat(text: str) -> str:
    return _BLANK.sub(" ", text).replace("\\", "")


def _folded(text: str) -> str:
    return _flat(text).lower()


def _run_around(message: str, text: str, first: int, stop: int, floor: int) -> tuple[int, int]:
    """Widen message[first:stop], which `text` holds, to the longest run that it holds: to the right, then back to `floor`."""

    def holds_to(stop: int) -> bool:
        return message[first:stop] in text

    stop = _furthest(stop, len(message), holds_to)

    def holds_back(back: int) -> bool:
        return message[first - back : stop] in text

    return first - _furthest(0, first - floor, holds_back), stop


def _furthest(least: int, most: int, holds: Callable[[int], bool]) -> int:
    """Give the largest number up to `most` that `holds`; it holds for `least`, and for all below any it holds for."""
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if holds(middle) else (least, middle - 1)
    return least
