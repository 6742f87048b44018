"""Importing what a verb needs, in less time and memory than Python and Arrow would take by themselves."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext


@contextmanager
def quickly(*, rows_only: bool) -> Iterator[None]:
    """Import without looking for garbage: what is imported stays, and looking through it takes 40 of 400 ms.

    `rows_only`: and without numpy, which Arrow imports wherever it finds it and does without by design: 60 ms and 12 MB that
    no row needs. Who needs it afterwards gets it, such as pandas for the nanoseconds of a timestamp.
    """
    looking = gc.isenabled()
    gc.disable()
    try:
        with _no_numpy() if rows_only else nullcontext():
            yield
    finally:
        if looking:
            gc.freeze()
            gc.enable()


def arrow_sparingly() -> None:
    """Have Arrow, once imported, allocate from the C library, unless the user's environment says otherwise.

    Its own allocators keep for themselves what was freed: over 100,000 short rows 205 MB instead of 137, at no less time.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


@contextmanager
def _no_numpy() -> Iterator[None]:
    if "numpy" in sys.modules:
        yield
        return
    sys.modules["numpy"] = None  # type: ignore[assignment]  # the import system's own sign for "not to be found"
    try:
        yield
    finally:
        del sys.modules["numpy"]
