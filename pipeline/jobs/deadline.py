"""When to send nothing any more, as a person writes it."""

from datetime import datetime, timedelta

from pipeline.core.errors import ConfigError

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def deadline_of(text: str, *, now: float) -> float:
    """Read `2h`, `90m` or `06:00` (the next such time of day here) as seconds since the epoch. Raises ConfigError."""
    text = text.strip()
    if ":" in text:
        try:
            clock = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").time()
        except ValueError:
            raise _bad_deadline(text) from None
        here = datetime.fromtimestamp(now).astimezone()
        then = here.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0, tzinfo=None)
        if then <= here.replace(tzinfo=None):
            then += timedelta(days=1)
        # Naive local time, so that a night in which the clocks change still ends when the clock on the wall says so.
        return then.timestamp()
    unit = next((each for each in ("min", "s", "m", "h", "d") if text.endswith(each)), "")
    try:
        seconds = float(text.removesuffix(unit)) * _UNITS[unit]
    except (ValueError, KeyError):
        raise _bad_deadline(text) from None
    if not 0 <= seconds < 1e9:
        raise _bad_deadline(text)
    return now + seconds


def _bad_deadline(text: str) -> ConfigError:
    return ConfigError(f"deadline {text!r}: give a duration such as 2h or 90m, or a time of day such as 06:00")
