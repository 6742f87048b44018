"""The composition root: a Job becomes a wired run, a preview, or an answer to where it stands. Nothing else knows every package.

job      what to do                 run      the run from lock to published output
inputs   files -> numbered rows     wiring   config -> endpoint, prompts, engine settings
check    what would be sent         look     status and export, while nothing runs or beside a run
signals  Ctrl-C and its kin
"""

from pipeline.jobs.job import Job
from pipeline.jobs.run import run_job

__all__ = ["Job", "run_job"]
