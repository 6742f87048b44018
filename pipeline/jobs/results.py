"""What is said of a run when it has ended: its result, and of its input files in the output's metadata."""

from dataclasses import replace

from pipeline.checkpoint.entries import StoredFile
from pipeline.checkpoint.record import Record
from pipeline.core.errors import ConfigError, UnfinishedError
from pipeline.core.tally import Traffic
from pipeline.engine.work import Result
from pipeline.jobs.engine import Todo


def told_apart(result: Result) -> Result:
    """Exit 2 says that nothing was sent; what is found only later needs a person all the same."""
    if result.stop_code == ConfigError.exit_code and result.traffic.requests:
        return replace(result, stop_code=UnfinishedError.exit_code)
    return result


def or_nothing_sent(result: Result | None, record: Record, todo: Todo) -> Result:
    """Give the result, or that of a run which ended before it sent anything."""
    if result is not None:
        return result
    tally = record.tally()
    return Result(tally, Traffic(), tally.done - todo.again, 0.0, None, 0)


def said_of(file: StoredFile) -> dict[str, object]:
    """Give what the output's metadata says of an input file, or of a run's new pictures as a whole."""
    if file.kind is not None:
        return {"path": file.path, "rows": file.rows, "kind": file.kind}
    return {"path": file.path, "rows": file.rows, "size": file.size, "sha256": file.sha256, "footer": file.footer}
