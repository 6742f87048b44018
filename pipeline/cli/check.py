"""rowcall check: show what a job would send."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.loading import quickly
from pipeline.cli.options import config_of, job_options, volume_options
from pipeline.cli.say import say
from pipeline.core.redact import harmless
from pipeline.jobs.job import Job
from pipeline.observe.wording import count, short

if TYPE_CHECKING:
    from pipeline.jobs.check import Preview

_MOST_BAD_SHOWN = 5


@click.command("check")
@job_options
@volume_options
def command(config: Path | None, limit: int | None, verbose: int, quiet: bool, **given: Any) -> None:
    """Read config and input, and show the exact first request, the rows to do and an estimate. Sends and writes nothing."""
    with quickly(rows_only=True):  # here and not above: --help has no need of it
        from pipeline.jobs.check import check_job

    preview = check_job(Job(config_of(config, given), limit=limit))
    if not quiet:
        say(_lines(preview))


def _lines(it: "Preview") -> list[str]:
    lines = [f"note: {each}" for each in it.notices]
    whole = "" if it.rows_complete else " at least; the text files were not read to their end"
    if it.pictures is not None:
        number, size = it.pictures
        lines.append(f"input: {count(it.rows)} rows, one a picture; {count(number)} pictures are there, {size / 1e6:,.1f} MB")
    else:
        files = "1 file" if it.files == 1 else f"{count(it.files)} files"
        lines.append(f"input: {count(it.rows)} rows in {files}{whole}")
    if it.held_by:
        lines.append(f"running: {it.held_by}")
    if it.damage is not None:
        lines.append(f"damaged: {harmless(it.damage, 1500)}")
    elif it.done is not None:
        lines.append(f"on record: {count(it.done)} rows, {count(it.failed or 0)} of them failed; to do: {count(it.left)}")
    else:
        lines.append(f"on record: nothing yet; to do: {count(it.left)}")
    lines += [f"another job than the one on record: {each}" for each in it.changed]
    lines.append(f"output columns: {', '.join(map(harmless, it.columns))}")
    lines.append(f"rendered: the first {count(it.looked_at)} rows, of which {count(len(it.bad_rows))} cannot be asked")
    lines += [f"  {each}" for each in it.bad_rows[:_MOST_BAD_SHOWN]]
    if len(it.bad_rows) > _MOST_BAD_SHOWN:
        lines.append(f"  and {count(len(it.bad_rows) - _MOST_BAD_SHOWN)} more")
    if it.images:
        lines.append(f"images in these rows: {_images(it)}")
    if it.fetched:
        pictures = "1 picture is" if it.fetched == 1 else f"{count(it.fetched)} pictures are"
        lines.append(
            f"to fetch: {pictures} fetched for these rows when they are sent, into the place of their URLs; none was now"
        )
    if it.smaller:
        each = [f"{before / 1e3:,.0f} kB become {after / 1e3:,.0f} kB" for before, after in it.smaller[:_MOST_BAD_SHOWN]]
        lines.append(f"the first request's images: {', '.join(each)}{', …' if len(it.smaller) > _MOST_BAD_SHOWN else ''}")
    asked = it.looked_at - len(it.bad_rows)
    if asked:
        lines.append(f"estimate: about {short(it.tokens * it.left // asked)} tokens for the rows to do, replies at their longest")
    if it.cost is not None:
        lines.append(f"estimate: cost about {it.cost:,.4g}, replies at their longest")
    if it.body is not None:
        lines += ["the first request:", f"POST {it.url}"]
        lines += [f"{name}: {value}" for name, value in it.headers.items()]
        lines += ["", *it.body.splitlines()]
    return lines


def _images(it: "Preview") -> str:
    size = f"{it.image_bytes / 1e6:.1f} MB"
    if not it.by_url:
        return f"{count(it.images)}, {size}"
    if it.by_url == it.images:
        return f"{count(it.images)}, by URL; their size is not known"
    return f"{count(it.images)}, {count(it.by_url)} of them by URL, whose size is not known; {size} the others"
