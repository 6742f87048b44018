"""What is left to do when a run has ended: leave its figures for a monitoring system, and call the user's command.

Nothing here changes how the run ended. What goes wrong is a line to print, and the exit code stays the run's.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.core.errors import BusyError, ConfigError, RowcallError
from pipeline.core.redact import harmless
from pipeline.core.tally import Summary
from pipeline.jobs.text import dumps
from pipeline.observe.metrics_file import SUFFIX, last_success, metrics_text
from pipeline.observe.whole_file import replacing

# A file that is longer was written by somebody else.
_MOST_OLD_BYTES = 65_536
# The collector runs as a user of its own.
_READABLE_BY_ALL = 0o644
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def check_metrics_file(path: Path) -> None:
    """See that the file can be written once the run is over. Raises ConfigError."""
    if path.suffix != SUFFIX:
        raise ConfigError(
            f"--metrics-file={path}: the name must end in {SUFFIX}; node_exporter's textfile collector reads no other"
        )
    if path.is_dir():
        raise ConfigError(f"--metrics-file={path} is a folder")
    if not path.parent.is_dir():
        raise ConfigError(f"--metrics-file={path}: its folder does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"--metrics-file={path}: its folder cannot be written to")


def facts_of(summary: Summary | None, exit_code: int, message: str | None) -> dict[str, Any]:
    """Give a run's summary as JSON values, also of a run that ended before it had one: then what is not known is None.

    `message` says why a run ended that raised an error.
    """
    if summary is not None:
        facts = dict(summary.to_json())
    else:
        facts = {each.name: None for each in fields(Summary)}
        facts |= {"latency_s": {}, "finish_reasons": {}, "errors": {}}
    facts["exit_code"] = exit_code
    if message is not None:
        facts["stopped"] = harmless(message, 1000)
    return facts


def write_metrics(path: Path, facts: Mapping[str, Any], job: str, *, now: float) -> str | None:
    """Write the metrics file; give the line that says what went wrong, or None.

    A run that found another one holding the job leaves the file alone: it is that one's, which writes it at its end.
    """
    if facts["exit_code"] == BusyError.exit_code:
        return None
    text = metrics_text(facts, job, now=now, previous_success=last_success(_old(path), job))
    try:
        with replacing(path) as file:
            file.write(text.encode())
            os.fchmod(file.fileno(), _READABLE_BY_ALL)  # whatever the umask
    except RowcallError as error:
        return f"rowcall: --metrics-file: {error}"
    return None


def _old(path: Path) -> str:
    with suppress(OSError):
        if path.is_file() and path.stat().st_size <= _MOST_OLD_BYTES:
            return path.read_text(encoding="utf-8", errors="replace")
    return ""


def call(command: str, facts: Mapping[str, Any], *, output: int | None = None) -> str | None:
    """Run the user's command to its end, the facts as JSON on its standard input; give the line that says what went wrong.

    Ctrl-C, SIGTERM and SIGHUP are the command's while it runs: the first is passed on to it and whatever it started, a second
    one kills them. `output`: a file descriptor for what it prints, None for where this process prints.
    """
    environment = {**os.environ, "ROWCALL_EXIT_CODE": str(facts["exit_code"])}
    with _signals_passed_on() as started:
        try:
            # A group of its own: a Ctrl-C in a terminal then reaches it once, through this process, and so does a SIGTERM.
            process = subprocess.Popen(
                ["sh", "-c", command], stdin=subprocess.PIPE, stdout=output, env=environment, process_group=0
            )
        except OSError as error:
            return f"rowcall: --on-finish: the command cannot be started: {(error.strerror or type(error).__name__).lower()}"
        started(process)
        process.communicate(f"{dumps(facts)}\n".encode())  # a command that reads nothing is not missed: EPIPE is let pass
    if process.returncode < 0:
        return f"rowcall: --on-finish: the command was ended by {signal.Signals(-process.returncode).name}"
    return f"rowcall: --on-finish: the command ended with {process.returncode}" if process.returncode else None


@contextmanager
def _signals_passed_on() -> Iterator[Any]:
    """Pass signals on to the process that the block names, in this process's main thread; elsewhere they are its owner's."""
    processes: list[subprocess.Popen[bytes]] = []
    received: list[int] = []

    def send(number: int) -> None:
        for process in processes:
            if process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)

    def pass_on() -> None:
        if received:
            send(received[0] if len(received) == 1 else signal.SIGKILL)

    def heed(number: int, frame: FrameType | None) -> None:
        received.append(number)
        pass_on()

    def started(process: subprocess.Popen[bytes]) -> None:
        processes.append(process)
        pass_on()  # what came while it was being started

    if threading.current_thread() is not threading.main_thread():
        yield started
        return
    heeding = [each for each in _PASSED_ON if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, heed) for each in heeding}
    try:
        yield started
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
