"""Raw-socket servers that misbehave as told, and posts to them as a run would send them: on uvloop, through the transport."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import uvloop

from pipeline.core.types import Fault, Reply, Request, Response
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport
from pipeline.providers import EndpointSettings, build_provider

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HEAD = b"HTTP/1.1 200 OK\r\n"
OK = HEAD + b"Content-Length: 2\r\n\r\n{}"
BODY = b'{"messages":[{"role":"user","content":"hi"}]}'
PROVIDER = build_provider(EndpointSettings("openai", "m", base_url="http://127.0.0.1/v1"), redact=str, wall=lambda: 0.0)
_LINGER_NOT = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # close() resets the connection


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return head + await reader.readexactly(length)


def reset(writer: asyncio.StreamWriter) -> None:
    """Have the connection end with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


def saying(*answers: bytes, rst: bool = False, close: bool = True) -> Serve:
    """Serve these answers on each connection, then close or reset it, or (`close=False`) fall silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()
        if close:
            if rst:
                reset(writer)
            writer.close()
        else:
            await reader.read()

    return serve


def one_a_connection(answers: Sequence[bytes], *, rst: bool = False) -> Serve:
    """Serve the first answer on the first connection, the second on the second, and so on."""
    left = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(next(left), rst=rst)(reader, writer)

    return serve


@contextlib.asynccontextmanager
async def listening(serve: Serve, **how: Any) -> Any:
    """Run the server on loopback; gives its port. A client that goes away in mid-request ends the connection quietly."""

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            await serve(reader, writer)
            return
        writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0, **how)
    async with server:
        yield server.sockets[0].getsockname()[1]


def request(port: int, *, scheme: str = "http", host: str = "127.0.0.1", body: bytes = BODY) -> Request:
    return Request(0, f"{scheme}://{host}:{port}/v1", {"authorization": "Bearer canary", "x-api-key": "canary"}, body)


def posts(serve: Serve, *, times: int = 1, timeout: float = 5.0, loop: str = "uvloop", **changes: Any) -> list[Response | Fault]:
    """Post `times` requests, one after another, to a server that behaves so."""

    async def main() -> list[Response | Fault]:
        async with listening(serve) as port, HttpTransport(TransportSettings(timeout, "rowcall/test"), **changes) as http:
            return [await http.post(request(port)) for _ in range(times)]

    return run(main(), loop)


def run(main: Any, loop: str = "uvloop") -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        return runner.run(main)


def decoded(answer: Response | Fault) -> Reply | Fault:
    """Give what the run would make of an answer."""
    return answer if isinstance(answer, Fault) else PROVIDER.decode(answer, request(1))
