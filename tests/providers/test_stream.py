import json

import pytest

from pipeline.providers.stream import join_stream, looks_like_stream


def events(*chunks: object, line_break: str = "\n") -> bytes:
    data = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
    return "".join(f"data: {each}{line_break}{line_break}" for each in data).encode()


def delta(*, finish: str | None = None, index: int = 0, **fields: object) -> dict[str, object]:
    return {"id": "c-1", "choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


def choices(body: bytes) -> list[dict[str, object]]:
    joined = join_stream(body)
    assert joined is not None
    assert isinstance(joined.value, dict)
    found: list[dict[str, object]] = joined.value["choices"]
    return found


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_pieces_of_text_are_joined(line_break: str) -> None:
    body = events(
        delta(role="assistant", content=""), delta(content="a"), delta(content="b", finish="stop"), line_break=line_break
    )
    assert choices(body) == [{"message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}]


def test_a_stream_that_said_it_was_done_is_whole_without_a_finish_reason() -> None:
    assert choices(events(delta(content="a"), "[DONE]")) == [{"message": {"content": "a"}, "finish_reason": None}]


def test_a_stream_that_broke_off_is_no_completion() -> None:
    assert join_stream(events(delta(content="a"), delta(content="b"))) is None
    assert join_stream(events(delta(content="a", finish="stop"))[:-20]) is None


def test_torn_tool_calls_are_put_together() -> None:
    def call(index: int, **function: str) -> dict[str, object]:
        return {"tool_calls": [{"index": index, "function": function}]}

    body = events(
        delta(**call(0, name="f", arguments="")),
        delta(**call(0, arguments='{"a"')),
        delta(**call(1, name="g", arguments="{}")),
        delta(**call(0, arguments=":1}")),
        delta(finish="tool_calls"),
    )
    assert choices(body)[0]["message"] == {
        "tool_calls": [
            {"index": 0, "function": {"name": "f", "arguments": '{"a":1}'}},
            {"index": 1, "function": {"name": "g", "arguments": "{}"}},
        ]
    }


def test_reasoning_and_refusal_grow_like_text() -> None:
    body = events(
        delta(reasoning_content="h", refusal="N"), delta(reasoning_content="m", refusal="o"), delta(content="x", finish="stop")
    )
    assert choices(body)[0]["message"] == {"reasoning_content": "hm", "refusal": "No", "content": "x"}


def test_several_choices_stay_apart() -> None:
    body = events(delta(content="a"), delta(content="b", index=1), delta(content="c", finish="stop"), "[DONE]")
    assert [choice["message"] for choice in choices(body)] == [{"content": "ac"}, {"content": "b"}]


def test_comments_names_and_broken_bytes_do_not_disturb() -> None:
    body = (
        b": ping\n\nevent: message\nid: 7\n"
        + events(delta(content="a"))
        + events(delta(content="X", finish="stop")).replace(b"X", b"\xe9")
    )
    joined = join_stream(body)
    assert joined is not None
    assert joined.lossy
    assert choices(body)[0]["message"] == {"content": "a\ufffd"}


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [None]},
        {"choices": None},
        {"choices": [{}]},
        {"choices": [{"delta": []}]},
        {"choices": [{"delta": {"tool_calls": [1]}}]},
    ],
)
def test_odd_chunks_are_passed_over(chunk: object) -> None:
    body = events(chunk, delta(content="a", finish="stop"))
    message = choices(body)[0]["message"]
    assert isinstance(message, dict)
    assert message["content"] == "a"


@pytest.mark.parametrize(
    ("content_type", "body", "is_one"),
    [
        pytest.param("text/event-stream; charset=utf-8", b"", True, id="content-type"),
        pytest.param("application/json", b"\ndata: {}", True, id="data"),
        pytest.param("text/plain", b": ping", True, id="comment"),
        pytest.param("text/plain", b"database: down", False, id="plain-text"),
        pytest.param("application/json", b"{", False, id="json"),
    ],
)
def test_a_stream_is_known_by_its_type_or_its_looks(content_type: str, body: bytes, is_one: bool) -> None:
    assert looks_like_stream(content_type, body) is is_one
