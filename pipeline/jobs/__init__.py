"""The composition root: a Job becomes a wired run, a preview, or an answer to where it stands. Nothing else knows every package.

job      what to do                 run      the run from lock to published output
inputs   files -> numbered rows     wiring   config -> endpoint, prompts, engine settings
albums   pictures as an input       pictures what is done to them before they are sent; thumbnails
check    what would be sent         look     status and export, while nothing runs or beside a run
report   what a page shows          gallery, asked_again   its rows, and what they asked
fingerprints   sha256 of large files meanwhile             captions   what captioners check
evaluate what is scored and written   tables, scores_file   what is read for it, and scores.json
place    where a job lies, who runs it   deadline, text, signals   small things of their own

Nothing is imported here: what a verb does not need, it should not wait for.
"""
