"""A report as one HTML file that needs nothing else: no network, no other file, no trust in what stands in it."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.resources import files
from typing import TextIO

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.core.values import value
from pipeline.observe.report.foreign import cell, indented, shown
from pipeline.observe.report.gallery import rows_in_pieces
from pipeline.observe.report.gathered import course_of
from pipeline.observe.report.plots import Plot, concurrency_over_time, histogram, requests_over_time, rows_over_time
from pipeline.observe.report.sections import alike, captions_of, facts_of, finish_reasons_of, lengths_of, notices_of
from pipeline.observe.report.types import Report
from pipeline.observe.wording import count, duration


@value(frozen=True, slots=True)
class Drawn:
    """Plots of one kind, and the names of those for which there is no data."""

    title: str
    plots: tuple[Plot, ...]
    missing: tuple[str, ...]


def page_of(report: Report) -> str:
    return "".join(_pieces(report))


def write_page(report: Report, file: TextIO) -> None:
    """Write the page piece by piece; it is UTF-8, and says so."""
    for piece in _pieces(report):
        file.write(piece)


def _pieces(report: Report) -> Iterator[str]:
    style, script = _static("page.css"), _static("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_seen, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"cell": cell, "count": count, "duration": duration, "when": _when, "alike": alike}
    return environment.from_string(_static("page.html")).generate(
        report=report,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 (a file of this package, as are all below)
        script=Markup(script),  # noqa: S704
        rows=(Markup(piece) for piece in rows_in_pieces(report.gallery, pictured=report.pictured)),  # noqa: S704
        svg=Markup,
        notices=notices_of(report),
        facts=facts_of(report.summary),
        drawn=_drawn(report),
        finish_reasons=finish_reasons_of(report.summary),
        captions=captions_of(report.captions),
        config=indented(report.config),
    )


def _drawn(report: Report) -> list[Drawn]:
    course = course_of(report.timelines)
    over_time = {
        "rows": rows_over_time(course),
        "concurrency": concurrency_over_time(course),
        "requests": requests_over_time(course),
    }
    spread = {
        "latency": histogram(report.latencies, name="latency", title="Latency", unit="seconds"),
        "prompt tokens": histogram(report.prompt_tokens, name="prompt", title="Prompt tokens", unit="tokens"),
        "completion tokens": histogram(report.completion_tokens, name="completion", title="Completion tokens", unit="tokens"),
        "words": histogram(report.words, name="words", title="Length of completions", unit="words", note=lengths_of(report)),
    }
    return [_kind("Over time", over_time), _kind("How rows differ", spread)]


def _kind(title: str, plots: Mapping[str, Plot | None]) -> Drawn:
    return Drawn(title, tuple(each for each in plots.values() if each), tuple(name for name, each in plots.items() if not each))


def _policy(style: str, script: str) -> str:
    """Give the policy under which the page runs: its own style and script by their hashes, pictures it holds, else nothing.

    Even a mistake in the script cannot make markup of text: that is what trusted types are about.
    """
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none';"
        " form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _static(name: str) -> str:
    return files("pipeline.observe.report").joinpath("static", name).read_text(encoding="utf-8")


def _seen(shows: object) -> object:
    """Pass every text that the template prints through `shown`, so that none can be forgotten; Jinja escapes it after that."""
    return shown(shows) if isinstance(shows, str) and not isinstance(shows, Markup) else shows


def _when(epoch: float) -> str:
    return datetime.fromtimestamp(epoch).astimezone().strftime("%Y-%m-%d %H:%M %Z")
