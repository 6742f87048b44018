"""The negative control: rowcall with one mistake, its worker freed at the reply instead of at the commit.

Run as the command is. A test of the durability bound that does not catch this one is blind.
"""

import asyncio

from pipeline.cli import main
from pipeline.core.types import Outcome
from pipeline.engine import run
from pipeline.engine.recorder import Recorder


class FreedEarly(Recorder):
    """Says that an outcome is on disk when it is only queued."""

    async def record(self, outcome: Outcome) -> bool:
        self._queue.append((outcome, asyncio.get_running_loop().create_future()))
        self._wakeup.set()
        return True


if __name__ == "__main__":
    run.Recorder = FreedEarly
    main()
