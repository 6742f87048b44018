import asyncio
import socket

from pipeline.engine.addresses import KEPT_S, Addresses


class Resolving(asyncio.SelectorEventLoop):
    """Counts the lookups; two addresses each."""

    lookups = 0

    async def getaddrinfo(self, host, port, **how):  # type: ignore[no-untyped-def]
        self.lookups += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port)) for last in (1, 2)]


def test_a_host_is_looked_up_once_a_minute_and_its_addresses_take_turns() -> None:
    loop, clock = Resolving(), [0.0]

    async def main() -> None:
        addresses = Addresses(now=lambda: clock[0])

        async def first() -> str:
            return (await addresses.resolve("a.example", 80))[0]["host"]

        assert [await first() for _ in range(3)] == ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
        assert loop.lookups == 1
        await addresses.resolve("a.example", 81)
        assert loop.lookups == 2
        clock[0] = KEPT_S
        await first()
        assert loop.lookups == 3
        addresses.forget()
        await first()
        assert loop.lookups == 4

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
