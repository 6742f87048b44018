"""How a run ended, as Prometheus reads it: the text that node_exporter's textfile collector picks up. Pure.

Every value is a gauge: the next run says its own, smaller or larger. Names and base units follow Prometheus' conventions, and
HELP lines are the same for every job, for the collector refuses two files that differ in them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

SUFFIX = ".prom"  # the collector reads no other
# A job that ended so is one that went through: some of its rows may have failed, and asking again does not help.
_SUCCESS = (0, 1)
_LAST_SUCCESS = "rowcall_last_success_timestamp_seconds"
_SAMPLE = re.compile(r'([a-z_]+)\{job="((?:[^"\\]|\\.)*)"\} ([0-9.e+]+)')
_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}

Samples = list[tuple[dict[str, str], float | None]]


def metrics_text(summary: Mapping[str, Any], job: str, *, now: float, previous_success: float | None) -> str:
    """Give the file's text for a run that ended at `now`, in seconds since the epoch.

    `summary` is a Summary's JSON; what is None in it is not known, and left out. `previous_success` is when the job last went
    through as far as the file before knew, None if it never did.
    """
    success = now if summary["exit_code"] in _SUCCESS else previous_success
    lines: list[str] = []
    for name, help_text, samples in _families(summary, now, success):
        known = [(labels, value) for labels, value in samples if value is not None]
        if known:
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} gauge"]
            lines += [f"{name}{_labels({'job': job, **labels})} {value}" for labels, value in known]
    return "\n".join(lines) + "\n"


def last_success(text: str, job: str) -> float | None:
    """Give when the job last went through, by the text of a file that an earlier run wrote; None if it does not say."""
    for line in text.splitlines():
        found = _SAMPLE.fullmatch(line)
        if found and found[1] == _LAST_SUCCESS and found[2] == _escaped(job):
            try:
                return float(found[3])
            except ValueError:
                return None
    return None


def _families(summary: Mapping[str, Any], now: float, success: float | None) -> Iterator[tuple[str, str, Samples]]:
    def one(key: str) -> Samples:
        return [({}, summary[key])]

    yield "rowcall_rows", "Rows of the job, by state.", [({"state": each}, summary[each]) for each in ("ok", "failed", "pending")]
    yield "rowcall_run_requests", "Requests that the latest run sent.", one("requests")
    yield "rowcall_run_retries", "Requests of the latest run that asked a row once more.", one("retries")
    yield "rowcall_run_throttled", "Answers to the latest run that asked it to slow down.", one("throttled")
    yield (
        "rowcall_run_ambiguous",
        "Requests of the latest run that may have been answered, and billed, unheard.",
        one("ambiguous"),
    )
    tokens: Samples = [({"kind": each}, summary[f"{each}_tokens"]) for each in ("prompt", "completion")]
    yield "rowcall_tokens", "Tokens of the job, over all its runs.", tokens
    yield "rowcall_cost", "Cost of the job over all its runs, in the currency of its pricing.", one("cost")
    latency = summary["latency_s"]
    quantiles: Samples = [({"quantile": number}, latency.get(name)) for name, number in _QUANTILES.items()]
    yield "rowcall_latency_seconds", "Latency of the job's answered requests, by quantile.", quantiles
    yield "rowcall_run_duration_seconds", "How long the latest run was sending.", one("seconds")
    yield "rowcall_run_exit_code", "Exit code of the latest run.", one("exit_code")
    yield "rowcall_run_end_timestamp_seconds", "When the latest run ended.", [({}, now)]
    yield _LAST_SUCCESS, "When a run last ended with 0 or 1: every row has its answer or its error.", [({}, success)]


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    """Give a label's value as the format wants it, in UTF-8, with question marks for what is none."""
    text = value.encode("utf-8", "replace").decode("utf-8")
    # A carriage return and the like are legal, but end a line where this text is read back.
    text = re.sub("[\x00-\x09\x0b-\x1f\x7f\x85\u2028\u2029]", "?", text)
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
