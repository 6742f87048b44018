"""A worker's process, without Ray around it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import cast

import pytest

from pipeline.core.errors import SourceError
from pipeline.distributed.desk import Desk
from pipeline.distributed.messages import Answered, Failed, Notice, Orders, Report, whole
from pipeline.distributed.ray_links import Secrets, Worker
from pipeline.distributed.reader import Reader
from pipeline.engine.hands import Here
from pipeline.engine.send import Builder
from pipeline.version import __version__
from tests.fakes import FakeProvider, FakeSource, ScriptedTransport, render

SECRETS = Secrets({"ROWCALL_TEST_WORKER": "key-of-the-worker"})


class Office:
    """Opens a desk, which says a line as it does; notes that it was closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = False

    @asynccontextmanager
    async def __call__(self, notice: Callable[[str], None]) -> AsyncIterator[Desk]:
        if self.error is not None:
            raise self.error
        notice("a line")
        provider, now = FakeProvider(), asyncio.get_running_loop().time
        transport = ScriptedTransport(lambda row, nth, now: 200, now, latency=0.0)
        hands = Here(Builder(render, provider, None), provider, transport, now=now)
        yield Desk(hands, Reader(lambda: FakeSource(10), cast(Executor, None)))
        self.closed = True


def test_a_worker_takes_orders_reports_and_ends_orderly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROWCALL_TEST_WORKER", raising=False)

    async def main() -> tuple[Failed | None, list[Report]]:
        office = Office()
        worker = Worker(office)
        _, failed = await worker.start(SECRETS, __version__)
        await worker.take(Orders(send=[1, 2], send_once=[3]))
        said: list[Report] = []
        while len(said) < 4:
            said += whole(await worker.hear(0.001))
        await worker.close()
        assert office.closed
        return failed, said

    failed, said = asyncio.run(main())
    assert failed is None
    assert said[0] == Notice("a line")
    assert sorted(each.row for each in said if isinstance(each, Answered)) == [1, 2, 3]
    assert os.environ.pop("ROWCALL_TEST_WORKER") == "key-of-the-worker"
    assert "key-of-the-worker" not in repr(SECRETS)


@pytest.mark.parametrize(
    ("office", "version", "said"),
    [
        (Office(SourceError("in.parquet: No such file")), __version__, ("in.parquet: No such file", 2)),
        (Office(), "0.0.1", (f"rowcall {__version__} is installed, and not 0.0.1 as where the run was started", 2)),
    ],
)
def test_a_worker_that_cannot_work_says_why(office: Office, version: str, said: tuple[str, int]) -> None:
    _, failed = asyncio.run(Worker(office).start(Secrets({}), version))
    assert failed is not None
    assert (failed.reason, failed.exit_code) == said


def test_a_bug_as_a_worker_starts_is_no_reason_of_the_users() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(Worker(Office(ZeroDivisionError())).start(Secrets({}), __version__))
