"""The metrics file's text: fit for Prometheus, true to the summary, and it remembers the last success."""

import re

import pytest

from pipeline.observe.metrics_file import last_success, metrics_text

SUMMARY = {
    "ok": 7,
    "failed": 1,
    "pending": 0,
    "requests": 9,
    "retries": 1,
    "throttled": 0,
    "ambiguous": 0,
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "cost": 0.25,
    "latency_s": {"p50": 0.1, "p95": 0.5, "p99": None},
    "seconds": 2.5,
    "exit_code": 1,
}
NOTHING_KNOWN = {**dict.fromkeys(SUMMARY), "latency_s": {}}
# https://prometheus.io/docs/instrumenting/exposition_formats: a sample with labels, without a timestamp.
SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} (-?[0-9.]+(?:e[+-]\d+)?)')


def samples(text: str) -> dict[tuple[str, str], float]:
    """Read the text as strictly as the collector: every line known, one HELP and TYPE before a name's samples, none twice."""
    assert text.endswith("\n")
    found: dict[tuple[str, str], float] = {}
    helped: list[str] = []
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped.append(line.split(" ")[2])
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {helped[-1]} gauge"
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == helped[-1]
            assert (match[1], match[2]) not in found
            found[match[1], match[2]] = float(match[3])
    assert len(set(helped)) == len(helped)
    return found


def test_what_is_known_is_there_in_base_units_and_what_is_not_is_left_out():
    read = samples(metrics_text(SUMMARY, "out.parquet", now=1000.5, previous_success=None))
    assert read["rowcall_rows", 'job="out.parquet",state="failed"'] == 1
    assert read["rowcall_tokens", 'job="out.parquet",kind="completion"'] == 50
    assert read["rowcall_latency_seconds", 'job="out.parquet",quantile="0.95"'] == 0.5
    assert ("rowcall_latency_seconds", 'job="out.parquet",quantile="0.99"') not in read
    assert read["rowcall_run_end_timestamp_seconds", 'job="out.parquet"'] == 1000.5
    nothing = metrics_text({**NOTHING_KNOWN, "exit_code": 2}, "out.parquet", now=1000.5, previous_success=None)
    assert {name for name, _ in samples(nothing)} == {"rowcall_run_exit_code", "rowcall_run_end_timestamp_seconds"}


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5, 70])
def test_the_last_success_is_kept_by_a_run_that_is_none(code):
    text = metrics_text({**SUMMARY, "exit_code": code}, "a.parquet", now=2000.25, previous_success=1000.5)
    assert last_success(text, "a.parquet") == (2000.25 if code in (0, 1) else 1000.5)
    assert last_success(text, "b.parquet") is None


@pytest.mark.parametrize("job", ['a"} 1\nrowcall_rows{b="', "back\\slash", "\udcff.parquet", "a\r\x85b\u2028c", "ünï"])
def test_any_file_name_is_one_label(job):
    text = metrics_text(SUMMARY, job, now=1000.5, previous_success=None)
    assert len(samples(text)) == len(samples(metrics_text(SUMMARY, "plain", now=1000.5, previous_success=None)))
    assert last_success(text, job) == 1000.5
    text.encode()


@pytest.mark.parametrize("text", ["", "garbage", 'rowcall_last_success_timestamp_seconds{job="a"} 1.2.3', "\x00"])
def test_a_file_that_is_not_ours_knows_of_no_success(text):
    assert last_success(text, "a") is None
