"""Names of picture hosts are looked up beside one another."""

import asyncio
import socket
import threading

import pytest

from pipeline.engine.lookups import Lookups

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.7", 443))]
SLOW = 50


@pytest.mark.network
def test_names_that_hang_keep_no_other_waiting() -> None:
    released, asked = threading.Event(), threading.Semaphore(0)

    def getaddrinfo(host: str, *_: object) -> object:
        if host.startswith("slow"):
            asked.release()
            assert released.wait(60)
        return FOUND

    async def main() -> list[str]:
        lookups = Lookups(getaddrinfo)
        slow = [asyncio.create_task(lookups.resolve(f"slow-{number}.example", 443)) for number in range(SLOW)]
        async with asyncio.timeout(30):
            await asyncio.to_thread(lambda: [asked.acquire() for _ in range(SLOW)])
            found = await lookups.resolve("fast.example", 443)
        assert not any(each.done() for each in slow)
        released.set()
        await asyncio.gather(*slow)
        return [each["host"] for each in found]

    assert asyncio.run(main()) == ["203.0.113.7"]


@pytest.mark.network
@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long")])
def test_a_name_that_nobody_has_is_an_os_error(error: Exception) -> None:
    def getaddrinfo(*_: object) -> object:
        raise error

    with pytest.raises(OSError, match=r"unknown|no such name"):
        asyncio.run(Lookups(getaddrinfo).resolve("nobody.example", 443))
