"""One process that shrinks pictures: `python -m pipeline.pictures.worker SETTINGS`, one after another, until its input ends.

Pictures come from strangers, and decoders have bugs. So it is bounded from within: in memory, in processor time a picture,
in files (none is written, none more than a few opened). A limit that is met, or a crash, ends this process and nothing else.

    in   8 bytes of length, the picture
    out  READY once; then for each picture a letter, 8 bytes of length, and what belongs to it
"""

import contextlib
import json
import os
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

READY = b"R"
AS_IT_IS, MADE, UNREADABLE, TOO_BIG = b"=", b"+", b"-", b"M"
LENGTH = 8

_SOME_FILES = 64  # what Python needs to import what it has put off
_MOST_WORDS = 300


def main() -> None:
    settings = json.loads(sys.argv[1])
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which still needs the pictures it has begun
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        os.nice(5)  # the run's own loop goes first
    warnings.simplefilter("ignore")

    from PIL import AvifImagePlugin, Image

    from pipeline.pictures.shrink import shrink
    from pipeline.pictures.wanted import Wanted

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # there is a worker a processor
    Image.preinit()
    wanted = Wanted(**settings["wanted"])
    _bound(settings["memory"])
    _tell(answers, READY)
    while head := given.read(LENGTH):
        data = given.read(int.from_bytes(head, "big"))
        # Of this process's own time, so that a busy machine costs no picture; the signal ends it, whatever code it is in.
        signal.setitimer(signal.ITIMER_PROF, settings["seconds"])
        try:
            made = shrink(data, wanted)
            answer = (AS_IT_IS, b"") if made is None else (MADE, made)
        except MemoryError:
            answer = (TOO_BIG, b"")
        except Exception as error:  # decoders raise whatever they like; whatever it is, it is this picture's
            answer = (UNREADABLE, str(error)[:_MOST_WORDS].encode("utf-8", "replace") or type(error).__name__.encode())
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        _tell(answers, answer[0], len(answer[1]).to_bytes(LENGTH, "big"), answer[1])


def _tell(answers: BinaryIO, *parts: bytes) -> None:
    for part in parts:
        answers.write(part)
    answers.flush()


def _bound(memory: int) -> None:
    """Limit this process to `memory` bytes beyond what it has now. macOS bounds no address space: there pixels alone do."""
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NOFILE: _SOME_FILES}
    sizes = Path("/proc/self/statm")
    if sizes.exists():
        limits[resource.RLIMIT_AS] = int(sizes.read_text().split()[0]) * resource.getpagesize() + memory
    for which, most in limits.items():
        _, hard = resource.getrlimit(which)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(which, (least, least))


if __name__ == "__main__":
    main()
