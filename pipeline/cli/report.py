"""rowcall report: a job as one HTML page."""

import io
from pathlib import Path

import click

from pipeline.cli.loading import quickly
from pipeline.cli.options import FILE, JOB, ONE_A_LINE, volume_options
from pipeline.cli.say import say
from pipeline.observe.wording import count


@click.command("report")
@click.argument("target", metavar="CONFIG|OUTPUT", type=JOB)
@click.argument("file", required=False, type=FILE)
@click.option(
    "--reference",
    "references",
    multiple=True,
    type=ONE_A_LINE,
    metavar="COLUMN",
    envvar="ROWCALL_REPORT_REFERENCE",
    help="Input column with texts to show beside the completion; repeatable.",
)
@click.option(
    "--sample", type=click.IntRange(0, 20_000), default=400, show_default=True, metavar="N", help="Rows to show at most."
)
@click.option(
    "--evaluation",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Scores of this output to show, as `rowcall evaluate --json FILE` wrote them.",
)
@volume_options
def command(
    target: Path,
    file: Path | None,
    references: tuple[str, ...],
    sample: int,
    evaluation: Path | None,
    verbose: int,
    quiet: bool,
) -> None:
    """Write a page about a job, finished or not: figures, plots, failures, and rows with what came back for them.

    FILE is one .html file that needs nothing beside it; unless given it lies beside the output. The rows shown are a sample
    of failed, odd and ordinary ones. Their pictures are read from the input again. Nothing is sent or fetched.
    """
    with quickly(rows_only=True):  # here and not above: --help has no need of it
        from pipeline.jobs.report import make_report
        from pipeline.observe.whole_file import replacing

    report, place = make_report(target, file, sample=sample, references=references, evaluation=evaluation)
    with quickly(rows_only=False):  # plots need numpy
        from pipeline.observe.report.page import write_page

    with replacing(place) as out:
        text = io.TextIOWrapper(out, encoding="utf-8", errors="replace", newline="\n")
        write_page(report, text)
        text.detach()  # flushes, and leaves the file open
    if not quiet:
        rows = report.summary["rows"]
        assert isinstance(rows, int)
        say([f"report written to {place}: {count(rows)} rows, {count(len(report.gallery))} of them shown"])
