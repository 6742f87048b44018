"""Workers of a fleet in the test's own loop: a desk over the engine's fakes, behind a link that can be cut."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import cast

from pipeline.core.interfaces import Render, Transport
from pipeline.core.types import Fault, Prompt, Request, Response, Row
from pipeline.distributed.desk import Desk
from pipeline.distributed.fleet import Link, LostError
from pipeline.distributed.messages import Flat, Orders
from pipeline.distributed.reader import Reader
from pipeline.engine.hands import Here
from pipeline.engine.send import Builder
from tests.fakes import FakeProvider, FakeSource, ScriptedTransport, render


class FakeLink:
    """Implements fleet.Link. `cut` is what a lost worker is to the driver: nothing more comes, and what was told is gone."""

    def __init__(self, desk: Desk) -> None:
        self.place = "here"
        self.desk = desk
        self.closed = False
        self._cut = asyncio.Event()

    def tell(self, orders: Orders) -> None:
        if not self._cut.is_set():
            self.desk.take(orders)

    async def hear(self, gather: float) -> Flat:
        hearing = asyncio.ensure_future(self.desk.reports(gather))
        cutting = asyncio.ensure_future(self._cut.wait())
        try:
            await asyncio.wait((hearing, cutting), return_when=asyncio.FIRST_COMPLETED)
            if self._cut.is_set():
                raise LostError("cut")
            return hearing.result()
        finally:
            hearing.cancel()
            cutting.cancel()

    async def close(self) -> None:
        self.closed = True

    def cut(self) -> None:
        self._cut.set()
        self.desk.close()  # with the process its requests are gone


@dataclass
class FakeCluster:
    """Opens workers, which all send by one transport. `opening` (seat, times before) may refuse or delay one.

    Each worker that makes the request of row `spoils`, or sends that of row `kills`, is lost over it. What seat 1 sends ends with
    `blind`, if that is given: something is wrong with its machine.
    """

    transport: ScriptedTransport
    rows: int
    spoils: int | None = None
    kills: int | None = None
    blind: Fault | None = None
    opening: Callable[[int, int], float] = lambda seat, times: 0.0
    links: dict[int, FakeLink] = field(default_factory=dict)
    opened: list[int] = field(default_factory=list)

    async def open(self, seat: int) -> Link:
        await asyncio.sleep(self.opening(seat, self.opened.count(seat)))
        self.opened.append(seat)
        provider = FakeProvider()
        hands = Here(Builder(self._rendered(seat), provider, None), provider, self._posting(seat), now=self.transport.now)
        self.links[seat] = FakeLink(Desk(hands, Reader(lambda: FakeSource(self.rows), cast(Executor, None))))
        return self.links[seat]

    def _rendered(self, seat: int) -> Render:
        def rendered(row: Row) -> Prompt:
            if row.index == self.spoils:
                asyncio.get_running_loop().call_soon(self.links[seat].cut)
            return render(row)

        return rendered

    def _posting(self, seat: int) -> Transport:
        cluster = self

        class Posting:
            async def post(self, request: Request, *, fresh: bool = False) -> Response | Fault:
                if seat == 1 and cluster.blind is not None:
                    await asyncio.sleep(0.05)
                    return cluster.blind
                if request.row == cluster.kills:
                    asyncio.get_running_loop().call_later(0.5, cluster.links[seat].cut)
                return await cluster.transport.post(request, fresh=fresh)

        return Posting()
