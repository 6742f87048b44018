"""The command `rowcall`: its verbs, and where whatever they raise ends. What is said then is in ending."""

import importlib
import io
import sys

import click

from pipeline.cli.ending import told
from pipeline.cli.loading import arrow_sparingly, quickly
from pipeline.version import __version__

# Verb -> what it does. The modules of the same name are imported when a verb is used: --help stays fast.
VERBS = {
    "run": "Run a job, or resume it: the same command.",
    "check": "Show what a job would send, and send nothing.",
    "status": "Tell where a job stands, running or not.",
    "export": "Write the rows of an unfinished job as one file.",
    "init": "Write a commented config to start from.",
    "simulate": "Serve a mock endpoint, to rehearse a job at no cost.",
    "report": "Write a job's figures, failures and rows as one HTML page.",
    "evaluate": "Score completions against references, or compare two runs row by row.",
}


class Verbs(click.Group):
    """Loads a verb's module when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        arrow_sparingly()
        with quickly(rows_only=False):
            command: click.Command = importlib.import_module(f"pipeline.cli.{name}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.command(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "ROWCALL", "max_content_width": 120},
    epilog="Every option has an environment twin: --concurrency of `run` is ROWCALL_RUN_CONCURRENCY.",
)
@click.version_option(__version__, "-V", "--version", message="rowcall %(version)s")
def commands() -> None:
    """Send every row of a dataset to a chat-completion endpoint, and get every answer once."""


def main() -> None:
    """Run the command and exit with its code. A mistake is one line; only a bug in rowcall shows a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Where a terminal's encoding lacks a sign, a question mark is enough.
        sys.stdout.reconfigure(errors="replace")
    try:
        commands(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.Abort:
        sys.exit(130)
    except Exception as error:  # the last line: nothing behind it could still tell the user
        sys.exit(told(error))
