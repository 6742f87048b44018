"""A worker's inside: takes orders, reads its rows, asks them, and reports. Knows nothing of how messages travel."""

import asyncio
from collections.abc import Awaitable, Coroutine

from pipeline.core.errors import RowcallError
from pipeline.core.types import Fault, FaultKind, Reply
from pipeline.distributed.messages import Answered, Failed, Flat, Orders, Report, Weighed, flat
from pipeline.distributed.reader import Reader
from pipeline.engine.hands import Built, Hands


class Desk:
    """Does what it is told."""

    def __init__(self, hands: Hands, reader: Reader) -> None:
        self._hands = hands
        self._reader = reader
        self._building: dict[int, asyncio.Task[Built | Fault]] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._reports: list[Report] = []
        self._something = asyncio.Event()
        self._reported = 0.0

    def take(self, orders: Orders) -> None:
        """Take orders. Call it in the worker's loop."""
        for row in orders.build:
            self._start(self._work(row, self._weigh(row)))
        for row in orders.send:
            self._start(self._work(row, self._send(row, may_resend=True)))
        for row in orders.send_once:
            self._start(self._work(row, self._send(row, may_resend=False)))

    async def reports(self, gather: float) -> Flat:
        """Wait for something to report, and give what there is: at once, or `gather` seconds after the last report."""
        await self._something.wait()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._reported + gather - loop.time())
        self._reported = loop.time()
        said, self._reports = self._reports, []
        self._something.clear()
        return flat(said)

    def report(self, report: Report) -> None:
        self._reports.append(report)
        self._something.set()

    def close(self) -> None:
        """Drop everything that is under way: the driver is gone, or wants no more of it."""
        for each in (*self._working, *self._building.values()):
            each.cancel()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _work(self, row: int, work: Awaitable[Report]) -> None:
        try:
            self.report(await work)
        except RowcallError as error:
            self.report(Failed(row, str(error), error.exit_code))
        except Exception as error:  # a bug here has to end the run there, or it would wait for ever
            said = f"a worker met a bug in rowcall: {type(error).__name__}: {error}"
            self.report(Failed(row, said, RowcallError.exit_code))

    async def _weigh(self, row: int) -> Weighed:
        task = self._building[row] = asyncio.get_running_loop().create_task(self._build(row))
        built = await task
        if not isinstance(built, Fault):
            return Weighed(row, built.tokens, built.size)
        del self._building[row]
        return Weighed(row, 0, 0, built)

    async def _send(self, row: int, *, may_resend: bool) -> Answered:
        weighed = self._building.pop(row, None)
        built = await (weighed if weighed is not None else self._build(row))
        if isinstance(built, Fault):
            return Answered(row, 0, built)
        sent = await self._hands.send(built, may_resend=may_resend)
        if isinstance(sent.result, Reply) or sent.result.kind is FaultKind.REJECTED:
            self._reader.forget(row)
        return Answered.of(row, built.tokens, sent)

    async def _build(self, index: int) -> Built | Fault:
        row = await self._reader.row(index)
        built = await self._hands.build(row)
        return built if isinstance(built, Fault) else Built(index, built.tokens, row.size + built.size, built.request)
