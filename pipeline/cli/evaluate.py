"""rowcall evaluate: completions scored against references, and two runs compared."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.loading import quickly
from pipeline.cli.options import FILE, ONE_A_LINE, TABLE, volume_options
from pipeline.cli.say import say
from pipeline.core.locations import Location
from pipeline.jobs.evaluate_extra import check_installed

if TYPE_CHECKING:
    from pipeline.core.scores import Comparison, Evaluation

GATE_BROKEN = 1


def _split(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.strip() for value in values for name in value.split(",") if name.strip())
    if not names:
        raise click.UsageError("--metric: name at least one, such as exact")
    return names


@click.command("evaluate")
@click.argument("target", metavar="OUTPUT", type=TABLE)
@click.argument("other", metavar="[OTHER]", required=False, type=TABLE)
@click.option(
    "--reference",
    "references",
    multiple=True,
    type=ONE_A_LINE,
    metavar="COLUMN",
    envvar="ROWCALL_EVALUATE_REFERENCE",
    help="Column with the right answer, or a list of them; s.text is field text of s. Repeatable: the one that fits best counts.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    callback=_split,
    default=("exact,f1",),
    metavar="NAME,…",
    envvar="ROWCALL_EVALUATE_METRIC",
    help="Any of exact, f1, contains, choice, number, json, rouge1, rouge2, rougeL, bleu, chrf, ter, cider, wer, cer."
    "  [default: exact,f1]",
)
@click.option(
    "--tokenize",
    type=click.Choice(["13a", "intl", "zh", "char", "none"]),
    help="How bleu splits texts: zh for Chinese, char where no spaces are written.  [default: 13a]",
)
@click.option(
    "--extract",
    metavar="REGEX|number|choice|json[:FIELD]",
    help="What of a completion is the answer: the last match (its first group), the last number, the letter chosen, JSON.",
)
@click.option("--completion", metavar="COLUMN", help="Column with the replies.  [default: completion, as the job calls it]")
@click.option("--by", multiple=True, type=ONE_A_LINE, metavar="COLUMN", help="Also score the groups of this column; repeatable.")
@click.option("--cluster", metavar="COLUMN", help="Rows that share this are not independent: five captions of one picture.")
@click.option(
    "--key", multiple=True, type=ONE_A_LINE, metavar="COLUMN", help="With OTHER: by what rows belong together; repeatable."
)
@click.option(
    "--missing",
    "rule",
    type=click.Choice(["zero", "drop"]),
    envvar="ROWCALL_EVALUATE_MISSING",
    default="zero",
    show_default=True,
    help="Rows that failed, were refused, cut off or empty: count as an empty answer, or leave out. Both are shown.",
)
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write the rows with their scores: .parquet, .csv or .jsonl.")
@click.option("--csv-safe", is_flag=True, help="Put ' before CSV cells that a spreadsheet would run as a formula, such as =1+1.")
@click.option(
    "--json",
    "json_file",
    type=FILE,
    metavar="FILE",
    envvar="ROWCALL_EVALUATE_JSON",
    help="Write all figures as JSON; - is standard output.",
)
@click.option("--report", type=FILE, metavar="FILE", help="Write a page to look at: figures, plots, rows.")
@click.option(
    "--gate",
    "gates",
    multiple=True,
    type=ONE_A_LINE,
    metavar="BOUND",
    envvar="ROWCALL_EVALUATE_GATE",
    help="Exit with 1 unless this holds: 'exact>=0.80', 'exact.low>=0.78', 'missing<=0.01'; repeatable.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap's draws.")
@volume_options
def command(
    target: Path | Location,
    other: Path | Location | None,
    json_file: Path | None,
    report: Path | None,
    verbose: int,
    quiet: bool,
    **asked: Any,
) -> None:
    """Score the completions of OUTPUT against a reference column, each score with its 95 % interval.

    OUTPUT is what a run wrote, the config of a job, or any table (.parquet, .csv, .tsv, .jsonl) with a completion and a
    reference in each row. With OTHER the two are compared row by row. Nothing is sent.

    \b
    Exit codes: 0 scored · 1 a --gate does not hold · 2 usage, or tables that cannot be scored
    """
    check_installed()  # before the next lines, which load what it looks for
    with quickly(rows_only=False):  # here and not above: --help has no need of it
        from pipeline.jobs.evaluate import Asked, check_json, evaluate
        from pipeline.jobs.report import check_page

    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        check_json(json_file)
    if report is not None:
        check_page(report)
    others = [each for each in (report, None if to_stdout else json_file) if each is not None]
    with _progress(quiet) as seen:
        result = evaluate(Asked(target, other, others=others, with_rows=bool(json_file or report), **asked), seen=seen)
    if json_file is not None:
        _write_json(result, None if to_stdout else json_file)
    if report is not None:
        _write_page(result, report)
    if not (quiet or to_stdout):
        _print(result)
    broken = [each for each in result.gates if not each.holds]
    for each in broken:
        seen_there = "unknown" if each.seen is None else f"{each.seen:.6g}"
        say([f"rowcall: gate {each.text} does not hold: {seen_there}"], err=True)
    if broken:
        sys.exit(GATE_BROKEN)


def _print(result: "Evaluation | Comparison") -> None:
    from pipeline.observe.evaluation.text import comparison_lines, evaluation_lines

    say(evaluation_lines(result) if result.kind == "evaluation" else comparison_lines(result))


def _write_json(result: "Evaluation | Comparison", file: Path | None) -> None:
    from pipeline.jobs.scores_file import json_of, write_scores

    if file is None:
        say([json_of(result).decode()])
    else:
        write_scores(result, file)


def _write_page(result: "Evaluation | Comparison", file: Path) -> None:
    from pipeline.observe.evaluation.page import write_evaluation_page
    from pipeline.observe.whole_file import replacing

    with replacing(file) as out:
        text = io.TextIOWrapper(out, encoding="utf-8", errors="replace", newline="\n")
        write_evaluation_page(result, text)
        text.detach()  # flushes, and leaves the file open


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int], object]]:
    """Show a bar on stderr, if that is a terminal, while rows are read; give what is to be told of them."""
    from tqdm import tqdm

    with tqdm(unit=" rows", unit_scale=True, leave=False, disable=quiet or not sys.stderr.isatty()) as bar:
        yield bar.update
