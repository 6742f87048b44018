"""A server that gives every chat completion the same answer, at once or after a delay: server.py DELAY SLOW_DELAY

One asyncio.Protocol on uvloop, no more HTTP than clients with Content-Length need: it must not be what is measured. A body with
SLOW in it is answered after SLOW_DELAY. Prints its URL, and serves until it is ended.
"""

import asyncio
import json
import re
import sys
from typing import cast

import uvloop

SLOW = b"slow-row"
_WORDS = (
    "A brown dog runs along a wide and empty beach at low tide; behind it the sea is calm, the sky has two small "
    "clouds, and a red ball lies half in the sand."
)
ANSWER = json.dumps(
    {
        "id": "chatcmpl-9f3c1d2a7b6e4850",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "any",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _WORDS}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 112, "completion_tokens": 38, "total_tokens": 150},
    }
)
_REPLY = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n{ANSWER}".encode()
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Answering(asyncio.Protocol):
    """One connection. Requests come one after another, as HTTP/1.1 clients without pipelining send them."""

    def __init__(self, delay: float, slow_delay: float) -> None:
        self._delay = delay
        self._slow_delay = slow_delay
        self._got = bytearray()
        self._whole = 0  # bytes of the request that is arriving, 0 until its head has come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._whole:
            head = self._got.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._got, 0, head)
            self._whole = head + 4 + (int(length[1]) if length else 0)
        if len(self._got) >= self._whole:
            self._answer(self._slow_delay if self._slow_delay and SLOW in self._got else self._delay)
            del self._got[: self._whole]
            self._whole = 0

    def _answer(self, delay: float) -> None:
        if delay:
            asyncio.get_running_loop().call_later(delay, self._transport.write, _REPLY)
        else:
            self._transport.write(_REPLY)


async def serve(delay: float, slow_delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(delay, slow_delay), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1]), float(sys.argv[2])))
