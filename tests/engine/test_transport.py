"""The transport against a raw-socket server that misbehaves on purpose."""

import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable

import pytest

from pipeline.core.types import Fault, FaultKind, Request, Response
from pipeline.engine import transport as module
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport

pytestmark = pytest.mark.network

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return head + await reader.readexactly(length)


def saying(*answers: bytes, reset: bool = False, close: bool = True) -> Serve:
    """Serve these answers on one connection, then close or reset it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await _request(reader)
            writer.write(answer)
            await writer.drain()
        if reset:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        if close:
            writer.close()
        else:
            await reader.read()

    return serve


def posts(serve: Serve, *, times: int = 1, timeout: float = 5.0, **changes: object) -> list[Response | Fault]:
    """Post `times` requests, one after another, to a server that behaves so."""

    async def main() -> list[Response | Fault]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        request = Request(0, f"http://127.0.0.1:{port}/v1", {"Authorization": "Bearer k"}, b'{"a":1}')
        async with server, HttpTransport(TransportSettings(timeout, "rowcall/test"), **changes) as http:  # type: ignore[arg-type]
            return [await http.post(request) for _ in range(times)]

    return asyncio.run(main())


def test_an_answer_comes_back_whole_with_lower_case_headers():
    (answer,) = posts(saying(b"HTTP/1.1 418 x\r\nContent-Length: 2\r\nX-Thing: Y\r\n\r\n{}"))
    assert answer == Response(418, {"content-length": "2", "x-thing": "Y"}, b"{}")


@pytest.mark.parametrize(
    ("serve", "kind", "error_kind", "ambiguous"),
    [
        pytest.param(saying(b""), FaultKind.TRANSIENT, "connection", True, id="closed without a byte"),
        pytest.param(saying(b"", reset=True), FaultKind.TRANSIENT, "connection", True, id="reset before the reply"),
        pytest.param(saying(OK[:-1]), FaultKind.TRANSIENT, "connection", True, id="body cut short"),
        pytest.param(saying(OK[:20]), FaultKind.TRANSIENT, "connection", True, id="head cut short"),
        pytest.param(saying(b"SSH-2.0-x\r\n"), FaultKind.TRANSIENT, "connection", True, id="not HTTP"),
        pytest.param(saying(b"", close=False), FaultKind.TRANSIENT, "timeout", True, id="hang"),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n{"),
            FaultKind.TRANSIENT,
            "bad_response",
            True,
            id="endless by its own word",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}"),
            FaultKind.TRANSIENT,
            "bad_response",
            True,
            id="unasked encoding",
        ),
    ],
)
def test_what_goes_wrong_on_the_wire_is_a_fault(serve, kind, error_kind, ambiguous):
    (answer,) = posts(serve, timeout=0.5)
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind, answer.ambiguous) == (kind, error_kind, ambiguous)


def test_nobody_listening_is_an_absent_endpoint_and_not_ambiguous():
    async def main() -> Response | Fault:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            async with HttpTransport(TransportSettings(5.0, "rowcall/test")) as http:
                return await http.post(Request(0, f"http://127.0.0.1:{port}/", {}, b"{}"))

    answer = asyncio.run(main())
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.ambiguous) == (FaultKind.DOWN, False)
    assert "ECONNREFUSED" in answer.message


def test_a_connection_closed_between_two_posts_is_told_from_a_fault_of_the_row():
    closes_on_second = saying(OK, b"", reset=True)
    answers = posts(closes_on_second, times=2)
    assert isinstance(answers[0], Response)
    assert isinstance(answers[1], Fault)
    assert answers[1].free


def test_a_redirect_is_not_followed():
    (answer,) = posts(saying(b"HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"))
    assert isinstance(answer, Response)
    assert answer.status == 307


def test_a_gzip_body_is_read_and_a_bomb_is_not():
    def packed(body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    (plain,) = posts(saying(packed(gzip.compress(b"{}"))))
    (bomb,) = posts(saying(packed(gzip.compress(b" " * (module.MOST_BODY_BYTES + 1)))))
    (cut,) = posts(saying(packed(gzip.compress(b'{"a": 1}')[:-12])))
    assert isinstance(plain, Response)
    assert plain.body == b"{}"
    assert isinstance(bomb, Fault)
    assert isinstance(cut, Fault)


def test_secrets_are_scrubbed_before_anybody_sees_the_body():
    (answer,) = posts(saying(OK), scrub=lambda body: body.replace(b"{}", b"**"))
    assert isinstance(answer, Response)
    assert answer.body == b"**"


def test_the_request_carries_its_body_and_no_surprises():
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await _request(reader))
        writer.write(OK)
        writer.close()

    posts(serve)
    assert seen[0].endswith(b'\r\n\r\n{"a":1}')
    assert b"Accept-Encoding: identity" in seen[0]
    assert b"Cookie" not in seen[0]
