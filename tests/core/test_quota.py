"""What answers say is left of a limit."""

import pytest

from pipeline.core.quota import Quota, Quotas, quotas

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param(
            {"x-ratelimit-remaining-requests": "599", "x-ratelimit-reset-requests": "100ms", "x-ratelimit-limit-requests": "600"},
            Quotas(Quota(599, 0.1, 600)),
            id="OpenAI",
        ),
        pytest.param(
            {"x-ratelimit-remaining-tokens": "149984", "x-ratelimit-reset-tokens": "1m6s"},
            Quotas(tokens=Quota(149984, 66.0)),
            id="OpenAI's tokens, no limit named",
        ),
        pytest.param(
            {
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:30Z",
                "anthropic-ratelimit-requests-limit": "50",
            },
            Quotas(Quota(49, 30.0, 50)),
            id="Anthropic: a moment",
        ),
        pytest.param({"ratelimit-remaining": "7", "ratelimit-reset": "12"}, Quotas(Quota(7, 12.0)), id="IETF's draft"),
        pytest.param(
            {"x-ratelimit-remaining": "7", "x-ratelimit-reset": "1800000012000"}, Quotas(Quota(7, 12.0)), id="epoch in ms"
        ),
        pytest.param(
            {
                "date": "Fri, 15 Jan 2027 08:10:00 GMT",
                "x-ratelimit-remaining": "7",
                "x-ratelimit-reset": "2027-01-15T08:10:12Z",
            },
            Quotas(Quota(7, 12.0)),
            id="by the answer's own clock",
        ),
        pytest.param(
            {"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "7m12s"}, None, id="a limit by the day"
        ),
        pytest.param({"x-ratelimit-remaining-requests": "9"}, None, id="no reset"),
        pytest.param({"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "1s"}, None, id="less than nothing"),
        pytest.param({"x-ratelimit-remaining-requests": "many", "x-ratelimit-reset-requests": "1s"}, None, id="garbage"),
        pytest.param({"x-ratelimit-remaining-requests": "1e999", "x-ratelimit-reset-requests": "1s"}, None, id="infinite"),
        pytest.param({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "-3"}, None, id="reset in the past"),
    ],
)
def test_quotas_are_read_where_they_make_sense(headers, wanted):
    assert quotas(headers, wall_now=NOW) == wanted
