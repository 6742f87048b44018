"""Numbers and times as a person reads them, and foreign text made harmless for a terminal."""

from datetime import datetime

from pipeline.core.tally import Progress


def count(number: int) -> str:
    """1204 -> `1,204`."""
    return f"{number:,}"


def short(number: int) -> str:
    """1234567 -> `1.2M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if letter == 'k' else size):.{0 if letter == 'k' else 1}f}{letter}"
    return count(number)


def duration(seconds: float) -> str:
    """845 -> `14:05`, 7265 -> `2:01:05`, days as `3d 04:00`."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    days, hour_of_day = divmod(hour, 24)
    if days:
        return f"{days}d {hour_of_day:02}:{minute:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute:02}:{second:02}"


def clock(epoch: float) -> str:
    """Give local wall-clock time, with the date if it is not today's."""
    then = datetime.fromtimestamp(epoch).astimezone()
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M:%S")


def rate(now: Progress) -> str:
    if now.requests_per_minute is not None:
        return f"{count(now.per_minute)}/{now.requests_per_minute:,.0f} rpm"
    return f"{count(now.per_minute)} rpm"


def line(now: Progress) -> str:
    """Give a run as one line: `1,204/5,000 (312 resumed) ok 1,190 failed 14 · 23 in flight · …`."""
    head = f"{count(now.done)}/{count(now.rows)}"
    if now.resumed:
        head += f" ({count(now.resumed)} resumed)"
    parts = [f"{head} ok {count(now.ok)} failed {count(now.failed)}", f"{count(now.in_flight)} in flight"]
    if now.waiting:
        parts.append(f"{count(now.waiting)} waiting to retry")
    parts += [rate(now), f"{short(now.tokens)} tokens"]
    if now.cost is not None:
        parts.append(f"cost {now.cost:,.4g}")
    if now.stopping:
        parts.append(f"stopping ({now.stopping})")
    elif now.held_until is not None:
        parts.append(f"held by {now.held_by} until {clock(now.held_until)}")
    elif now.eta_s is not None and not now.finished:
        parts.append(f"eta {duration(now.eta_s)}")
    return " · ".join(parts)
