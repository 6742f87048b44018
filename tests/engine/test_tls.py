"""TLS that is not as it should be: what is wrong for every row stops the job, what may pass is waited for."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime
from typing import Any

import pytest
import trustme
from aiohttp import TCPConnector
from aiohttp.connector import Connection

from pipeline.core.types import Fault, FaultKind, Response
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport, tls_context
from pipeline.engine.wire import Wire
from tests.engine.raw import BODY, OK, Serve, listening, read_request, request, run, saying

pytestmark = pytest.mark.network
FATAL, DOWN, TRANSIENT = FaultKind.FATAL, FaultKind.DOWN, FaultKind.TRANSIENT
AUTHORITY = trustme.CA()
PAST = {"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2021, 1, 1, tzinfo=UTC)}
OUTDATED = ssl.TLSVersion.TLSv1_1


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(path)
    return str(path)


def served_with(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def post(
    tls: ssl.SSLContext | None, *, ca_file: str | None, scheme: str = "https", serve: Serve | None = None, timeout: float = 5.0
) -> Response | Fault:
    async def main() -> Response | Fault:
        settings = TransportSettings(timeout, "rowcall/test", ca_file=ca_file)
        async with listening(serve or saying(OK), ssl=tls) as port, HttpTransport(settings) as http:
            return await http.post(request(port, scheme=scheme))

    answer: Response | Fault = run(main())
    return answer


def test_a_server_that_the_given_authority_vouches_for_is_answered_by(ca_file: str) -> None:
    assert isinstance(post(served_with(AUTHORITY.issue_cert("127.0.0.1")), ca_file=ca_file), Response)


@pytest.mark.parametrize(
    ("names", "when", "known", "words"),
    [
        pytest.param(["127.0.0.1"], {}, False, "unable to get local issuer certificate", id="unknown-authority"),
        pytest.param(["other.example"], {}, True, "not valid for '127.0.0.1'", id="wrong-host"),
        pytest.param(["127.0.0.1"], PAST, True, "has expired", id="expired"),
    ],
)
def test_a_certificate_that_is_not_trusted_stops_the_job(
    names: list[str], when: dict[str, datetime], known: bool, words: str, ca_file: str
) -> None:
    answer = post(served_with(AUTHORITY.issue_cert(*names, **when)), ca_file=ca_file if known else None)
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind, answer.ambiguous) == (FATAL, "connection", False)
    assert words in answer.message


async def refuses_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(16)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        pytest.param(refuses_http, "is https right", id="it-answers-in-http"),
        pytest.param(silent, "no connection in time", id="it-waits-for-a-request"),
        pytest.param(closes, "", id="it-closes"),
    ],
)
def test_https_to_a_port_without_tls_is_an_absent_endpoint_and_nothing_was_paid(serve: Serve, words: str) -> None:
    answer = post(None, ca_file=None, serve=serve, timeout=0.5)
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind, answer.ambiguous) == (DOWN, "connection", False)
    assert words in answer.message


def test_http_to_a_tls_port_gets_no_answer(ca_file: str) -> None:
    answer = post(served_with(AUTHORITY.issue_cert("127.0.0.1")), ca_file=ca_file, scheme="http")
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind) == (TRANSIENT, "connection")


def test_a_tls_of_yesterday_is_not_spoken(ca_file: str) -> None:
    context = served_with(AUTHORITY.issue_cert("127.0.0.1"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, OUTDATED
    answer = post(context, ca_file=ca_file)
    assert isinstance(answer, Fault)
    assert answer.kind is DOWN


def test_a_connection_reset_in_the_handshake_is_an_absent_endpoint(ca_file: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.close()

    answer = post(None, ca_file=ca_file, serve=serve)
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.ambiguous) == (DOWN, False)


def test_the_reply_of_a_tls_server_that_does_not_say_goodbye_is_whole(ca_file: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        writer.transport.abort()

    assert isinstance(post(served_with(AUTHORITY.issue_cert("127.0.0.1")), ca_file=ca_file, serve=serve), Response)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_an_answer_that_overtakes_its_request_ends_a_connection_with_tls_too(ca_file: str, loop: str) -> None:
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(OK)
        await asyncio.sleep(3600)

    async def main() -> None:
        settings = TransportSettings(5.0, "rowcall/test", ca_file=ca_file)
        async with (
            listening(serve, ssl=served_with(AUTHORITY.issue_cert("127.0.0.1"))) as port,
            HttpTransport(settings) as http,
        ):
            for _ in range(2):
                assert isinstance(await http.post(request(port, scheme="https", body=b"x" * 20_000_000)), Response)

    run(main(), loop)
    assert len(connections) == 2


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_kept_connections_are_closed_by_the_time_the_wire_is(ca_file: str, loop: str) -> None:
    ends = []

    class Connector(TCPConnector):
        async def connect(self, *args: Any, **kwargs: Any) -> Connection:
            connection = await super().connect(*args, **kwargs)
            assert connection.protocol is not None
            ends.append(connection.protocol.closed)
            return connection

    async def main() -> None:
        wire = Wire(Connector(), tls=lambda: tls_context(ca_file), headers={}, connect_s=5.0, proxy=None)
        async with listening(saying(OK, close=False), ssl=served_with(AUTHORITY.issue_cert("127.0.0.1"))) as port:
            async with wire.exchange(f"https://127.0.0.1:{port}/v1", {}, BODY) as exchange:
                assert exchange.content is not None
                await exchange.content.read()
            assert [end is not None and end.done() for end in ends] == [False]
            await wire.close()
            assert [end is not None and end.done() for end in ends] == [True]

    run(main(), loop)
