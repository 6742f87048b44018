"""Every fault by its name: found, listed, and read from what a script or `--faults` says."""

from collections.abc import Iterator, Mapping

from pipeline.core.errors import ConfigError
from pipeline.simulate import answering, misdelivering, reading, refusing
from pipeline.simulate.acts import Act, Fault, Given, Scene
from pipeline.simulate.faults import MISHAPS

# Is asked about every request and strikes those above the limit: script.py keeps the count.
RATE_LIMIT = "rate_limit"
# Is told how long it lasts by the episode's own end, unless the script says.
REFUSE = "refuse"


def _rate_limit(scene: Scene, given: Given) -> Act:
    hinted = {name: given[name] for name in ("retry_after_s", "hint") if name in given}
    return refusing.of_status(429).play(scene, hinted)


_RATE_LIMIT = Fault(
    RATE_LIMIT,
    "429 for each request above `per_minute`; the others go on",
    _rate_limit,
    {
        "per_minute": reading.number(1e-3, 1e9),
        "window_s": reading.number(0.01, 3600),
        "hint": refusing.HINTING["hint"],
    },
    needs=("per_minute",),
    at_once=True,
)

_ROOMS: tuple[tuple[str, tuple[Fault, ...]], ...] = (
    ("on the wire", misdelivering.FAULTS),
    ("odd answers", answering.FAULTS),
    ("told by a status", (_RATE_LIMIT, *refusing.FAULTS)),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for _, faults in _ROOMS for fault in faults}


def find(name: str) -> Fault | None:
    """Give the fault of this name; a number from 201 to 599 is the fault of that status."""
    if name.isascii() and name.isdigit() and refusing.FIRST_STATUS <= int(name[:9]) <= refusing.LAST_STATUS:
        return refusing.of_status(int(name))
    return FAULTS.get(name)


def unknown(name: str) -> str:
    """Say that there is no such fault, and which one may have been meant."""
    meant = reading.nearest(name, list(FAULTS))
    return (
        f"no fault is called {name!r:.60}{f'; did you mean {meant}' if meant else ''}; "
        f"give a status from {refusing.FIRST_STATUS} to {refusing.LAST_STATUS}, "
        "or a name that `rowcall simulate --faults-list` shows"
    )


def parse_chance(text: str) -> tuple[float, tuple[str, ...]]:
    """Read `0.1` or `0.1:hang,drip,503`: a share of requests, and the faults that it meets, each as likely as the next."""
    share, colon, names = text.partition(":")
    try:
        chance = float(share)
    except ValueError:
        raise ConfigError(f"--faults {text!r:.80}: give a share from 0 to 1, as 0.1, or with names, as 0.1:hang,503") from None
    return chance, tuple(name.strip() for name in names.split(",")) if colon else MISHAPS


def lines() -> Iterator[str]:
    """Give the list of all faults as a person reads it."""
    for title, faults in _ROOMS:
        yield f"{title}:"
        for fault in faults:
            keys = ", ".join(f"{key} (needed)" if key in fault.needs else key for key in fault.keys)
            yield f"  {fault.name:<20}{fault.about}{f' [{keys}]' if keys else ''}"
    statuses = f"{refusing.FIRST_STATUS} … {refusing.LAST_STATUS}"
    yield f"  {statuses:<20}that status, as the API that is asked words it [{', '.join(refusing.of_status(500).keys)}]"
