"""What becomes of a connection after an exchange, however that ends."""

import asyncio
import contextlib

import pytest

from pipeline.core.types import Fault, Response
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport
from tests.engine.raw import HEAD, listening, posts, read_request, request, run, saying

SETTINGS = TransportSettings(5.0, "rowcall/test")
RIGHT = HEAD + b"Content-Length: 5\r\n\r\nright"
HALF = HEAD + b"Content-Length: 5\r\n\r\nri"


# -- connections


def connections_for(answer: bytes, *, then: bytes = RIGHT) -> int:
    """Give on how many connections two requests go out, of which the first is answered so; the second is answered rightly."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await saying(*([answer, then] if connections == 1 else [then]))(reader, writer)

    first, second = posts(serve, times=2)
    assert isinstance(first, Response)
    assert isinstance(second, Response)
    assert second.body == b"right"
    return connections


@pytest.mark.network
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(RIGHT, id="length"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", id="chunks"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Trailer: y\r\n\r\n", id="trailers"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + RIGHT, id="behind-a-100"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", id="304-with-a-length"),
        pytest.param(b"HTTP/1.1 500 x\r\nContent-Length: 5\r\n\r\noops!", id="an-error"),
        pytest.param(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nright", id="1.0-kept"),
    ],
)
def test_an_answer_that_ends_by_itself_leaves_its_connection_to_the_next(answer: bytes):
    assert connections_for(answer) == 1


@pytest.mark.network
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nright", id="close"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nright", id="1.0"),
        pytest.param(RIGHT + b"HTTP/1.1 100 Continue\r\n\r\n", id="a-100-behind-it"),
        pytest.param(RIGHT + RIGHT, id="another-answer-behind-it"),
        pytest.param(b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", id="another-protocol"),
        pytest.param(b"HTTP/1.1 500 x\r\nContent-Length: 900000\r\n\r\n" + b"x" * 70_000, id="an-error-not-read-to-its-end"),
    ],
)
def test_after_any_other_answer_the_next_request_has_a_connection_of_its_own(answer: bytes):
    assert connections_for(answer, then=RIGHT) == 2


@pytest.mark.network
def test_a_row_that_was_given_up_in_mid_answer_leaves_no_connection_behind():
    async def main() -> tuple[list[bytes], Response | Fault]:
        ends, half = [], asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            if half.is_set():
                writer.write(RIGHT)
            else:
                writer.write(HALF)
                half.set()
            ends.append(await reader.read())

        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            posting = asyncio.create_task(http.post(request(port)))
            await half.wait()
            await asyncio.sleep(0.05)  # until it has come in
            posting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await posting
            while not ends:
                await asyncio.sleep(0)
            return ends, await http.post(request(port))

    ends, answer = run(main())
    assert ends[0] == b""  # closed while the run goes on
    assert isinstance(answer, Response)
    assert answer.body == b"right"


@pytest.mark.network
@pytest.mark.parametrize("given_up", ["late", "cancelled", "answered"])
def test_what_is_left_of_an_upload_is_dropped_with_its_row(given_up: str):
    """A server that stops reading would else be paid in memory: 20 MB for each image that timed out."""
    body = b"x" * 50_000_000

    async def main() -> int:
        arrived, over, counted = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            arrived.set()
            if given_up == "answered":
                writer.write(b"HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n")
            await over.wait()
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            size = 0
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(2**20):
                    size += len(chunk)
            counted.set_result(size)

        patience = 0.5 if given_up == "late" else 30.0
        async with listening(serve) as port, HttpTransport(TransportSettings(patience, "rowcall/test")) as http:
            posting = asyncio.create_task(http.post(request(port, body=body)))
            await arrived.wait()
            if given_up == "cancelled":
                posting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await posting
            over.set()
            return await counted

    assert run(main()) < len(body)
