"""Who asks a row: renders it, makes its pictures ready, sends it, reads the answer. What is decided of it stays with the run.

`Here` does so in this process. A fleet of other processes may do it instead: a run then neither reads what prompts are made
from, nor sees a picture.
"""

from collections.abc import Callable
from typing import Protocol

from pipeline.core.interfaces import Provider, Transport
from pipeline.core.types import Fault, Request, Row
from pipeline.core.values import value
from pipeline.engine.send import Builder, Sent, send


@value(frozen=True, slots=True)
class Built:
    """A row that may be sent: about how many `tokens` it asks for, the `size` in bytes that it holds here, and its request where
    it is built here."""

    row: int
    tokens: int
    size: int
    request: Request | None = None


class Hands(Protocol):
    """Asks rows. Safe to be asked many at once."""

    async def build(self, row: Row) -> Built | Fault:
        """Make a row's request, or give the fault `bad_row`.

        Raises Stopped if the run ends before it is there, another RowcallError if none can be made.
        """

    async def send(self, built: Built, *, may_resend: bool) -> Sent:
        """Send it and read the answer, as send.send() does. `built` is to be let go of afterwards."""

    def stop(self) -> None:
        """End what is not sent yet: nothing is paid for."""


class Here:
    """Asks from this process. `now` gives monotonic seconds."""

    def __init__(self, builder: Builder, provider: Provider, transport: Transport, *, now: Callable[[], float]) -> None:
        self._builder = builder
        self._provider = provider
        self._transport = transport
        self._now = now
        self.stop = builder.stop

    async def build(self, row: Row) -> Built | Fault:
        request = await self._builder.build(row)
        return request if isinstance(request, Fault) else Built(row.index, request.tokens, len(request.body), request)

    async def send(self, built: Built, *, may_resend: bool) -> Sent:
        assert built.request is not None
        return await send(built.request, self._transport, self._provider, now=self._now, may_resend=may_resend)
