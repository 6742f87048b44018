"""Performs what a fault does on a connection of aiohttp.web, byte for byte. What it does is decided in acts.py."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable

from aiohttp import web

from pipeline.simulate.acts import Act, End, Flood, Hang, Shut, Write

# With lingering on and no time to linger, closing a socket sends RST where FIN would be polite.
_LINGER_NOT = struct.pack("ii", 1, 0)
_LOOK_AGAIN_S = 0.02


class Written(web.StreamResponse):
    """A response that was written already. With `keep`, the next request may come on the same connection."""

    def __init__(self, *, keep: bool) -> None:
        super().__init__()
        self._keep = keep

    @property
    def keep_alive(self) -> bool:
        return self._keep

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


async def perform(request: web.Request, act: Act, shut: Callable[[float], None]) -> tuple[web.StreamResponse, bool]:
    """Do it; gives what the handler returns, and whether everything was written to an open connection.

    `shut` makes the server deaf for so many seconds.
    """
    match act:
        case Write():
            whole = await _write(request, act)
            if act.end is End.RESET:
                await _flushed(request)  # else the reset would overtake what was written
            end(request, act.end)
            return Written(keep=act.end is End.STAY), whole
        case Flood():
            return Written(keep=False), await _flood(request, act)
        case Hang():
            await _hang(request, act.seconds)
        case Shut():
            shut(act.seconds)
            end(request, End.RESET)
    return Written(keep=False), False


def end(request: web.Request, how: End) -> None:
    """Close the connection, or break it off without a word."""
    transport = request.transport
    if transport is None or how is End.STAY:
        return
    if how is End.CLOSE:
        transport.close()  # once what is written has left
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


def is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _write(request: web.Request, act: Write) -> bool:
    if act.delay:
        await asyncio.sleep(act.delay)
    size = act.piece or max(len(act.data), 1)
    for at in range(0, len(act.data), size):
        if at and act.pause:
            await asyncio.sleep(act.pause)
        if not await _send(request, act.data[at : at + size]):
            return False
    return not is_gone(request)


async def _flood(request: web.Request, act: Flood) -> bool:
    if not await _send(request, act.head):
        return False
    for chunk in act.chunks():
        # A packer may hold bytes back, and a chunk of size 0 would be the last.
        if chunk and not await _send(request, b"%x\r\n%b\r\n" % (len(chunk), chunk)):
            return False
        await asyncio.sleep(0)  # others are served meanwhile
    return await _send(request, b"0\r\n\r\n")


async def _send(request: web.Request, data: bytes) -> bool:
    """Write no faster than the client reads. False: it has gone."""
    transport = request.transport
    if transport is None or transport.is_closing():
        return False
    transport.write(data)
    return await _drained(request)


async def _drained(request: web.Request) -> bool:
    try:
        await request.writer.drain()
    except ConnectionError:
        return False
    return not is_gone(request)


async def _flushed(request: web.Request) -> None:
    """Wait until everything written has left this process."""
    if request.transport is not None:
        request.transport.set_write_buffer_limits(0)
        await _drained(request)


async def _hang(request: web.Request, seconds: float) -> None:
    until = time.monotonic() + seconds
    # A handler is not told when its client goes: it has to look.
    while not is_gone(request) and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left, _LOOK_AGAIN_S))
    end(request, End.CLOSE)
