"""What goes over the wire, in either dialect."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.retry_after import retry_after
from pipeline.simulate import shapes
from pipeline.simulate.answers import Answer
from pipeline.simulate.faults import RateWindow
from pipeline.simulate.shapes import Style

WALL = 1_800_000_000.1234


def test_a_completion_has_the_published_shape_and_names_its_model_simulated():
    body = json.loads(shapes.completion(Answer("hi", "stop", 5, 1, ()), serial=3, wall=WALL).body)
    assert body == {
        "id": "simulated-3",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": "simulated",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
    }


@given(wait=st.floats(0, 900), style=st.sampled_from(Style))
def test_who_heeds_the_hint_of_a_429_is_never_early_and_hardly_late(wait, style):
    reply = shapes.rate_limited(style, wait=wait, wall=WALL)
    hint = retry_after(reply.headers, wall_now=WALL)
    assert hint is not None
    assert wait - 1e-5 <= hint <= wait + 0.0011


def test_segminds_429_names_a_moment_and_has_no_retry_after():
    reply = shapes.rate_limited(Style.SEGMIND, wait=2.0, wall=WALL)
    assert set(reply.headers) == {"x-rate-limit-reset-at-utc"}
    moment = datetime.fromisoformat(reply.headers["x-rate-limit-reset-at-utc"])
    assert moment.timestamp() == pytest.approx(WALL + 2, abs=0.0011)
    assert json.loads(reply.body) == {"error": "Rate limit reached, please slow down."}


def test_openais_429_gives_whole_seconds_and_milliseconds():
    reply = shapes.rate_limited(Style.OPENAI, wait=1.25, wall=WALL)
    assert dict(reply.headers) == {"retry-after": "2", "retry-after-ms": "1250"}
    assert json.loads(reply.body)["error"]["code"] == "rate_limit_exceeded"


def test_openai_tells_its_limit_with_each_answer_and_segmind_does_not():
    window = RateWindow(10, 60.0)
    window.admit(100.0)
    assert shapes.rate_headers(Style.OPENAI, window, 101.0) == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "59000ms",
    }
    assert shapes.rate_headers(Style.SEGMIND, window, 101.0) == {}


@pytest.mark.parametrize("missing", [True, False])
def test_a_refused_key_is_told_in_the_dialects_own_words(missing):
    segmind = json.loads(shapes.unauthorized(Style.SEGMIND, missing=missing).body)
    assert segmind["status_code"] == 401
    assert segmind["error_description"].startswith("Missing Authorization" if missing else "API key is invalid")
    openai = json.loads(shapes.unauthorized(Style.OPENAI, missing=missing).body)
    assert openai["error"]["code"] == "invalid_api_key"
