"""An S3 server whose answers are noted, and which can go away or refuse, for who looks at what reading costs."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.storage.proxy import Asked, Away, Denied, Exchange, Proxy


class Watched:
    """Runs while it is entered. `log` holds what was answered. While `away`, connections are cut off without an answer.

    `until` is asked after each answer whether it was the last one before the server goes away.
    """

    def __init__(self, server: str) -> None:
        self.log: list[Exchange] = []
        self.away = False
        self.denies = False  # answers as Amazon does to whoever lacks the right
        self.until: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()
        self._proxy = Proxy(server, answer=self._answer, heard=self._heard)

    def __enter__(self) -> Self:
        self.url = self._proxy.__enter__().url
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._proxy.__exit__(kind, error, trace)

    def count(self, method: str) -> int:
        """Give how many such requests there were."""
        return sum(each.method == method for each in self.log)

    def fetched(self, suffix: str = "") -> list[Exchange]:
        """Give the requests for the content of objects whose keys end so."""
        return [
            each for each in self.log if each.method == "GET" and "list-type" not in each.query and each.path.endswith(suffix)
        ]

    def _answer(self, asked: Asked) -> Denied | Away | None:
        return Away() if self.away else Denied() if self.denies else None

    def _heard(self, exchange: Exchange) -> bool:
        with self._lock:
            if self.away:  # requests that were under way when it went away are not answered either
                return False
            self.log.append(exchange)
            self.away = self.until()
            return True
