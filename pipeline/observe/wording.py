"""Numbers and times as a person reads them, and foreign text made harmless for a terminal."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.core.redact import harmless
from pipeline.core.tally import Progress, Summary


def count(number: int) -> str:
    """1204 -> `1,204`."""
    return f"{number:,}"


def short(number: int) -> str:
    """1234567 -> `1.2M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if letter == 'k' else size):.{0 if letter == 'k' else 1}f}{letter}"
    return count(number)


def duration(seconds: float) -> str:
    """845 -> `14:05`, 7265 -> `2:01:05`, days as `3d 04:00`."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    days, hour_of_day = divmod(hour, 24)
    if days:
        return f"{days}d {hour_of_day:02}:{minute:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute:02}:{second:02}"


def took(seconds: float) -> str:
    """Give the length of what is over: 845 -> `14:05`, and what a clock would call nothing as `0.84 s`."""
    return duration(seconds) if round(seconds, 1) >= 10 or not seconds else f"{seconds:.2g} s"


def clock(epoch: float) -> str:
    """Give local wall-clock time, with the date if it is not today's."""
    then = datetime.fromtimestamp(epoch).astimezone()
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M:%S")


def rate(now: Progress) -> str:
    if now.requests_per_minute is not None:
        return f"{count(now.per_minute)}/{now.requests_per_minute:,.0f} rpm"
    return f"{count(now.per_minute)} rpm"


def line(now: Progress) -> str:
    """Give a run as one line: `1,204/5,000 (312 resumed) ok 1,190 failed 14 · 23 in flight · …`."""
    in_flight = f"{count(now.in_flight)}/{count(now.limit)}" if now.limit else count(now.in_flight)
    head = f"{count(now.done)}/{count(now.rows)}"
    if now.resumed:
        head += f" ({count(now.resumed)} resumed)"
    parts = [f"{head} ok {count(now.ok)} failed {count(now.failed)}", f"{in_flight} in flight"]
    if now.waiting:
        parts.append(f"{count(now.waiting)} waiting to retry")
    parts += [rate(now), f"{short(now.tokens)} tokens"]
    if now.cost is not None:
        parts.append(f"cost {now.cost:,.4g}")
    if now.traffic.credits is not None:
        parts.append(f"credits {now.traffic.credits:,.6g}")
    if now.stopping:
        parts.append(f"stopping ({now.stopping})")
    elif now.held_until is not None:
        parts.append(f"held by {now.held_by} until {clock(now.held_until)}")
    elif now.eta_s is not None and not now.finished:
        parts.append(f"eta {duration(now.eta_s)}")
    return " · ".join(parts)


def summary_lines(summary: Summary) -> list[str]:
    """Give a summary as the lines a person reads at the end of a run."""
    done = f"{count(summary.rows)} rows: {count(summary.ok)} ok, {count(summary.failed)} failed"
    if summary.pending:
        done += f", {count(summary.pending)} still to do"
    if summary.limit is not None:
        done += f" (--limit {count(summary.limit)})"
    lines = [done]
    if summary.requests:
        lines.append(
            f"this run: {count(summary.ok + summary.failed - summary.resumed)} rows, {count(summary.requests)} requests"
            f" ({count(summary.retries)} retries, {count(summary.throttled)} throttled,"
            f" {count(summary.ambiguous)} ambiguous) in {duration(summary.seconds)}, {summary.rows_per_second:,.1f} rows/s"
        )
    if summary.ok:
        lines.append(_replies(summary))
    if summary.captions and not summary.pending:
        lines += _captions(summary.captions)
    for kind, number in summary.errors.items():
        lines.append(f"failed: {count(number)} {kind}")
    again = [kind for kind in ("server_error", "bad_gateway", "timeout", "connection") if kind in summary.errors]
    if again and not summary.pending:
        lines.append(f"to ask those again: --retry-failed={','.join(again)}")
    if summary.stopped:
        lines.append(f"stopped early: {summary.stopped}")
        if summary.exit_code == 3:
            lines.append("the same command goes on from here")
    if summary.output and not summary.pending:
        lines.append(f"output: {summary.output}")
    return lines


# A phrase that so many captions begin with is worth a line.
_PHRASE_SHARE = 0.1


def _captions(found: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with captions, and how long they are; nothing where nothing is wrong."""
    named = {"truncated": "cut off", "refused": "refused", "empty": "empty", "duplicates": "duplicates", "loops": "loops"}
    if found.get("duplicates_estimated"):
        named["duplicates"] = "duplicates by an estimate"
    faults = [
        f"{count(found[key])} {name if found[key] > 1 else name.rstrip('s')}" for key, name in named.items() if found.get(key)
    ]
    parts = [", ".join(faults)] if faults else []
    checked = found.get("checked") or 1
    for phrase, number in list((found.get("stock_phrases") or {}).items())[:1]:
        if number >= _PHRASE_SHARE * checked:
            parts.append(f"{100 * number / checked:.0f} % begin with '{harmless(phrase, 60)}'")
    words = found.get("words") or {}
    if parts and words.get("longest"):
        parts.append(f"{count(words['p5'])} to {count(words['p95'])} words, {count(words['p50'])} at the median")
    return [f"captions: {'; '.join(parts)}"] if parts else []


def _replies(summary: Summary) -> str:
    parts = [f"tokens: {short(summary.prompt_tokens)} prompt, {short(summary.completion_tokens)} completion"]
    if summary.cost is not None:
        parts.append(f"cost: {summary.cost:,.4f}")
    median, slow = summary.latency_s.get("p50"), summary.latency_s.get("p95")
    if median is not None and slow is not None:
        parts.append(f"latency: {median:.3g} s median, {slow:.3g} s p95")
    if summary.captions and not summary.pending:
        return " · ".join(parts)  # what they say counts these too
    for reason in ("length", "content_filter"):
        if number := summary.finish_reasons.get(reason):
            parts.append(f"{count(number)} ended by {reason}")
    if summary.empty:
        parts.append(f"{count(summary.empty)} empty")
    return " · ".join(parts)
