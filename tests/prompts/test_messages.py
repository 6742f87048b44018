import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import BadRowError
from pipeline.core.types import Message
from pipeline.prompts.messages import conversation, without_nulls

LINK = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
CACHED = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def refused(cell: object) -> str:
    with pytest.raises(BadRowError) as caught:
        conversation(cell, "chat")
    return str(caught.value)


@pytest.mark.parametrize("as_text", [pytest.param(True, id="JSON text"), pytest.param(False, id="list")])
@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        pytest.param({"role": "user", "content": "hi"}, Message("user", ("hi",)), id="text"),
        pytest.param({"role": "user", "content": ""}, Message("user", ("",)), id="empty text"),
        pytest.param({"role": "critic", "content": "é {{ x }}"}, Message("critic", ("é {{ x }}",)), id="any role, no template"),
        pytest.param({"role": "user", "content": [CACHED, LINK]}, Message("user", (CACHED, LINK)), id="blocks as they are"),
        pytest.param({"role": "user", "content": "a", "name": "Bo"}, Message("user", ("a",), {"name": "Bo"}), id="further keys"),
        pytest.param(
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            Message("assistant", (), {"tool_calls": [CALL]}),
            id="calls",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [CALL]}, Message("assistant", (), {"tool_calls": [CALL]}), id="only calls"
        ),
        pytest.param(
            {"role": "tool", "content": "42", "tool_call_id": "1"},
            Message("tool", ("42",), {"tool_call_id": "1"}),
            id="tool's reply",
        ),
    ],
)
def test_a_message_is_passed_on_as_it_came(message, wanted, as_text):
    assert conversation(json.dumps([message]) if as_text else [message], "chat") == (wanted,)


def test_the_order_of_messages_is_kept():
    said = [{"role": role, "content": str(at)} for at, role in enumerate(["system", "user", "assistant", "user"])]
    assert [message.parts for message in conversation(json.dumps(said), "chat")] == [("0",), ("1",), ("2",), ("3",)]


def test_fields_that_arrow_fills_with_null_are_left_out():
    """As a column of structs reads: every message and block has every field that any of them has."""
    cell = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi", "image_url": None},
                {"type": "image_url", "text": None, "image_url": {"url": "https://example.com/a.png", "detail": None}},
            ],
            "name": None,
            "tool_calls": None,
        }
    ]
    wanted = ({"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})
    assert conversation(cell, "chat") == (Message("user", wanted, {}),)


def test_json_text_keeps_its_nulls():
    assert conversation('[{"role": "user", "content": "a", "name": null}]', "chat")[0].extra == {"name": None}


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_field_is_null_after_nulls_are_left_out(value):
    def fields(value: object) -> list[object]:
        match value:
            case dict():
                return [*value.values(), *(deep for item in value.values() for deep in fields(item))]
            case list():
                return [deep for item in value for deep in fields(item)]
        return []

    assert None not in fields(without_nulls(value))


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        pytest.param(None, "is null", id="null"),
        pytest.param("", "not valid JSON", id="empty text"),
        pytest.param("hello", "not valid JSON", id="no JSON"),
        pytest.param('[{"role": "user"', "at character", id="cut short"),
        pytest.param('[{"role": "user", "content": "a", "n": NaN}]', "not valid JSON", id="NaN"),
        pytest.param('[{"role": "user", "content": "a", "n": 1e999}]', "not valid JSON", id="a number past all numbers"),
        pytest.param([{"role": "user", "content": "a", "n": float("nan")}], "holds the number nan", id="NaN from Arrow"),
        pytest.param("[" * 100_000, "not valid JSON", id="nesting bomb"),
        pytest.param('[{"role": "user", "content": "a", "n": ' + "9" * 5000 + "}]", "not valid JSON", id="number bomb"),
        pytest.param(b"\xff\xfe", "not valid JSON", id="bytes that are no text"),
        pytest.param('{"messages": []}', "an object, not a list", id="object"),
        pytest.param('"hi"', "a text, not a list", id="a JSON string"),
        pytest.param("null", "null, not a list", id="JSON null"),
        pytest.param(7, "type int, not a list", id="number"),
        pytest.param([], "holds no message", id="no message"),
        pytest.param(["hi"], "message 1 is a text", id="a text as message"),
        pytest.param([None], "message 1 is null", id="a null as message"),
        pytest.param([{"from": "human", "value": "hi"}], "no role; its keys are: 'from', 'value'", id="other keys"),
        pytest.param([{"role": 3, "content": "hi"}], "no role", id="role is a number"),
        pytest.param([{"role": "", "content": "hi"}], "no role", id="role is empty"),
        pytest.param([{"role": "user", "content": "a"}, {"role": "user"}], "message 2 has no content", id="no content"),
        pytest.param([{"role": "user", "content": []}], "no content", id="no blocks"),
        pytest.param([{"role": "assistant", "content": None, "tool_calls": []}], "no content", id="no calls either"),
        pytest.param([{"role": "user", "content": 5}], "type int as content", id="content is a number"),
        pytest.param([{"role": "user", "content": {"text": "a"}}], "an object as content", id="content is an object"),
        pytest.param([{"role": "user", "content": ["hi"]}], "block 1 is no object with a type", id="a text as block"),
        pytest.param([{"role": "user", "content": [CACHED, {"text": "a"}]}], "block 2 is no object", id="block without type"),
        pytest.param([{"role": "user", "content": [{"type": "text", "text": None}]}], "has no text", id="text block of null"),
        pytest.param('[{"role": "user", "content": "\\ud800"}]', "lone surrogate", id="half a character"),
    ],
)
def test_what_is_no_conversation_is_the_rows_fault_and_says_why(cell, words):
    message = refused(cell)
    assert message.startswith("messages column 'chat'")
    assert words in message
    assert message.isprintable()
    assert len(message) < 400
