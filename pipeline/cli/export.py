"""rowcall export: the rows of a job, finished or not, as one file."""

from pathlib import Path

import click

from pipeline.cli.loading import quickly
from pipeline.cli.options import FILE, JOB, volume_options
from pipeline.cli.say import say
from pipeline.observe.wording import count


@click.command("export")
@click.argument("target", metavar="CONFIG|OUTPUT", type=JOB)
@click.argument("file", type=FILE)
@click.option("--csv-safe", is_flag=True, help="Put ' before CSV cells that a spreadsheet would run as a formula, such as =1+1.")
@volume_options
def command(target: Path, file: Path, csv_safe: bool, verbose: int, quiet: bool) -> None:
    """Write all rows of the job as FILE (.parquet, .csv or .jsonl); rows without an outcome have status `pending`."""
    with quickly(rows_only=True):  # here and not above: --help has no need of it
        from pipeline.jobs.look import export_batches
        from pipeline.observe.export import export

    rows, formulas = export(*export_batches(target, file), file, csv_safe=csv_safe)
    if quiet:
        return
    say([f"{count(rows)} rows written to {file}"])
    if formulas and csv_safe:
        say([f"rowcall: {count(formulas)} cells that begin like a formula have a ' before them"], err=True)
    elif formulas:
        say([f"rowcall: {count(formulas)} cells begin like a spreadsheet formula; --csv-safe makes them text"], err=True)
