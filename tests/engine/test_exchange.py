"""What becomes of a connection after an exchange, however that ends, and of a time-out, whenever it strikes."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from pipeline.core.types import Fault, Response
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport, tls_context
from pipeline.engine.wire import Exchange, Wire
from tests.engine.raw import HEAD, listening, posts, read_request, request, run, saying
from tests.engine.test_tls import AUTHORITY, served_with
from tests.fakes import VirtualLoop, run_virtual

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
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("given_up", ["late", "cancelled", "answered"])
def test_what_is_left_of_an_upload_is_dropped_with_its_row(given_up: str, scheme: str, tmp_path: Path):
    """A server that stops reading would else be paid in memory: 20 MB for each image that timed out."""
    body = b"x" * 50_000_000
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")

    async def main() -> int:
        arrived, over, counted = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            arrived.set()
            if given_up == "answered":
                writer.write(b"HTTP/1.1 413 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            await over.wait()
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            size = 0
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(2**20):
                    size += len(chunk)
            counted.set_result(size)

        patience, known = 0.5 if given_up == "late" else 30.0, str(tmp_path / "authority.pem")
        tls = served_with(AUTHORITY.issue_cert("127.0.0.1")) if scheme == "https" else None
        async with (
            listening(serve, ssl=tls) as port,
            HttpTransport(TransportSettings(patience, "rowcall/test", ca_file=known)) as http,
        ):
            posting = asyncio.create_task(http.post(request(port, scheme=scheme, body=body)))
            await arrived.wait()
            if given_up == "cancelled":
                posting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await posting
            over.set()
            return await counted

    assert run(main()) < len(body)


# -- time-outs in awkward moments: by hand, on a connection that is none


class Plug:
    """A connection to nobody, of which the test says what comes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.open = True
        self.transport = cast(asyncio.Transport, self)
        self.protocol = ResponseHandler(asyncio.get_running_loop())
        self.protocol.connection_made(self.transport)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.open = False

    abort = close

    def is_closing(self) -> bool:
        return not self.open

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> None:
        return None


class Connector:
    """Gives `plug` as soon as it may."""

    def __init__(self, plug: Plug) -> None:
        self.plug = plug
        self.made = asyncio.get_running_loop().create_future()

    async def connect(self, *_: object, **__: object) -> Plug:
        await self.made
        return self.plug


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@contextlib.contextmanager
def plugged() -> Iterator[tuple[Connector, Exchange]]:
    connector = Connector(Plug())
    wire = Wire(cast(aiohttp.TCPConnector, connector), tls=tls_context, headers={}, connect_s=5.0, proxy=None)
    yield connector, wire.exchange("http://127.0.0.1/v1", {}, b"{}")


async def outcome(exchange: Exchange) -> bytes | type[Exception]:
    try:
        async with exchange:
            assert exchange.content is not None
            return await exchange.content.read()
    except (TimeoutError, aiohttp.ClientError) as error:
        return type(error)


def told(*moments: Callable[[Connector, Exchange], None]) -> tuple[bytes | type[Exception], Plug, Exchange]:
    """Give what an exchange ends in if these happen at once, after it has begun to wait for a connection."""

    async def main(loop: VirtualLoop) -> tuple[bytes | type[Exception], Plug, Exchange]:
        with plugged() as (connector, exchange):
            async with asyncio.timeout(1000), asyncio.TaskGroup() as group:
                waiting = group.create_task(outcome(exchange))
                await settled()
                for moment in moments:
                    moment(connector, exchange)
                    if moment is SETTLED:
                        await settled()
            return waiting.result(), connector.plug, exchange

    result: tuple[bytes | type[Exception], Plug, Exchange] = run_virtual(main)
    return result


def SETTLED(connector: Connector, exchange: Exchange) -> None:
    """Let everything take its course before the next moment."""


def connected(connector: Connector, exchange: Exchange) -> None:
    connector.made.set_result(None)


def late(connector: Connector, exchange: Exchange) -> None:
    exchange.time_is_up()


def says(data: bytes) -> Callable[[Connector, Exchange], None]:
    return lambda connector, exchange: connector.plug.protocol.data_received(data)


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param([late], id="connecting"),
        pytest.param([connected, late], id="just-connected"),
        pytest.param([connected, SETTLED, late], id="waiting-for-the-head"),
        pytest.param([connected, SETTLED, says(CONTINUE), late], id="just-told-to-wait"),
        pytest.param([connected, SETTLED, says(CONTINUE), SETTLED, late], id="told-to-wait"),
        pytest.param([connected, SETTLED, says(HALF), late], id="the-head-just-came"),
        pytest.param([connected, SETTLED, says(CONTINUE + HALF), late], id="the-head-just-came-behind-a-100"),
        pytest.param([connected, SETTLED, late, says(HALF)], id="before-the-head-came"),
        pytest.param([connected, SETTLED, says(HALF), SETTLED, late], id="in-the-body"),
        pytest.param([connected, SETTLED, says(HALF), SETTLED, says(b"g"), late], id="more-of-the-body-just-came"),
    ],
)
def test_a_wait_ends_when_its_time_is_up_whatever_happens_in_that_moment(moments: list[Callable[[Connector, Exchange], None]]):
    result, plug, exchange = told(*moments)
    assert result is TimeoutError
    assert not plug.open or not exchange.sent


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param([connected, SETTLED, says(RIGHT), late], id="at-once"),
        pytest.param([connected, SETTLED, says(HALF), SETTLED, says(b"ght"), late], id="in-two-pieces"),
        pytest.param([connected, SETTLED, says(CONTINUE + RIGHT), late], id="behind-a-100"),
    ],
)
def test_a_reply_that_has_come_whole_counts_although_its_time_is_up(moments: list[Callable[[Connector, Exchange], None]]):
    assert told(*moments)[0] == b"right"


def lost(connector: Connector, exchange: Exchange) -> None:
    connector.plug.protocol.connection_lost(None)


def looked(connector: Connector, exchange: Exchange) -> None:
    exchange.look()


CHUNK = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nri\r\n"


def test_a_body_that_turns_out_to_be_broken_is_not_waited_for():
    """aiohttp's parser closes the connection then, and tells nobody who awaits the body."""
    result, *_ = told(connected, SETTLED, says(CHUNK), SETTLED, says(b"zz\r\n"), lost, SETTLED, looked)
    assert result is aiohttp.ClientPayloadError


@pytest.mark.parametrize(
    "more",
    [
        pytest.param([says(b"3\r\nght\r\n0\r\n\r\n")], id="whole"),
        pytest.param([says(b"3\r\nght\r\n"), SETTLED, looked, says(b"0\r\n\r\n")], id="still-coming"),
        pytest.param([says(b"3\r\nght\r\n0\r\n\r\n"), lost, looked], id="whole-and-closed"),
    ],
)
def test_looking_ends_no_wait_that_is_not_in_vain(more: list[Callable[[Connector, Exchange], None]]):
    assert told(looked, connected, looked, SETTLED, looked, says(CHUNK), looked, SETTLED, looked, *more)[0] == b"right"


def test_looking_leaves_a_body_that_ends_with_its_connection_whole():
    assert told(connected, SETTLED, says(HEAD + b"\r\nright"), SETTLED, looked, lost, looked)[0] == b"right"


def test_a_time_out_while_connecting_costs_nothing():
    result, plug, exchange = told(connected, late)
    assert (result, plug.written, exchange.sent) == (TimeoutError, [], False)
