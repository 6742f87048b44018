import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.retry_after import retry_after

NOW = 1_795_485_600.0  # Tue, 24 Nov 2026 02:00:00 GMT
DATE = "Tue, 24 Nov 2026 02:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"retry-after": "7"}, 7.0, id="whole-seconds"),
        pytest.param({"retry-after": " 0.5 "}, 0.5, id="float-seconds"),
        pytest.param({"retry-after": "0"}, 0.0, id="zero-is-a-hint"),
        pytest.param({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, id="milliseconds-before-seconds"),
        pytest.param({"retry-after": "Tue, 24 Nov 2026 02:00:30 GMT"}, 30.0, id="http-date-by-our-clock"),
        pytest.param(
            {"retry-after": "Tue, 24 Nov 2026 05:00:30 GMT", "date": "Tue, 24 Nov 2026 05:00:00 GMT"},
            30.0,
            id="http-date-by-theirs",
        ),
        pytest.param({"retry-after": "Tuesday, 24-Nov-26 02:00:30 GMT"}, 30.0, id="rfc-850-date"),
        pytest.param({"x-rate-limit-reset-at-utc": "2026-11-24T02:00:42Z"}, 42.0, id="segmind-iso"),
        pytest.param({"x-rate-limit-reset-at-utc": "2026-11-24T02:00:42.5"}, 42.5, id="segmind-iso-without-zone-is-utc"),
        pytest.param({"x-rate-limit-reset-at-utc": "2026-11-24 02:00:42 UTC"}, 42.0, id="segmind-iso-utc-spelled-out"),
        pytest.param({"x-rate-limit-reset-at-utc": "2026-11-24T03:00:42+01:00"}, 42.0, id="segmind-iso-with-offset"),
        pytest.param({"x-rate-limit-reset-at-utc": "1795485610"}, 10.0, id="segmind-epoch-seconds"),
        pytest.param({"x-rate-limit-reset-at-utc": "1795485610500"}, 10.5, id="segmind-epoch-milliseconds"),
        pytest.param(
            {"x-rate-limit-reset-at-utc": "2026-11-24T05:00:42Z", "date": "Tue, 24 Nov 2026 05:00:00 GMT"},
            42.0,
            id="segmind-by-their-clock",
        ),
        pytest.param({"llm_provider-retry-after": "60"}, 60.0, id="litellm"),
        pytest.param({"x-ratelimit-reset-requests": "1s"}, 1.0, id="bucket-seconds"),
        pytest.param({"x-ratelimit-reset-tokens": "6m0s"}, 360.0, id="bucket-minutes"),
        pytest.param({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5, id="bucket-hours"),
        pytest.param({"x-ratelimit-reset-tokens": "120ms"}, 0.12, id="bucket-milliseconds"),
        pytest.param({"x-ratelimit-reset-tokens": "59"}, 59.0, id="bucket-bare-number"),
        pytest.param({"x-ratelimit-reset-requests": "1795485610"}, 10.0, id="bucket-epoch"),
        pytest.param({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6s"}, 6.0, id="later-bucket"),
        pytest.param(
            {
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "812",
            },
            2.0,
            id="empty-bucket-before-later-bucket",
        ),
        pytest.param({"retry-after": "soon", "x-rate-limit-reset-at-utc": "1795485610"}, 10.0, id="garbage-is-passed-over"),
        pytest.param({"retry-after": "-5", "llm_provider-retry-after": "3"}, 3.0, id="negative-is-passed-over"),
        pytest.param({"x-rate-limit-reset-at-utc": "2026-11-24T01:59:00Z"}, None, id="past-reset"),
        pytest.param({"retry-after": "Tue, 24 Nov 2026 01:00:00 GMT"}, None, id="past-date"),
        pytest.param({"retry-after": "nan"}, None, id="nan"),
        pytest.param({"retry-after": "inf"}, None, id="inf"),
        pytest.param({"retry-after": "1e999"}, None, id="overflow"),
        pytest.param({"retry-after": "9" * 5000}, None, id="five-thousand-digits"),
        pytest.param({"retry-after": "86400"}, 86400.0, id="long-is-not-judged-here"),
        pytest.param({"retry-after": ""}, None, id="blank"),
        pytest.param({"date": DATE}, None, id="no-hint"),
        pytest.param({"date": "yesterday", "retry-after": "4"}, 4.0, id="garbage-date"),
    ],
)
def test_headers_are_read_in_their_order(headers: Mapping[str, str], seconds: float | None) -> None:
    found = retry_after(headers, wall_now=NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("Rate limit reached for gpt-4o. Please try again in 20s. Visit …", 20.0, id="openai"),
        pytest.param("Please try again in 1m30.5s.", 90.5, id="openai-minutes"),
        pytest.param("Please try again in 420ms.", 0.42, id="openai-milliseconds"),
        pytest.param("retry after 12 seconds", 12.0, id="words"),
        pytest.param("Try again in 250 milliseconds", 0.25, id="word-milliseconds"),
        pytest.param("try again in 2 minutes", 120.0, id="word-minutes"),
        pytest.param("Please retry in 38.962214405s.", 38.962214405, id="gemini"),
        pytest.param('{"retryDelay": "26s"}', 26.0, id="google-retry-info"),
        pytest.param("Please retry after 5.", 5.0, id="bare-number"),
        pytest.param("Try again in a while", None, id="no-number"),
        pytest.param("Limit 30, used 30", None, id="nothing"),
    ],
)
def test_a_message_is_read_when_no_header_says_it(text: str, seconds: float | None) -> None:
    found = retry_after({}, wall_now=NOW, body_text=text)
    assert found == (None if seconds is None else pytest.approx(seconds))
    assert retry_after({"retry-after": "3"}, wall_now=NOW, body_text=text) == 3.0


NAMES = (
    "date",
    "retry-after",
    "retry-after-ms",
    "x-rate-limit-reset-at-utc",
    "llm_provider-retry-after",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)
VALUES = st.text(max_size=40) | st.from_regex(r"-?[0-9]{1,20}(\.[0-9]+)?(ms|s|m|h)?( GMT)?") | st.datetimes().map(str)


@given(headers=st.dictionaries(st.sampled_from(NAMES), VALUES), text=st.text(max_size=60))
def test_whatever_is_sent_the_hint_is_none_or_a_finite_wait(headers: dict[str, str], text: str) -> None:
    found = retry_after(headers, wall_now=NOW, body_text=text)
    assert found is None or 0.0 <= found < math.inf
