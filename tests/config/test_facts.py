"""What makes another job, what may change freely, and what is kept of a config."""

import json

import pytest

from pipeline.config import load_config, parse_set
from pipeline.config.facts import facts_of, is_loopback, redacted
from pipeline.core.keys import changes, digest

VALUES = {
    "input": {"path": "rows.csv"},
    "prompt": {"user": "{{ text }}"},
    "endpoint": {"provider": "openai", "base_url": "http://localhost:8000/v1", "model": "m"},
    "output": {"path": "out/x.parquet"},
}
URL = "http://localhost:8000/v1/chat/completions"


def config_of(*sets: str):
    return load_config(None, [parse_set(each) for each in sets], values=VALUES)


@pytest.mark.parametrize(
    "change",
    [
        "limits.concurrency=2",
        "limits.requests_per_minute=2",
        "retry.max_attempts=2",
        "stop.deadline=2h",
        "pricing.per_request=3",
        "images.root=/elsewhere",
        "images.max_megabytes=3",
        "images.max_megapixels=3",
        "images.max_side=",
        "images.detail=",
        "endpoint.timeout_s=3",
        "endpoint.api_key_env=OTHER",
        "endpoint.proxy=http://proxy.example:3128",
        "endpoint.headers={X-Token: env:TEAM}",
        "checkpoint.part_rows=3",
        "checkpoint.dir=elsewhere",
        "input.path=[rows.csv, more.csv]",
    ],
)
def test_this_may_change_and_it_is_still_the_same_job(change):
    old, new = facts_of(config_of(), URL), facts_of(config_of(change), URL)
    assert changes(old, new) == []
    assert digest(old) == digest(new)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("prompt.user=hello", "prompt.user"),
        ("prompt.system=hello", "prompt.system"),
        ("prompt.messages=talk", "prompt.messages"),
        ("prompt.images=photo", "prompt.images"),
        ("images.max_side=768", "images.max_side"),
        ("images.format=jpeg", "images.format"),
        ("images={quality: 80, max_side: 768}", "images.quality"),
        ("images.detail=low", "images.detail"),
        ("endpoint.model=other", "endpoint.model"),
        ("endpoint.provider=simulated", "endpoint.provider"),
        ("endpoint.headers={X-Team: vision}", "endpoint.headers"),
        ("request={temperature: 1}", "request"),
        ("output.prefix=x_", "output.prefix"),
        ("output.columns=[id]", "output.columns"),
        ("input.csv.delimiter=;", "input.csv"),
        ("input.csv.encoding=latin-1", "input.csv"),
        ("input.csv.types={a: int64}", "input.csv"),
    ],
)
def test_this_makes_another_job_and_is_named(change, named):
    assert named in [each.name for each in changes(facts_of(config_of(), URL), facts_of(config_of(change), URL))]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("http://127.0.0.1:1/v1/c", "http://10.0.0.7:2/v1/c", True),
        ("http://[::1]:1/v1/c", "http://gpu-box:2/v1/c", True),
        ("http://localhost:1/v1/c", "http://localhost:1/v2/c", False),
        ("https://a.example/v1/c", "https://b.example/v1/c", False),
        ("https://a.example/v1/c", "https://a.example:8443/v1/c", False),
        ("http://localhost:1/v1/c", "https://a.example/v1/c", False),
    ],
)
def test_a_host_of_ones_own_may_change_and_a_public_one_may_not(old, new, same):
    config = config_of()
    assert (facts_of(config, old) == facts_of(config, new)) is same


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("a.localhost", True),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host, loopback):
    assert is_loopback(host) is loopback


def test_what_is_kept_of_a_config_is_json_and_holds_no_password():
    kept = redacted(
        config_of(
            "endpoint.proxy=http://me:geheim@proxy.example:3128",
            "endpoint.base_url=http://[::1]:8000/v1?api-version=2026",
            "endpoint.headers={X-Token: env:TEAM_TOKEN}",
            "request={stop: [a], logit_bias: {'5': 1}}",
        )
    )
    assert "geheim" not in json.dumps(kept)
    endpoint = kept["endpoint"]
    assert isinstance(endpoint, dict)
    assert endpoint["proxy"] == "http://proxy.example:3128"
    assert endpoint["base_url"] == "http://[::1]:8000/v1?***"
    assert endpoint["headers"] == {"X-Token": "env:TEAM_TOKEN"}


def test_what_is_kept_of_a_config_loads_again():
    kept = redacted(config_of("stop.deadline=2h", "images.root=/pictures", "request={temperature: 0.5}"))
    assert redacted(load_config(None, values=kept)) == kept
