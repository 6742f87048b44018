"""Answers of status 200: what of each becomes the reply. The files in bodies/ follow the examples of the providers' own pages."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.types import Fault, FaultKind, Reply, Request, Response, Usage
from pipeline.providers import EndpointSettings, build_provider

BODIES = Path(__file__).parent / "bodies"
PROVIDER = build_provider(EndpointSettings("segmind", "m"), redact=str, wall=lambda: 0.0)
REQUEST = Request(0, PROVIDER.url, {}, b'{"messages":[{"role":"user","content":"hi"}]}')


def decode(body: bytes, content_type: str = "application/json", status: int = 200) -> Reply | Fault:
    return PROVIDER.decode(Response(status, {"content-type": content_type}, body), REQUEST)


def reply(body: object) -> Reply:
    found = decode(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert isinstance(found, Reply)
    return found


def said(message: object, **choice: object) -> dict[str, object]:
    return {"choices": [{"message": message, **choice}]}


@pytest.mark.parametrize(
    ("name", "expected", "extra"),
    [
        pytest.param(
            "segmind.json",
            Reply(
                "I can see a beautiful sunset over the ocean with vibrant orange and pink hues in the sky.",
                "stop",
                Usage(56, 31, 87),
                "mixtral-8x7b-instruct",
                "chat_abc123",
            ),
            None,
            id="segmind",
        ),
        pytest.param(
            "openai-tool-calls.json",
            Reply(None, "tool_calls", Usage(82, 17, 99), "gpt-4o-2024-08-06", "chatcmpl-abc123"),
            {
                "tool_calls": [
                    {
                        "id": "call_abc123",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"location":"Boston, MA"}'},
                    }
                ],
                "usage": {"completion_tokens_details": {"reasoning_tokens": 0}},
            },
            id="openai-tool-calls",
        ),
        pytest.param(
            "llamacpp.json",
            Reply("A cat.", "length", Usage(12, 4, 16), "local", "chatcmpl-XyZ"),
            {"usage": {"prompt_tokens_details": {"cached_tokens": 8}}},
            id="llama.cpp",
        ),
        pytest.param(
            "vllm-reasoning.json",
            Reply("4", "stop", Usage(10, 60, 70), "Qwen/Qwen3-8B", "chatcmpl-77"),
            {"reasoning": "Two and two are four."},
            id="vllm-reasoning",
        ),
        pytest.param(
            "anthropic.json",
            Reply("A red barn.", "end_turn", Usage(25, 9, None), "claude-sonnet-4-5", "msg_01"),
            {"reasoning": "Look at the roof."},
            id="anthropic",
        ),
        pytest.param(
            "gemini.json",
            Reply("A red barn.", "STOP", Usage(264, 5, 269), "gemini-2.5-flash", "r-1"),
            {"usage": {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 264}]}},
            id="gemini",
        ),
        pytest.param("litellm-bare.json", Reply("hello", "stop", Usage(), None, None), None, id="litellm-without-id-or-model"),
        pytest.param(
            "stream.txt",
            Reply("Hello, world", "stop", Usage(5, 3, 8), "gpt-4o-mini", "chatcmpl-1"),
            None,
            id="stream-nobody-asked-for",
        ),
    ],
)
def test_a_provider_s_own_answer_is_read_whole(name: str, expected: Reply, extra: object) -> None:
    found = reply((BODIES / name).read_bytes())
    assert (found.text, found.finish_reason, found.usage, found.model, found.response_id) == (
        expected.text,
        expected.finish_reason,
        expected.usage,
        expected.model,
        expected.response_id,
    )
    assert (None if found.extra is None else json.loads(found.extra)) == extra


@pytest.mark.parametrize(
    ("body", "text", "extra"),
    [
        pytest.param(said({"content": "hi"}), "hi", None, id="string"),
        pytest.param(said({"content": ""}), "", None, id="empty"),
        pytest.param(said({"content": None}), None, None, id="null"),
        pytest.param(said({}), None, None, id="nothing-at-all"),
        pytest.param(
            said({"content": [{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}, "c"]}), "abc", None, id="parts"
        ),
        pytest.param(said({"content": []}), None, None, id="no-parts"),
        pytest.param(said({"content": [{"type": "refusal", "refusal": "No."}]}), None, {"refusal": "No."}, id="refusal-part"),
        pytest.param(said({"content": None, "refusal": "I cannot."}), None, {"refusal": "I cannot."}, id="refusal"),
        pytest.param(
            said({"content": "x", "refusal": None, "tool_calls": [], "annotations": []}), "x", None, id="nulls-are-nothing"
        ),
        pytest.param(said({"content": "x", "reasoning_content": "hm"}), "x", {"reasoning": "hm"}, id="reasoning-content"),
        pytest.param(said({"content": "x", "reasoning": "hm"}), "x", {"reasoning": "hm"}, id="reasoning"),
        pytest.param(
            said(
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "x"}]}
            ),
            "x",
            {"reasoning": "hm"},
            id="mistral-thinking",
        ),
        pytest.param(said({"function_call": {"name": "f"}}), None, {"function_call": {"name": "f"}}, id="function-call"),
        pytest.param(said({"content": 42}), None, {"content": [42]}, id="a-number-for-content"),
        pytest.param(
            said({"content": [{"type": "image", "data": "AA"}, None]}),
            None,
            {"content": [{"type": "image", "data": "AA"}, None]},
            id="odd-parts",
        ),
        pytest.param({"choices": [{"text": "old"}]}, "old", None, id="completions-form"),
        pytest.param(
            {"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]},
            "a",
            {"choices": [{"message": {"content": "b"}}]},
            id="n-2-keeps-what-was-paid-for",
        ),
        pytest.param(
            said({"content": ""}, finish_reason="error", error={"code": 502, "message": "upstream"}),
            "",
            {"error": {"code": 502, "message": "upstream"}},
            id="error-in-a-choice",
        ),
        pytest.param({"error": None, **said({"content": "x"})}, "x", None, id="null-error-beside-a-choice"),
        pytest.param({"error": {"message": "odd"}, **said({"content": "x"})}, "x", None, id="a-choice-outweighs-an-error"),
        pytest.param(
            {"content": [{"type": "tool_use", "name": "f", "input": {}}], "stop_reason": "tool_use"},
            None,
            {"tool_calls": [{"type": "tool_use", "name": "f", "input": {}}]},
            id="anthropic-tool-use",
        ),
        pytest.param(
            {
                "candidates": [
                    {"content": {"parts": [{"text": "a", "thought": True}, {"text": "b"}, {"functionCall": {"name": "f"}}]}}
                ]
            },
            "b",
            {"reasoning": "a", "tool_calls": [{"name": "f"}]},
            id="gemini-parts",
        ),
        pytest.param({"candidates": [{"finishReason": "SAFETY"}]}, None, None, id="gemini-without-content"),
    ],
)
def test_whatever_was_answered_is_kept(body: object, text: str | None, extra: object) -> None:
    found = reply(body)
    assert found.text == text
    assert (None if found.extra is None else json.loads(found.extra)) == extra


@pytest.mark.parametrize(
    ("count", "read"),
    [
        pytest.param(7, 7, id="int"),
        pytest.param(0, 0, id="zero"),
        pytest.param("7", 7, id="digits"),
        pytest.param(12.0, 12, id="whole-float"),
        pytest.param(12.5, None, id="fraction"),
        pytest.param(-1, None, id="negative"),
        pytest.param("-1", None, id="negative-digits"),
        pytest.param("seven", None, id="word"),
        pytest.param("9" * 400, None, id="many-digits"),
        pytest.param(1e20, None, id="huge"),
        pytest.param(2**53, None, id="two-to-the-53"),
        pytest.param(2**53 - 1, 2**53 - 1, id="below-two-to-the-53"),
        pytest.param(True, None, id="bool"),
        pytest.param(None, None, id="null"),
        pytest.param([3], None, id="list"),
    ],
)
def test_a_token_count_is_exact_or_null(count: object, read: int | None) -> None:
    body = {**said({"content": "x"}), "usage": {"prompt_tokens": count, "completion_tokens": 3}}
    assert reply(body).usage == Usage(read, 3, None)


@pytest.mark.parametrize("usage", [None, [], 7, "many", {}, {"prompt_tokens": {}}])
def test_a_usage_that_is_none_counts_nothing(usage: object) -> None:
    assert reply({**said({"content": "x"}), "usage": usage}).usage == Usage()


@pytest.mark.parametrize(
    ("body", "text", "extra"),
    [
        pytest.param(b'{"choices":[{"message":{"content":"caf\xe9"}}]}', "caf\ufffd", '{"lossy_utf8":true}', id="invalid-utf-8"),
        pytest.param(b'{"choices":[{"message":{"content":"a\\ud800b"}}]}', "a\ufffdb", None, id="lone-surrogate"),
        pytest.param(b'{"choices":[{"message":{"content":"\\ud83d\\ude00"}}]}', "\U0001f600", None, id="surrogate-pair"),
        pytest.param(b'{"choices":[{"message":{"content":"a\\u0000b"}}]}', "a\0b", None, id="nul"),
        pytest.param(b'\xef\xbb\xbf{"choices":[{"message":{"content":"x"}}]}', "x", None, id="byte-order-mark"),
        pytest.param('{"choices":[{"message":{"content":"ü"}}]}'.encode("utf-16"), "ü", None, id="utf-16"),
        pytest.param(
            b'{"choices":[{"message":{"content":"x"},"logprobs":NaN}],"n":1e999,"m":-Infinity}', "x", None, id="nan-and-infinity"
        ),
        pytest.param(
            b'{"choices":[{"message":{"content":"x"}}],"n":' + b"9" * 5000 + b"}", "x", None, id="integer-of-5000-digits"
        ),
        pytest.param(
            b'{"choices":[{"message":{"content":"a"}}],"choices":[{"message":{"content":"b"}}]}', "b", None, id="last-key-wins"
        ),
        pytest.param(b' \r\n{"choices":[{"message":{"content":"x"}}]}\n', "x", None, id="blanks-around"),
    ],
)
def test_odd_bytes_do_not_cost_a_paid_reply(body: bytes, text: str, extra: str | None) -> None:
    found = reply(body)
    assert (found.text, found.extra) == (text, extra)


def test_a_json_body_counts_whatever_its_content_type_claims() -> None:
    found = decode(b'{"choices":[{"message":{"content":"x"}}]}', content_type="text/html; charset=utf-16")
    assert isinstance(found, Reply)


def test_a_completion_counts_whatever_success_it_comes_with() -> None:
    for status in (201, 202, 203):
        assert isinstance(decode(b'{"choices":[{"message":{"content":"x"}}]}', status=status), Reply)


def test_short_fields_of_a_hostile_reply_stay_short() -> None:
    found = reply({**said({"content": "x"}, finish_reason="s" * 5000), "id": "i" * 5000, "model": ["m"]})
    assert len(found.finish_reason or "") <= 200
    assert len(found.response_id or "") <= 200
    assert found.model is None


def test_tool_calls_nested_past_a_fast_encoder_s_depth_are_still_kept() -> None:
    deep: object = "bottom"
    for _ in range(500):
        deep = [deep]
    found = reply(said({"content": None, "tool_calls": [deep]}))
    assert found.extra is not None
    assert "bottom" in found.extra or "unreadable" in found.extra


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"", "application/json", id="no-bytes"),
        pytest.param(b"  \n", "application/json", id="blank"),
        pytest.param(b"null", "application/json", id="null"),
        pytest.param(b"[]", "application/json", id="list"),
        pytest.param(b"42", "application/json", id="number"),
        pytest.param(b'"hi"', "application/json", id="text"),
        pytest.param(b"{}", "application/json", id="object"),
        pytest.param(b'{"choices":[{"message":{"content":"x"', "application/json", id="cut-short"),
        pytest.param(b'{"choices":[{"message":{"content":"x"}}]} trailing', "application/json", id="bytes-behind"),
        pytest.param(b'{"choices":null}', "application/json", id="choices-null"),
        pytest.param(b'{"choices":[]}', "application/json", id="no-choices"),
        pytest.param(b'{"choices":{"0":{}}}', "application/json", id="choices-no-list"),
        pytest.param(b'{"choices":[null]}', "application/json", id="choice-null"),
        pytest.param(b'{"choices":[{}]}', "application/json", id="no-message"),
        pytest.param(b'{"choices":[{"message":null}]}', "application/json", id="message-null"),
        pytest.param(b'{"choices":[{"message":"hi"}]}', "application/json", id="message-no-object"),
        pytest.param(
            b'{"choices":[],"prompt_filter_results":[{"content_filter_results":{}}]}',
            "application/json",
            id="azure-prompt-filter",
        ),
        pytest.param(b'{"candidates":[]}', "application/json", id="no-candidates"),
        pytest.param(b"[" * 100_000, "application/json", id="nesting-bomb"),
        pytest.param(b'{"choices":' * 50_000, "application/json", id="object-bomb"),
        pytest.param(b"<html><title>Sign in</title></html>", "text/html", id="captive-portal"),
        pytest.param(b"upstream said no", "text/plain", id="plain-text"),
        pytest.param(b"\x1f\x8b\x08\x00garbage", "application/json", id="still-compressed"),
        pytest.param(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n', "text/event-stream", id="stream-without-end"),
        pytest.param(b"data: nonsense\n\ndata: [DONE]\n\n", "text/event-stream", id="stream-of-nonsense"),
        pytest.param(b"data: [DONE]\n\n", "text/event-stream", id="stream-of-nothing"),
    ],
)
def test_a_200_that_is_no_completion_is_asked_again_once(body: bytes, content_type: str) -> None:
    found = decode(body, content_type)
    assert isinstance(found, Fault)
    assert (found.kind, found.error_kind, found.status) == (FaultKind.TRANSIENT, "bad_response", 200)
    assert found.ambiguous
    assert found.resends == 1
    assert found.message


def test_a_204_is_a_malformed_answer_too() -> None:
    found = decode(b"", status=204)
    assert isinstance(found, Fault)
    assert (found.kind, found.resends, found.ambiguous) == (FaultKind.TRANSIENT, 1, True)
    assert "204" in found.message


def test_a_malformed_answer_is_quoted_in_its_fault() -> None:
    filtered = decode(b'{"choices":[],"prompt_filter_results":[{"severity":"high"}]}')
    page = decode(b"<!doctype html><script>var x</script><title>Hotel &amp; Guest login</title>", "text/html")
    assert isinstance(filtered, Fault)
    assert isinstance(page, Fault)
    assert "prompt_filter_results" in filtered.message
    assert page.message.endswith("Hotel & Guest login")


@pytest.mark.parametrize(
    ("body", "content_type", "is_page"),
    [
        pytest.param(b"<!doctype html><title>Sign in</title>", "text/html", True, id="page"),
        pytest.param(b"\n <HTML><body>Sign in", "application/json", True, id="by-its-looks"),
        pytest.param(b"<?xml version='1.0'?><error/>", "text/html; charset=utf-8", True, id="by-its-type"),
        pytest.param(b"upstream said no", "text/html", False, id="plain-text-of-that-type"),
        pytest.param(b'{"choices":[]}', "application/json", False, id="json"),
        pytest.param(b"", "text/html", False, id="nothing"),
    ],
)
def test_a_page_in_a_200_counts_as_an_absent_endpoint_once_several_rows_get_it(
    body: bytes, content_type: str, is_page: bool
) -> None:
    found = decode(body, content_type)
    assert isinstance(found, Fault)
    assert found.if_all is (FaultKind.DOWN if is_page else None)
    assert ("is the URL right?" in found.message) is is_page


KEYS = st.sampled_from(
    [
        "choices",
        "message",
        "content",
        "text",
        "type",
        "usage",
        "error",
        "code",
        "delta",
        "tool_calls",
        "function",
        "arguments",
        "index",
        "promptFeedback",
        "thinking",
        "thought",
        "candidates",
        "parts",
        "role",
        "detail",
        "details",
    ]
) | st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON, status=st.sampled_from([200, 201, 202, 400, 429, 500]))
def test_no_json_whatever_raises(value: object, status: int) -> None:
    found = decode(json.dumps(value).encode(), status=status)
    if isinstance(found, Reply):
        for text in (found.text, found.extra, found.model, found.finish_reason, found.response_id):
            (text or "").encode()  # what SQLite and Arrow would do
        assert found.extra is None or isinstance(json.loads(found.extra), dict)
    else:
        assert len(found.message) <= 500


@given(chunks=st.lists(JSON, min_size=1, max_size=3), ends=st.booleans())
def test_no_stream_whatever_raises(chunks: list[object], ends: bool) -> None:
    wrapped = [{"choices": [{"delta": chunk}]} for chunk in chunks]
    events = "".join(f"data: {json.dumps(each)}\n\n" for pair in zip(chunks, wrapped, strict=True) for each in pair)
    assert isinstance(decode((events + "data: [DONE]" * ends).encode(), "text/event-stream"), Reply | Fault)


@given(
    body=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: b"data: " + text.encode()), status=st.integers(100, 999)
)
def test_no_bytes_whatever_raise(body: bytes, status: int) -> None:
    assert isinstance(decode(body, status=status), Reply | Fault)


@given(cut=st.integers(0, 400))
def test_a_provider_s_own_answer_cut_anywhere_is_a_fault_never_half_a_reply(cut: int) -> None:
    whole = (BODIES / "segmind.json").read_bytes().rstrip()
    found = decode(whole[: min(cut, len(whole) - 1)])
    assert isinstance(found, Fault)
    assert found.error_kind == "bad_response"


def test_a_secret_is_hidden_in_every_field_of_a_reply_and_when_a_stream_brings_it_in_pieces():
    key = "canary-0123456789"
    provider = build_provider(
        EndpointSettings("openai", "m"), redact=str, wall=lambda: 0.0, hide=lambda text: text.replace(key, "***")
    )
    message = {"content": f"key {key}", "reasoning_content": f"it is {key}"}
    whole = {"id": f"r-{key}", "model": key, "choices": [{"message": message, "finish_reason": key}]}
    reply = provider.decode(Response(200, {}, json.dumps(whole).encode()), REQUEST)
    assert isinstance(reply, Reply)
    assert (reply.text, reply.finish_reason, reply.model, reply.response_id) == ("key ***", "***", "***", "r-***")
    assert reply.extra == '{"reasoning":"it is ***"}'
    pieces = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in ("can", "ary-01234", "56789!")]
    stream = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
    reply = provider.decode(Response(200, {"content-type": "text/event-stream"}, stream.encode()), REQUEST)
    assert isinstance(reply, Reply)
    assert reply.text == "***!"
