"""Waiting for room in the budget: near `stop.max_cost` requests go out only as far as their worst case still fits."""

import asyncio
from dataclasses import dataclass

from pipeline.core.budget import Budget
from pipeline.core.types import Fault, Reply
from pipeline.engine.stop import Stop, Stopped


@dataclass(slots=True)
class Bill:
    """What one request came to, which was estimated at `tokens`; `worst` was set aside for it."""

    tokens: int
    worst: float = 0.0
    cost: float = 0.0
    budget: Budget | None = None

    def take(self, result: Reply | Fault, cost: float | None, *, ambiguous: int = 0) -> None:
        """Note the answer. One that was not priced, or was lost after it may have been billed, counts as the worst, and so do
        those before it of which `ambiguous` tells."""
        if isinstance(result, Reply):
            self.cost = self.worst if cost is None else cost
            if self.budget is not None:
                # At once, for the next requests go out while this reply is still being recorded.
                self.budget.learn(self.tokens, result.usage)
        elif result.ambiguous:
            self.cost = self.worst
            ambiguous -= 1
        self.cost += ambiguous * self.worst


class Spending:
    """Admits requests while their worst case fits; stops the run when not even one would. Without a budget all fit."""

    def __init__(self, budget: Budget | None, stop: Stop) -> None:
        self._budget = budget
        self._stop = stop
        self._open = 0
        self._waiting: list[asyncio.Future[None]] = []

    def at_once(self, tokens: int) -> Bill | None:
        """Admit a request if there is no budget; None: `open` waits for room in it."""
        return Bill(tokens) if self._budget is None else None

    async def open(self, tokens: int) -> Bill:
        """Wait until a request of about so many tokens may be paid for; `close` has to follow. Raises Stopped if it never may."""
        if self._budget is None:
            return Bill(tokens)
        while not self._budget.reserve(worst := self._budget.worst(tokens)):
            if self._open == 0:
                self._stop.request(self._said(self._budget, worst), 5)
            if self._stop.requested:
                raise Stopped
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        self._open += 1
        return Bill(tokens, worst, budget=self._budget)

    def close(self, bill: Bill) -> None:
        """Settle a bill. Must not await."""
        if self._budget is not None:
            self._open -= 1
            self._budget.settle(bill.worst, bill.cost)
            self._wake()

    def stopped(self) -> None:
        """Send home everybody who waits: the run ends."""
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    @staticmethod
    def _said(budget: Budget, worst: float) -> str:
        return (
            f"stop.max_cost: {budget.spent:.6g} of {budget.most:.6g} is spent, and one more request may cost up to {worst:.6g};"
            " raise it to go on"
        )
