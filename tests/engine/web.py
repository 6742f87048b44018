"""Loopback servers for pictures, and a resolver that says what a test wants of names. No name server is asked."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from pipeline.core.public import is_public
from pipeline.engine.settings import FetchSettings
from tests.engine.raw import Serve, listening

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100

# Loopback like all that tests reach, and the one address that they allow where all else stands for what is not public.
OUTSIDE = "127.0.0.9"


@dataclass
class Names(AbstractResolver):
    """Gives the addresses of a name, another list each time it is asked if there are several; the last one stays."""

    known: dict[str, Sequence[Sequence[str]]]
    asked: list[str] = field(default_factory=list)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.known[host]
        addresses = answers[min(self.asked.count(host), len(answers)) - 1]
        return [
            ResolveResult(
                hostname=host,
                host=each,
                port=port,
                family=socket.AF_INET6 if ":" in each else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for each in addresses
        ]

    async def close(self) -> None:
        pass


def answering(head: str, body: bytes = b"", *, seen: list[bytes] | None = None) -> Serve:
    """Answer every request on a connection alike. `head`: status and headers, one a line; a length is added if there is none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await reader.readuntil(b"\r\n\r\n")
            if seen is not None:
                seen.append(asked)
            lines = [f"HTTP/1.1 {head}".strip().replace("\n", "\r\n")]
            if "content-length" not in head.lower():
                lines.append(f"Content-Length: {len(body)}")
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            await writer.drain()

    return serve


def by_path(answers: dict[str, tuple[str, bytes]], *, seen: list[str] | None = None) -> Serve:
    """Answer each path as told, any other with 404."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            if seen is not None:
                seen.append(asked)
            head, body = answers.get(asked, ("404 Not Found", b""))
            head = head.replace("\n", "\r\n")
            writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()

    return serve


@contextlib.asynccontextmanager
async def outside(serve: Serve) -> AsyncIterator[int]:
    """Run the server on an address that stands for a public one; gives its port."""
    server = await asyncio.start_server(serve, OUTSIDE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()


@contextlib.asynccontextmanager
async def counting(seen: list[Any]) -> AsyncIterator[int]:
    """Listen on loopback, and note each connection: a test's proof that nothing came."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername"))
        writer.close()

    async with listening(serve) as port:
        yield port


def settings(*ports: int, allowed: Callable[[str], bool] = is_public, **changes: Any) -> FetchSettings:
    return FetchSettings("rowcall/test", 20_000_000, allowed=allowed, ports=frozenset({80, 443, *ports}), **changes)


def only_outside(address: str) -> bool:
    return address == OUTSIDE


def loopback_too(address: str) -> bool:
    return address.startswith("127.0.0.") or is_public(address)
