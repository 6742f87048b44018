"""Printing to somebody who may have gone: a closed terminal, `head` that has had enough."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

import click

from pipeline.core.redact import visible


def say(lines: Iterable[str], *, err: bool = False) -> None:
    """Print the lines to stdout or stderr, fit for a terminal whoever wrote what is in them.

    The exit code stays what it is if they cannot be printed: a reader that has gone is not missed, and a full disk behind
    stdout is named on stderr.
    """
    try:
        for line in lines:
            click.echo(visible(line), err=err)
    except OSError as error:
        # Else Python complains once more when it flushes at its end, and spoils the exit code.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())
        if not (err or isinstance(error, BrokenPipeError)):
            say([f"rowcall: standard output cannot be written: {(error.strerror or 'unknown').lower()}"], err=True)
