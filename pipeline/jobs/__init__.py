"""The composition root: a Job becomes a wired run, a preview, or an answer to where it stands. Nothing else knows every package.

job      what to do                 run      the run from lock to published output
inputs   files -> numbered rows     wiring   config -> endpoint, prompts, engine settings
check    what would be sent         look     status and export, while nothing runs or beside a run
place    where a job lies, who runs it   deadline, text, signals   small things of their own

Nothing is imported here: what a verb does not need, it should not wait for.
"""
