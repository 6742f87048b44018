"""rowcall run: run a job, or resume it."""

import time
from pathlib import Path
from typing import Any, Literal

import click

from pipeline.cli.ending import Finishing
from pipeline.cli.loading import quickly
from pipeline.cli.options import config_of, job_options, volume_options
from pipeline.cli.say import say
from pipeline.core.errors import ConfigError
from pipeline.core.redact import harmless
from pipeline.jobs.deadline import deadline_of
from pipeline.jobs.job import Job
from pipeline.jobs.place import refuse_if_running

# Exit codes of a run that stopped for a reason that running it again does not mend.
_NEEDS_SOMEBODY = (2, 5)


@click.command("run")
@job_options
@click.option(
    "--retry-failed",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[KIND,…]",
    help="Ask failed rows again (of these kinds; also length, empty).",
    allow_from_autoenv=False,
)
@click.option(
    "--fresh", is_flag=True, help="Set record and output aside under a dated name and start over.", allow_from_autoenv=False
)
@click.option("--keep-done", is_flag=True, help="Keep recorded rows and go on under a changed config.", allow_from_autoenv=False)
@click.option(
    "--repair", is_flag=True, help="Set a record's damaged files aside, keep what is proven, go on.", allow_from_autoenv=False
)
@click.option("--progress", type=click.Choice(["auto", "bar", "log", "none"]), default="auto", show_default=True)
@click.option("--deadline", metavar="WHEN", help="Send nothing after it: 2h, 90m, or a time of day such as 06:00.")
@click.option("--engine", type=click.Choice(["local", "ray"]), help="Who asks: this process, or workers of a Ray cluster.")
@click.option("--json", "as_json", is_flag=True, envvar="ROWCALL_RUN_JSON", help="Print the summary as JSON.")
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path),
    metavar="FILE.prom",
    help="When the run has ended, leave its figures there for node_exporter's textfile collector.",
)
@click.option(
    "--on-finish",
    metavar="COMMAND",
    help="Run by sh when the run has ended, however: the summary's JSON on its standard input, ROWCALL_EXIT_CODE set.",
)
@volume_options
def command(
    metrics_file: Path | None,
    on_finish: str | None,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Run the job in CONFIG, or go on with it: the same command.

    Results are in the output when every row has its answer or its error; until then the record beside it holds them. With
    nothing left to do it does nothing, and exits with the job's code.

    \b
    Exit codes: 0 every row ok, 1 some failed, 2 nothing was sent, 3 stopped early (run again),
    4 another run holds the job, 5 a person is needed first, 130 second interrupt.
    """
    with Finishing(metrics_file, on_finish or None, stdout_is_taken=as_json) as finishing:
        _run(finishing, as_json=as_json, quiet=quiet, **asked)


def _run(
    finishing: Finishing,
    config: Path | None,
    limit: int | None,
    retry_failed: str | None,
    fresh: bool,
    keep_done: bool,
    repair: bool,
    progress: Literal["auto", "bar", "log", "none"],
    deadline: str | None,
    as_json: bool,
    verbose: int,
    quiet: bool,
    **given: Any,
) -> None:
    if fresh and keep_done:
        raise ConfigError("--fresh and --keep-done exclude each other")
    if fresh and repair:
        raise ConfigError("--fresh and --repair exclude each other: one starts over, the other keeps what is recorded")
    if retry_failed and config is None and Path(retry_failed).is_file():
        # `--retry-failed job.yaml`: the option's value is optional, and this is none.
        config, retry_failed = Path(retry_failed), ""
    job = Job(
        config_of(config, given),
        limit=limit,
        retry_failed=None if retry_failed is None else tuple(kind.strip() for kind in retry_failed.split(",") if kind.strip()),
        fresh=fresh,
        keep_done=keep_done,
        repair=repair,
        deadline=deadline_of(deadline, now=time.time()) if deadline else None,
    )
    finishing.job = job.config.output.place.name
    refuse_if_running(job.config)
    # Here and not above: the second of two runs, as cron makes them, has its answer before this much is imported.
    with quickly(rows_only=True):
        from pipeline.jobs.run import run_job
        from pipeline.jobs.text import dumps
        from pipeline.observe.progress import choose
        from pipeline.observe.wording import summary_lines

    finishing.summary = summary = run_job(job, choose(progress, quiet=quiet))
    if as_json:
        say([dumps(summary.to_json())])
    elif not quiet or summary.exit_code:
        say(summary_lines(summary), err=quiet)
    if summary.stopped and summary.exit_code in _NEEDS_SOMEBODY:
        # The summary is on stdout, perhaps for a script: what has to be mended is said where errors are.
        say([f"rowcall: error: {harmless(summary.stopped, 1000)}"], err=True)
