"""rowcall status: where a job stands."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.loading import quickly
from pipeline.cli.options import JOB, volume_options
from pipeline.cli.say import say
from pipeline.core.redact import harmless
from pipeline.core.tally import Summary
from pipeline.jobs.text import dumps
from pipeline.observe.wording import clock, count, duration, summary_lines

if TYPE_CHECKING:
    from pipeline.jobs.look import Standing


@click.command("status")
@click.argument("target", metavar="CONFIG|OUTPUT", type=JOB)
@click.option("--json", "as_json", is_flag=True, envvar="ROWCALL_STATUS_JSON", help="Print the summary as JSON.")
@click.option("--verify", is_flag=True, help="Read output and sealed parts back and prove row count, order and checksums.")
@volume_options
def command(target: Path, as_json: bool, verify: bool, verbose: int, quiet: bool) -> None:
    """Tell where a job stands, running or not: rows, errors, tokens, cost, rate, past runs.

    Exits 0 whatever the job's state, 2 where there is no job, 5 if --verify finds damage.
    """
    with quickly(rows_only=True):  # here and not above: --help has no need of it
        from pipeline.jobs.look import standing

    found = standing(target, verify=verify)
    if as_json:
        say([dumps({**found.summary, **({"live": found.live} if found.live else {})})])
    elif not quiet:
        say(harmless(line, 1000) for line in _lines(found, verbose))


def _lines(found: "Standing", verbose: int) -> list[str]:
    lines = summary_lines(Summary(**found.summary))  # type: ignore[arg-type]
    if found.holder:
        lines.insert(0, f"running: {found.holder}")
        lines.append(_live(found.live))
    if found.live.get("credits") is not None:
        lines.append(f"credits left when last heard: {found.live['credits']:,.6g}")
    if found.proven is not None:
        lines.append(f"verified: {count(found.proven)} recorded rows, their order and checksums, and the output")
    shown = found.runs if verbose else found.runs[-5:]
    for run in shown:
        lines.append(_run(run))
    return lines


def _live(live: dict[str, Any]) -> str:
    parts = [
        f"{count(live.get('in_flight') or 0)} in flight",
        f"{live.get('rate') or 0:,.1f} rows/s",
        f"{count(live.get('per_minute') or 0)} rpm",
    ]
    if live.get("held_until"):
        parts.append(f"held by {live['held_by']} until {clock(live['held_until'])}")
    elif live.get("eta_s"):
        parts.append(f"eta {duration(live['eta_s'])}")
    return "now: " + " · ".join(parts)


def _run(run: Any) -> str:
    if run.ended is None:
        end = "died without a word" if run.died else "did not end"
    else:
        summary = run.summary or {}
        end = f"{duration(run.ended - run.started)}, exit {summary.get('exit_code')}"
        if summary.get("stopped"):
            end += f", stopped: {summary['stopped']}"
    return f"run {run.id}: {clock(run.started)} on {run.host}, {end}"
