"""Reading what was asked: the body of a chat-completion request, judged as strictly as the real endpoints do."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson
import pybase64

# About what common tokenizers cut English into; a picture at low detail is charged so much by OpenAI's published rule.
_TOKEN = re.compile(r"\w+|[^\w\s]")
TOKENS_PER_IMAGE = 85
_DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)


class RefusedError(Exception):
    """The request is no chat-completion request: answered with 400 and this message."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `question` is the text of the last user message, `text` that of all; an image is its bytes, or its URL."""

    model: str | None
    question: str = field(repr=False)
    text: str = field(repr=False)
    images: tuple[bytes | str, ...] = field(repr=False)
    most_tokens: int | None

    def tokens(self) -> int:
        return count_tokens(self.text) + TOKENS_PER_IMAGE * len(self.images)


@dataclass(frozen=True, slots=True)
class _Picture:
    url: str


def count_tokens(text: str) -> int:
    return len(_TOKEN.findall(text))


def cut_tokens(text: str, most: int) -> str:
    """Give the beginning of `text` that is `most` tokens long."""
    for at, token in enumerate(_TOKEN.finditer(text)):
        if at == most:
            return text[: token.start()].rstrip()
    return text


def read(body: bytes) -> Asked:
    """Read a request's body; RefusedError says what is wrong with it."""
    asked = _object(body)
    if asked.get("stream"):
        raise RefusedError("the simulator answers in one piece: leave out `stream`")
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RefusedError("`messages` must be a list of at least one message")
    said = [(_role(message), list(_blocks(message))) for message in messages]
    texts = ["\n".join(block for block in blocks if isinstance(block, str)) for _, blocks in said]
    model = asked.get("model")
    return Asked(
        model=model if isinstance(model, str) and model else None,
        question=next((text for (role, _), text in zip(reversed(said), reversed(texts), strict=True) if role == "user"), ""),
        text="\n".join(filter(None, texts)),
        images=tuple(_image(block.url) for _, blocks in said for block in blocks if isinstance(block, _Picture)),
        most_tokens=_most_tokens(asked),
    )


def _object(body: bytes) -> Mapping[str, object]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(f"the body is not JSON: {error}") from None
    if not isinstance(asked, dict):
        raise RefusedError("the body must be a JSON object")
    return asked


def _role(message: object) -> str:
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(role, str):
        raise RefusedError("each of `messages` must be an object with a `role`")
    return role


def _blocks(message: Mapping[str, object]) -> Iterator["str | _Picture"]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            yield _block(block)
    elif not (content is None and message.get("role") == "assistant"):  # an assistant that called tools may have said nothing
        raise RefusedError("`content` must be a string or a list of content blocks")


def _block(block: object) -> "str | _Picture":
    match block:
        case {"type": "text", "text": str() as text}:
            return text
        case {"type": "image_url", "image_url": {"url": str() as url}} | {"type": "image_url", "image_url": str() as url}:
            return _Picture(url)
    raise RefusedError("a content block must be of type text (with `text`) or image_url (with `image_url.url`)")


def _image(url: str) -> bytes | str:
    if url[:5].lower() != "data:":
        return url
    head = _DATA_URI.match(url)
    if not head:
        raise RefusedError("invalid image: a data URI must read data:image/<type>;base64,<data>")
    try:
        return pybase64.b64decode(url[head.end() :], validate=True)
    except ValueError:
        raise RefusedError("invalid image: its data is not base64") from None


def _most_tokens(asked: Mapping[str, object]) -> int | None:
    most = asked.get("max_completion_tokens", asked.get("max_tokens"))
    if most is None:
        return None
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise RefusedError("`max_tokens` must be a whole number of at least 1")
    return most
