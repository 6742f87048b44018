"""Fetching pictures in earnest: tries of its own, and the wait for a host, or a network, that gives nobody any.

What may be asked of whom, and how, is picture.py's; what a failure means core/host_health.py's.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from aiohttp.abc import AbstractResolver

from pipeline.core.errors import BadRowError, StoppedError
from pipeline.core.host_health import ANYBODY, HostHealth, Verdict
from pipeline.core.public import MOST_HOST_CHARS, shown
from pipeline.core.redact import harmless
from pipeline.engine.picture import PictureClient, Trouble, url_of
from pipeline.engine.settings import FetchSettings
from pipeline.engine.turns import Turn, Turns

TRIES = 3
FIRST_BACKOFF_S = 1.0
# A host that asks for more is not tried again at once; whoever has got pictures from it waits for it.
MOST_HINT_S = 30.0


class Get(Protocol):
    """One try."""

    async def __call__(self, address: str) -> bytes | Trouble:
        """Raise BadRowError where no further try would help."""


class PictureFetch:
    """Implements core.interfaces.Fetch. `answered` has to be told of each host that answers for itself."""

    def __init__(
        self,
        get: Get,
        *,
        longest: float,
        now: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._get = get
        self._longest = longest
        self._now = now
        self._draw = draw
        self._notice = notice
        self._health = HostHealth(longest=longest)
        self._turns = Turns(lambda scope: self._health.probe_after(scope, self._draw()))

    async def __call__(self, url: str) -> bytes:
        """Give the picture, now or when its host is there again."""
        rounds, trouble = 0, None
        scope = self._health.down(_host(url))
        while True:
            turn = Turn.AGAIN if scope is None else await self._turns.wait(scope)
            if turn is Turn.NEVER and trouble is not None:
                raise _alone(url, trouble)
            result: bytes | Trouble | None = None
            if turn is Turn.ASK and scope is not None:
                result = await self._ask_for_all(scope, url)
            probe = result is not None
            if result is None:
                rounds += trouble is not None
                result = await self._try(url)
            if isinstance(result, bytes):
                return result
            trouble = result
            scope = self._judge(url, trouble, rounds, probe=probe)

    def answered(self, host: str, url: str) -> None:
        """Take note that a host has answered; whatever it said, it is there."""
        for each in self._health.answered(host, url, self._now()):
            self._turns.end(each.scope, Turn.AGAIN)
            if each.was_down:
                self._notice(f"pictures can be fetched again from {_named(each.scope)}, after {each.seconds:.0f} s")

    async def _try(self, url: str) -> bytes | Trouble:
        for nth in range(TRIES):
            result = await self._get(url)
            if isinstance(result, bytes) or not result.again or nth == TRIES - 1:
                break
            hint = result.retry_after or 0.0
            if hint > MOST_HINT_S:
                break
            await asyncio.sleep(max(FIRST_BACKOFF_S * 2**nth * (0.5 + 0.5 * self._draw()), hint))
            if self._health.down(result.host) is not None:  # others found out meanwhile: wait with them
                break
        return result

    async def _ask_for_all(self, scope: str, url: str) -> bytes | Trouble | None:
        """Try once, the witness first; None if that one was answered, so that there is nothing more to wait for."""
        try:
            if (witness := self._health.witness(scope)) is not None:
                with suppress(BadRowError):
                    await self._get(witness)
                if not self._health.in_doubt(scope):
                    return None
            return await self._get(url)
        finally:
            self._turns.asked(scope)

    def _judge(self, url: str, trouble: Trouble, rounds: int, *, probe: bool) -> str:
        """Give for whom to wait. Raises BadRowError if this picture alone cannot be had."""
        if trouble.local:
            raise StoppedError(f"pictures cannot be fetched, for this machine is out of something: {trouble.reason}")
        scope = self._health.scope(trouble.host)
        was_down = self._health.is_down(scope)
        verdict = self._health.failed(
            trouble.host,
            url,
            self._now(),
            asked_at=trouble.asked_at,
            unreachable=trouble.unreachable,
            certain=trouble.certain,
            rounds=rounds,
            probe=probe,
        )
        match verdict:
            case Verdict.ALONE:
                raise _alone(url, trouble)
            case Verdict.NOBODY:
                self._turns.end(scope, Turn.NEVER)
                raise _alone(url, trouble)
            case Verdict.GIVE_UP:
                raise StoppedError(
                    f"pictures cannot be fetched from {_named(scope)} for {self._longest / 60:g} minutes now ({trouble.reason})"
                )
        if not was_down and self._health.is_down(scope):
            self._notice(
                f"no picture can be fetched from {_named(scope)} ({trouble.reason});"
                f" one row asks every few seconds, for at most {self._longest / 60:g} minutes"
            )
        return scope


@asynccontextmanager
async def fetching(
    settings: FetchSettings,
    *,
    notice: Callable[[str], None] = lambda _: None,
    resolver: AbstractResolver | None = None,
    ca_file: str | None = None,
) -> AsyncIterator[PictureFetch]:
    """Open what fetches pictures, and close it at the end."""
    client = PictureClient(settings, resolver=resolver, ca_file=ca_file)
    fetch = PictureFetch(client.get, longest=settings.longest_outage, notice=notice)
    client.answered = fetch.answered
    async with client:
        yield fetch


def _host(url: str) -> str:
    try:
        return url_of(url).raw_host or ""
    except ValueError:
        return ""


def _named(scope: str) -> str:
    return "any host" if scope == ANYBODY else harmless(scope, MOST_HOST_CHARS)


def _alone(url: str, trouble: Trouble) -> BadRowError:
    elsewhere = "" if trouble.host == _host(url) else f"{harmless(trouble.host, MOST_HOST_CHARS)}: "
    return BadRowError(f"{shown(url)}: {elsewhere}{trouble.reason}")
