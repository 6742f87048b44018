"""A report as one HTML file that needs nothing else: no network, no other file, no trust in what stands in it."""

from collections.abc import Iterator, Mapping
from typing import TextIO

from markupsafe import Markup

from pipeline.core.values import value
from pipeline.observe.evaluation.part import part_of
from pipeline.observe.report.foreign import indented
from pipeline.observe.report.gallery import rows_in_pieces
from pipeline.observe.report.gathered import course_of
from pipeline.observe.report.plots import Plot, concurrency_over_time, histogram, requests_over_time, rows_over_time
from pipeline.observe.report.sections import alike, captions_of, facts_of, finish_reasons_of, lengths_of, notices_of
from pipeline.observe.report.shell import environment, policy, static
from pipeline.observe.report.types import Report


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
    scores = None if report.evaluation is None else part_of(report.evaluation)
    style = static("page.css") + ("" if scores is None else static("evaluation.css"))
    script = static("page.js")
    templates = environment()
    templates.filters["alike"] = alike
    return templates.get_template("page.html").generate(
        report=report,
        scores=scores,
        policy=policy(style, [script] if scores is None else [scores.script, script]),
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
