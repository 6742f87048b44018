import base64
import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import BadRowError, ConfigError
from pipeline.core.tokens import TOKENS_PER_IMAGE
from pipeline.core.types import Content, Image, Message, Prompt
from pipeline.providers import ChatProvider, EndpointSettings, build_provider

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
PNG_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
LINK = {"type": "image_url", "image_url": {"url": "https://example.com/image.jpg"}}


def provider(name: str = "openai", **settings: object) -> ChatProvider:
    return build_provider(EndpointSettings(name, "m", **settings), redact=str, wall=lambda: 0.0)  # type: ignore[arg-type]  # a test's shorthand


def sent(*messages: Message, name: str = "openai", **settings: object) -> dict[str, object]:
    body: dict[str, object] = json.loads(provider(name, **settings).encode(Prompt(3, messages)).body)
    return body


@pytest.mark.parametrize(
    ("message", "written"),
    [
        pytest.param(Message("user", ("hi",)), {"role": "user", "content": "hi"}, id="one-text-is-a-string"),
        pytest.param(Message("system", ("",)), {"role": "system", "content": ""}, id="empty-text"),
        pytest.param(
            Message("user", ("hi", Image("image/png", PNG))),
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": PNG_URL}}]},
            id="text-and-image",
        ),
        pytest.param(
            Message("user", (Image(url="https://example.com/image.jpg"),)),
            {"role": "user", "content": [LINK]},
            id="link-alone-is-a-block",
        ),
        pytest.param(
            Message("user", ("a", "b")),
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            id="two-texts",
        ),
        pytest.param(
            Message("user", ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},)),
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]},
            id="block-passed-on",
        ),
        pytest.param(
            Message("assistant", (), {"tool_calls": [{"id": "1"}]}),
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            id="tool-calls-without-content",
        ),
        pytest.param(
            Message("tool", ("42",), {"tool_call_id": "1", "role": "user", "content": "x"}),
            {"role": "tool", "content": "42", "tool_call_id": "1"},
            id="extra-cannot-replace-role-or-content",
        ),
        pytest.param(
            Message("user", (MappingProxyType({"type": "text", "text": "ü"}),), MappingProxyType({"name": "bob"})),
            {"role": "user", "content": [{"type": "text", "text": "ü"}], "name": "bob"},
            id="read-only-mappings",
        ),
        pytest.param(
            Message("user", (Image('image/"png', PNG),)),
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": PNG_URL.replace("image/png", 'image/"png')}}],
            },
            id="odd-media-type-cannot-break-the-json",
        ),
    ],
)
def test_a_message_is_written_as_openai_spells_it(message: Message, written: dict[str, object]) -> None:
    assert sent(message)["messages"] == [written]


def test_segmind_s_body_holds_messages_only() -> None:
    assert sent(Message("user", ("hi",)), name="segmind") == {"messages": [{"role": "user", "content": "hi"}]}


def test_params_stand_in_the_body_as_they_are() -> None:
    params = {
        "temperature": 0,
        "max_tokens": 128,
        "logit_bias": {50256: -100},
        "response_format": {"type": "json_object"},
        "stop": ("a",),
    }
    body = sent(Message("user", ("hi",)), params=MappingProxyType(params))
    assert body == {
        "model": "m",
        "temperature": 0,
        "max_tokens": 128,
        "logit_bias": {"50256": -100},
        "response_format": {"type": "json_object"},
        "stop": ["a"],
        "messages": [{"role": "user", "content": "hi"}],
    }


def test_params_may_name_another_model_but_never_the_messages() -> None:
    body = sent(Message("user", ("hi",)), params={"model": "other", "messages": []})
    assert body == {"model": "other", "messages": [{"role": "user", "content": "hi"}]}


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
PARTS: st.SearchStrategy[Content] = (
    TEXTS
    | st.builds(Image, st.just("image/jpeg"), st.binary(max_size=60))
    | st.builds(Image, url=TEXTS)
    | st.dictionaries(TEXTS, TEXTS | st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=3)
)
MESSAGES = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), st.lists(PARTS, max_size=4).map(tuple))


@given(messages=st.lists(MESSAGES, min_size=1, max_size=3).map(tuple))
def test_every_body_is_json_and_the_same_prompt_gives_the_same_bytes(messages: tuple[Message, ...]) -> None:
    first, second = (provider().encode(Prompt(0, messages)).body for _ in range(2))
    assert first == second
    body = json.loads(first)
    assert [message["role"] for message in body["messages"]] == [message.role for message in messages]
    for message, written in zip(messages, body["messages"], strict=True):
        content = written["content"]
        assert len(message.parts) == (0 if content is None else 1 if isinstance(content, str) else len(content))


@pytest.mark.parametrize(
    "block",
    [
        pytest.param({"type": "text", "text": "\ud800"}, id="lone-surrogate"),
        pytest.param({"seed": 2**70}, id="integer-past-64-bits"),
        pytest.param({"type": b"bytes"}, id="bytes"),
    ],
)
def test_what_json_cannot_hold_makes_a_bad_row(block: dict[str, object]) -> None:
    with pytest.raises(BadRowError, match="JSON"):
        provider().encode(Prompt(0, (Message("user", ("a", block)),)))


def test_blocks_nested_past_reason_make_a_bad_row() -> None:
    block: dict[str, object] = {}
    for _ in range(2000):
        block = {"a": block}
    with pytest.raises(BadRowError, match="JSON"):
        provider().encode(Prompt(0, (Message("user", (block,)),)))


def test_tokens_count_text_images_and_the_reply_s_limit() -> None:
    parts: tuple[Content, ...] = ("x" * 400, Image("image/png", PNG), {"type": "text", "text": "y" * 40}, LINK)
    request = provider(params={"max_tokens": 128}).encode(Prompt(7, (Message("user", parts),)))
    assert request.tokens == 110 + 2 * TOKENS_PER_IMAGE + 128
    assert request.row == 7


def test_detail_is_said_with_every_picture_that_does_not_say_it_itself() -> None:
    own = {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg", "detail": "high"}}
    text = {"type": "text", "text": "detail"}
    message = Message("user", ("hi", Image("image/png", PNG), Image(url="https://example.com/image.jpg"), LINK, own, text))
    content = sent(message, detail="low")["messages"][0]["content"]  # type: ignore[index]
    pictures = [each["image_url"] for each in content if each["type"] == "image_url"]
    link = {"url": "https://example.com/image.jpg", "detail": "low"}
    assert pictures == [{"url": PNG_URL, "detail": "low"}, link, link, own["image_url"]]
    assert content[-1] == text


def test_detail_is_refused_where_the_endpoint_knows_none() -> None:
    with pytest.raises(ConfigError, match=r"images\.detail: segmind has no such setting, only openai, simulated"):
        provider("segmind", detail="low")
