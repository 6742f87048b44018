"""rowcall report: a job as one HTML page."""

from pathlib import Path

import click

from pipeline.cli.loading import quickly
from pipeline.cli.options import ONE_A_LINE, volume_options
from pipeline.cli.say import say
from pipeline.observe.wording import count


@click.command("report")
@click.argument("target", metavar="CONFIG|OUTPUT", type=click.Path(path_type=Path))
@click.argument("file", required=False, type=click.Path(path_type=Path))
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
    "--sample", type=click.IntRange(0, 100_000), default=400, show_default=True, metavar="N", help="Rows to show at most."
)
@volume_options
def command(target: Path, file: Path | None, references: tuple[str, ...], sample: int, verbose: int, quiet: bool) -> None:
    """Write a page about the job, running no more or never finished: figures, plots, failures, and rows with what came back.

    FILE is one .html file that needs nothing else, beside the output unless given. Rows that failed or look wrong come
    first into the sample; their pictures are read again from the input. Nothing is sent or fetched.
    """
    with quickly(rows_only=True):  # here and not above: --help has no need of it
        from pipeline.jobs.report import make_report
        from pipeline.observe.whole_file import replacing

    report, place = make_report(target, file, sample=sample, references=references)
    with quickly(rows_only=False):  # plots need numpy
        from pipeline.observe.report.page import page_of

    with replacing(place) as out:
        out.write(page_of(report).encode("utf-8", "replace"))
    if not quiet:
        rows = report.summary["rows"]
        assert isinstance(rows, int)
        say([f"report written to {place}: {count(rows)} rows, {count(len(report.gallery))} of them shown"])
