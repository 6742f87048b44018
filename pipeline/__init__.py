"""rowcall: every row of a dataset to a chat-completion endpoint, every answer once.

from pipeline import Job, run_job
summary = run_job(Job.load("job.yaml"))
"""

from typing import TYPE_CHECKING, Any

from pipeline.version import __version__

if TYPE_CHECKING:
    from pipeline.core.errors import RowcallError
    from pipeline.core.tally import Progress, Summary
    from pipeline.core.types import Outcome, Row
    from pipeline.jobs.job import Job
    from pipeline.jobs.run import run_job

__all__ = ["Job", "Outcome", "Progress", "RowcallError", "Row", "Summary", "__version__", "run_job"]

_HOMES = {
    "Job": "pipeline.jobs.job",
    "run_job": "pipeline.jobs.run",
    "Outcome": "pipeline.core.types",
    "Row": "pipeline.core.types",
    "Progress": "pipeline.core.tally",
    "Summary": "pipeline.core.tally",
    "RowcallError": "pipeline.core.errors",
}


def __getattr__(name: str) -> Any:
    # Loaded on use: the command's --help must not import Arrow and an HTTP client.
    if name not in _HOMES:
        raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
