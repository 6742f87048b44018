"""The figures of a report in words: what stands in its tiles, its notices and its lists of counts."""

from collections.abc import Mapping, Sequence

from pipeline.core.values import value
from pipeline.observe.report.types import Report
from pipeline.observe.wording import count, short, took

_MOST_LISTED = 12


@value(frozen=True, slots=True)
class Fact:
    """One tile: a figure, what it is, and what else belongs to it. `tone` is `good`, `bad`, `due` or nothing."""

    name: str
    figure: str
    more: str = ""
    tone: str = ""


@value(frozen=True, slots=True)
class Share:
    """One bar of a list: `share` of the longest bar, in hundredths."""

    name: str
    count: int
    share: float


@value(frozen=True, slots=True)
class Counts:
    """A list of counts with a title; `rest` entries are left out of it."""

    title: str
    shares: tuple[Share, ...]
    rest: int = 0


def notices_of(report: Report) -> list[Fact]:
    """Say in plain sentences what is not as one would wish: rows still to do, rows that failed."""
    summary, notices = report.summary, []
    if pending := _whole(summary, "pending"):
        stopped = f" The last run stopped early: {summary['stopped']}." if summary.get("stopped") else ""
        rows = "1 row is" if pending == 1 else f"{count(pending)} rows are"
        notices.append(Fact("Not finished.", f"{rows} still to do.{stopped} The same command goes on from here.", tone="due"))
    if failed := _whole(summary, "failed"):
        kinds = _mapping(summary.get("errors"))
        most = max(kinds, key=lambda kind: kinds[kind], default=None)
        mostly = "" if most is None else f" with {most}" if len(kinds) == 1 else f", most with {most}"
        rows = "1 row" if failed == 1 else f"{count(failed)} rows"
        notices.append(Fact(f"{rows} failed{mostly}.", "rowcall run --retry-failed asks them again.", tone="bad"))
    return notices


def facts_of(summary: Mapping[str, object]) -> list[Fact]:
    """Give the tiles. What is not known has none."""
    rows, ok, failed, pending = (_whole(summary, key) for key in ("rows", "ok", "failed", "pending"))
    tokens = [_whole(summary, "prompt_tokens"), _whole(summary, "completion_tokens")]
    facts = [
        Fact("Rows", count(rows), f"limited to {count(_whole(summary, 'limit'))}" if summary.get("limit") is not None else ""),
        Fact("OK", count(ok), _of(ok, rows), "good" if ok else ""),
        Fact("Failed", count(failed), _of(failed, rows), "bad" if failed else ""),
        Fact("To do", count(pending), _of(pending, rows), "due" if pending else ""),
    ]
    if any(tokens):
        facts.append(Fact("Tokens", short(sum(tokens)), f"{short(tokens[0])} prompt, {short(tokens[1])} completion"))
    if (cost := _number(summary, "cost")) is not None:
        facts.append(Fact("Cost", f"{cost:,.4g}", f"{1000 * cost / ok:,.3g} a thousand rows" if ok and cost else ""))
    if rate := _number(summary, "rows_per_second"):
        seconds = _number(summary, "seconds")
        in_all = f", which took {took(seconds)}" if seconds else ""
        facts.append(Fact("Rows a second", f"{rate:,.3g}", f"in the last run{in_all}"))
    latency = summary.get("latency_s")
    if isinstance(latency, Mapping) and latency.get("p50") is not None:
        slow = ", ".join(f"{latency[key]:.3g} s {key}" for key in ("p95", "p99") if latency.get(key) is not None)
        facts.append(Fact("Latency", f"{latency['p50']:.3g} s", f"median; {slow}" if slow else "median"))
    if requests := _whole(summary, "requests"):
        more = f"{count(_whole(summary, 'retries'))} retries, {count(_whole(summary, 'throttled'))} throttled"
        facts.append(Fact("Requests", count(requests), f"in the last run; {more}"))
    return facts


def finish_reasons_of(summary: Mapping[str, object]) -> Counts | None:
    reasons = _mapping(summary.get("finish_reasons"))
    return counts_of("Finish reasons", reasons) if reasons else None


def alike(examples: Sequence[tuple[int, str]]) -> list[tuple[str, list[int]]]:
    """Put the rows of one message together: most failures of a kind say the same."""
    rows: dict[str, list[int]] = {}
    for index, message in examples:
        rows.setdefault(message, []).append(index)
    return list(rows.items())


def captions_of(captions: Mapping[str, object]) -> list[Counts]:
    """Give what the checks of the completions found: counts in one list, each mapping but the lengths as a list of its own."""
    single = {
        f"{_words(key)} (estimated)" if captions.get(f"{key}_estimated") else _words(key): found
        for key, found in captions.items()
        if isinstance(found, int) and not isinstance(found, bool) and key != "checked"
    }
    checked = _whole(captions, "checked")
    lists = [counts_of(f"Checks of {count(checked)} completions" if checked else "Checks", single)] if single else []
    for key, found in captions.items():
        if key != "words" and (counts := _mapping(found)):
            lists.append(counts_of(_words(key).capitalize(), counts))
    return lists


def lengths_of(report: Report) -> str | None:
    """Say in words how long completions are, where that is known, and of how many if not of all."""
    lengths = _mapping(report.captions.get("words"))
    if not {"p50", "longest"} <= lengths.keys():
        return None
    words = "1 word" if lengths["p50"] == 1 else f"{count(lengths['p50'])} words"
    said = f"alf have at most {words}, the longest {count(lengths['longest'])}."
    measured = sum(each.count for each in report.words)
    if measured < _whole(report.summary, "ok") - _whole(report.summary, "empty") and "checked" not in report.captions:
        return f"Of {count(measured)} that were measured, h{said}"
    return f"H{said}"


def counts_of(title: str, found: Mapping[str, int]) -> Counts:
    """Make a list of counts, the highest first."""
    ordered = sorted(found.items(), key=lambda each: -each[1])[:_MOST_LISTED]
    most = max(1, *(number for _, number in ordered)) if ordered else 1
    shares = tuple(Share(name, number, round(100 * number / most, 1)) for name, number in ordered)
    return Counts(title, shares, len(found) - len(shares))


def _words(key: str) -> str:
    return key.replace("_", " ")


def _mapping(found: object) -> dict[str, int]:
    if not isinstance(found, Mapping):
        return {}
    return {str(key): number for key, number in found.items() if isinstance(number, int) and number}


def _of(part: int, rows: int) -> str:
    if not part or not rows:
        return ""
    share = 100 * part / rows
    # 99.97 % is not all of them, and 0.004 % not none.
    return f"{share:.0f} %" if share == round(share) else f"{min(max(share, 0.1), 99.9):.1f} %"


def _whole(summary: Mapping[str, object], key: str) -> int:
    found = summary.get(key)
    return found if isinstance(found, int) else 0


def _number(summary: Mapping[str, object], key: str) -> float | None:
    found = summary.get(key)
    return float(found) if isinstance(found, int | float) else None
