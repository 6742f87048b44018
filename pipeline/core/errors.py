"""What a whole run can suffer, as exceptions. What one row can suffer is a value: types.Fault.

RowcallError            exit  `rowcall: error: …`, one line that names the thing and the remedy
├── ConfigError           2   usage, config file, environment: nothing was sent
├── SourceError           2   input that cannot be found, read or joined: nothing was sent
├── MismatchError         2   the record or output beside it belongs to another job, or was changed
├── OutputError           2   an output that cannot be written, known before anything was sent
├── StorageError          2   an object store that refuses: bucket, rights or credentials have to be seen to
├── BusyError             4   another run holds the job
├── DamagedError          5   the record or a file it answers for is damaged: a person decides
├── InputChangedError     5   an input file changed while the run was reading it
├── UnfinishedError       5   what is exit 2 at the start, but came to light after rows were sent: mend it, and run again
└── StoppedError          3   the run had to stop early; the same command resumes (disk failing, publish failed)
    └── FullError         3   the disk is full: nothing else is wrong, and the same write may be tried again
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.tally import Summary


class RowcallError(Exception):
    """Base of every error a user may cause or must know of. `str()` is one line, free of secrets.

    `summary` is what a run had done when it ended so, None where it had not begun to send.
    """

    exit_code = 70
    summary: "Summary | None" = None


class ConfigError(RowcallError):
    exit_code = 2


class SourceError(RowcallError):
    exit_code = 2


class MismatchError(RowcallError):
    exit_code = 2


class OutputError(RowcallError):
    exit_code = 2


class StorageError(RowcallError):
    exit_code = 2


class BusyError(RowcallError):
    exit_code = 4


class DamagedError(RowcallError):
    exit_code = 5


class InputChangedError(RowcallError):
    exit_code = 5


class UnfinishedError(RowcallError):
    exit_code = 5


class StoppedError(RowcallError):
    exit_code = 3


class FullError(StoppedError):
    """Nothing of what was to be written is there, and nothing older was harmed."""


class BadRowError(RowcallError):
    """This row cannot be asked: template, image or messages unusable. Becomes an outcome of kind `bad_row`, never ends a run."""

    exit_code = 1
