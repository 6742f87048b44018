"""How the command ends: errors become a message and an exit code here, and what follows a run follows here."""

import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import click

from pipeline.cli.say import say
from pipeline.core.errors import RowcallError
from pipeline.core.redact import harmless
from pipeline.core.tally import Summary

USAGE_ERROR = 2
BUG = 70
MOST_ERROR_CHARS = 4000
_MOST_FRAMES = 30


def told(error: Exception) -> int:
    """Say on stderr what ended the command, and give its exit code."""
    match error:
        case click.ClickException():
            _say(error.format_message())
            return USAGE_ERROR
        case RowcallError():
            for line in str(error).splitlines():
                _say(line)
            return error.exit_code
        case _:
            _say("this is a bug in rowcall; what is recorded is safe, and the same command goes on. Please report:")
            say(_places(error), err=True)
            return BUG


class Finishing:
    """Ends the process when the block has ended, well or by an error: says which, writes the metrics, calls the user's command.

    A second interrupt ends the process elsewhere, and calls nothing.
    """

    def __init__(self, metrics_file: Path | None, command: str | None, *, stdout_is_taken: bool) -> None:
        self.job: str | None = None  # until the config is read no job is known, and no metrics are written
        self.summary: Summary | None = None
        self._metrics_file, self._command = metrics_file, command
        self._output = 2 if stdout_is_taken else None
        if metrics_file is not None:
            from pipeline.jobs.finish import check_metrics_file

            check_metrics_file(metrics_file)

    def __enter__(self) -> "Finishing":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and not isinstance(error, Exception):
            return
        summary, message = self.summary, None
        if error is None:
            code = summary.exit_code if summary else 0
        else:
            code, message = told(error), _message(error)
            summary = error.summary if isinstance(error, RowcallError) else None
        self._after(summary, code, message)
        sys.exit(code)

    def _after(self, summary: Summary | None, code: int, message: str | None) -> None:
        metrics = self._metrics_file if self.job is not None else None
        if metrics is None and self._command is None:
            return
        from pipeline.jobs.finish import call, facts_of, write_metrics

        facts = facts_of(summary, code, message)
        if metrics is not None and self.job is not None:
            say(filter(None, [write_metrics(metrics, facts, self.job, now=time.time())]), err=True)
        if self._command is not None:
            say(filter(None, [call(self._command, facts, output=self._output)]), err=True)


def _message(error: Exception) -> str:
    match error:
        case click.ClickException():
            return error.format_message()
        case RowcallError():
            return str(error)
        case _:
            return f"a bug in rowcall: {type(error).__name__}"


def _places(error: BaseException) -> Iterator[str]:
    """Give where an error came from, and what brought it about. Never its values: those may be prompts or keys."""
    for frame in traceback.extract_tb(error.__traceback__, limit=-_MOST_FRAMES):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield f"  {type(error).__name__}"
    causes = error.exceptions[:1] if isinstance(error, BaseExceptionGroup) else (error.__cause__ or error.__context__,)
    for cause in filter(None, causes):
        yield from _places(cause)


def _say(text: str) -> None:
    say([f"rowcall: error: {harmless(text, MOST_ERROR_CHARS)}"], err=True)
