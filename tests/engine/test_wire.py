"""What can happen on the wire, one by one: each is a fault that says what it costs, or the whole reply, and never half of one."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.types import Fault, FaultKind, Reply, Response
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport
from tests.engine.raw import (
    HEAD,
    OK,
    decoded,
    listening,
    one_a_connection,
    posts,
    read_request,
    request,
    run,
    saying,
)

pytestmark = pytest.mark.network
DOWN, TRANSIENT, FATAL, LOCAL = FaultKind.DOWN, FaultKind.TRANSIENT, FaultKind.FATAL, FaultKind.LOCAL
REPLY = (Path(__file__).parents[1] / "providers/bodies/segmind.json").read_bytes().strip()


def with_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, step: int = 100) -> bytes:
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    return (
        HEAD
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces)
        + b"0\r\n\r\n"
    )


def until_close(body: bytes) -> bytes:
    return HEAD + b"Connection: close\r\n\r\n" + body


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("serve", "kind", "error_kind", "ambiguous", "resends"),
    [
        pytest.param(saying(b""), TRANSIENT, "connection", True, None, id="closed-without-a-byte"),
        pytest.param(saying(b"", rst=True), TRANSIENT, "connection", True, None, id="reset-before-the-reply"),
        pytest.param(saying(b"", close=False), TRANSIENT, "timeout", True, 3, id="silent-hang"),
        pytest.param(saying(HEAD, close=False), TRANSIENT, "timeout", True, 3, id="hang-in-the-head"),
        pytest.param(saying(OK[:-1], close=False), TRANSIENT, "timeout", True, 3, id="hang-in-the-body"),
        pytest.param(saying(OK[:20]), TRANSIENT, "connection", True, None, id="head-cut-short"),
        pytest.param(saying(OK[:-1]), TRANSIENT, "connection", True, 3, id="body-cut-short"),
        pytest.param(saying(OK[:-1], rst=True), TRANSIENT, "connection", True, 3, id="reset-in-the-body"),
        pytest.param(saying(OK + b"trailing"), TRANSIENT, "connection", True, None, id="bytes-after-content-length"),
        pytest.param(
            saying(HEAD + b"Content-Length: 2\r\n" * 2 + b"\r\n{}"), TRANSIENT, "connection", True, None, id="two-lengths"
        ),
        pytest.param(
            saying(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
            *(TRANSIENT, "connection", True, None),
            id="two-different-lengths",
        ),
        pytest.param(
            saying(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            *(TRANSIENT, "connection", True, None),
            id="length-and-chunks",
        ),
        pytest.param(saying(HEAD + b"Content-Length: -2\r\n\r\n{}"), TRANSIENT, "connection", True, None, id="negative-length"),
        pytest.param(
            saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
            *(TRANSIENT, "connection", True, None),
            id="chunk-size-that-is-none",
        ),
        pytest.param(saying(b"SSH-2.0-x\r\n"), TRANSIENT, "connection", True, None, id="another-protocol"),
        pytest.param(saying(b"{}"), TRANSIENT, "connection", True, None, id="no-head-at-all"),
        pytest.param(saying(b"HTTP/1.1 1000 x\r\n\r\n"), TRANSIENT, "connection", True, None, id="status-of-four-digits"),
        pytest.param(saying(HEAD + b"X: a\0b\r\n\r\n"), TRANSIENT, "connection", True, None, id="nul-in-a-header"),
        pytest.param(
            saying(b"HTTP/1.1 200 " + b"O" * 9000 + OK[15:]), TRANSIENT, "bad_response", True, 2, id="status-line-of-9-kB"
        ),
        pytest.param(
            saying(HEAD + b"X: " + b"y" * 20_000 + b"\r\n" + OK[17:]), TRANSIENT, "bad_response", True, 2, id="header-of-20-kB"
        ),
        pytest.param(
            saying(HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(200)) + OK[17:]),
            *(TRANSIENT, "bad_response", True, 2),
            id="200-headers",
        ),
        pytest.param(
            saying(HEAD + b"Content-Length: 9999999999\r\n\r\n{"),
            TRANSIENT,
            "bad_response",
            True,
            1,
            id="ten-gigabytes-announced",
        ),
        pytest.param(
            saying(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}"),
            TRANSIENT,
            "connection",
            True,
            None,
            id="204-with-a-body",
        ),
    ],
)
def test_what_goes_wrong_on_the_wire_is_a_fault(serve, kind, error_kind, ambiguous, resends, loop):
    (answer,) = posts(serve, timeout=0.5, loop=loop)
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind, answer.ambiguous, answer.resends) == (kind, error_kind, ambiguous, resends)
    assert "canary" not in answer.message
    assert answer.message.isprintable()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(with_length(REPLY), id="length"),
        pytest.param(chunked(REPLY), id="chunks"),
        pytest.param(chunked(REPLY, step=1), id="chunks-of-a-byte"),
        pytest.param(chunked(REPLY)[:-2] + b"X-Trailer: y\r\n\r\n", id="trailers"),
        pytest.param(until_close(REPLY), id="until-close"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n" + REPLY, id="http-1.0"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + with_length(REPLY), id="100-first"),
        pytest.param(b"HTTP/1.1 102 Processing\r\n\r\n" * 20_000 + with_length(REPLY), id="20000-times-102-first"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + with_length(REPLY), id="103-first"),
        pytest.param(with_length(REPLY).replace(b"OK\r\n", b"\x1b]0;pwn\x07\r\n", 1), id="escape-in-the-reason"),
        pytest.param(with_length(REPLY).replace(b"\r\n", b"\r\nX: a\xff\xfeb\r\n", 1), id="bytes-in-a-header"),
        pytest.param(
            with_length(REPLY).replace(b"\r\n", b"\r\nSet-Cookie: a=b\r\n" * 1 + b"Set-Cookie: a=b\r\n" * 99, 1), id="100-cookies"
        ),
    ],
)
def test_a_whole_reply_is_read_however_it_comes(answer: bytes, loop: str):
    (read,) = posts(saying(answer), loop=loop)
    found = decoded(read)
    assert isinstance(found, Reply)
    assert found.text is not None
    assert found.text.startswith("I can see a beautiful sunset")


@pytest.mark.parametrize("rst", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("framed", [with_length, chunked, until_close])
def test_a_reply_cut_at_any_byte_is_a_fault_and_never_half_a_reply(framed, rst: bool):
    whole = framed(REPLY)
    (uncut,) = map(decoded, posts(saying(whole)))
    answers = posts(one_a_connection([whole[:cut] for cut in range(len(whole))], rst=rst), times=len(whole))
    assert isinstance(uncut, Reply)
    assert len(answers) > len(REPLY)
    for found in map(decoded, answers):
        assert isinstance(found, Fault)
        assert (found.kind, found.ambiguous) == (TRANSIENT, True)


def test_an_event_stream_cut_at_any_byte_is_a_fault_or_has_the_whole_text():
    stream = (Path(__file__).parents[1] / "providers/bodies/stream.txt").read_bytes()
    head = HEAD + b"Content-Type: text/event-stream\r\n\r\n"
    answers = posts(one_a_connection([head + stream[:cut] for cut in range(len(stream) + 1)]), times=len(stream) + 1)
    found = [decoded(each) for each in answers]
    assert {each.text for each in found if isinstance(each, Reply)} == {"Hello, world"}
    assert isinstance(found[0], Fault)
    assert isinstance(found[-1], Reply)


def test_a_reset_behind_the_whole_reply_costs_nothing():
    for framed in (with_length, chunked):
        (answer,) = posts(saying(framed(REPLY), rst=True))
        assert isinstance(decoded(answer), Reply)


def test_a_body_that_drips_is_given_up_when_its_time_is_over():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    (answer,) = posts(serve, timeout=0.5)
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind, answer.status, answer.resends) == (TRANSIENT, "timeout", 200, 3)


def test_a_chunk_that_is_none_is_noticed_when_it_comes_and_not_at_the_time_out():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)  # until it has been read
        writer.write(b"zz\r\n")
        await reader.read()

    (answer,) = posts(serve, timeout=600.0)
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind, answer.status, answer.resends) == (TRANSIENT, "connection", 200, 3)


def test_an_error_whose_body_breaks_off_is_judged_by_its_status():
    for rst in (False, True):
        (answer,) = posts(saying(b'HTTP/1.1 401 x\r\nContent-Length: 99\r\n\r\n{"error":"Unauth', rst=rst))
        found = decoded(answer)
        assert isinstance(found, Fault)
        assert (found.kind, found.error_kind, found.status) == (FATAL, "unauthorized", 401)
    (hung,) = posts(saying(b"HTTP/1.1 503 x\r\nContent-Length: 99\r\n\r\n", close=False), timeout=0.3)
    assert isinstance(hung, Response)
    assert hung.status == 503


# -- uploads


def test_an_answer_that_comes_before_the_body_was_sent_counts():
    """As proxies refuse a large body: they answer by its head alone, and close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"Content-Length: 45" in head:
            await reader.read(45)
            writer.write(OK)
        else:
            writer.write(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def main() -> list[Response | Fault]:
        async with listening(serve) as port, HttpTransport(TransportSettings(5.0, "rowcall/test")) as http:
            large = await http.post(request(port, body=b"x" * 50_000_000))
            return [large, await http.post(request(port))]

    large, small = run(main())
    assert isinstance(small, Response)
    if isinstance(large, Response):
        assert large.status == 413
    else:  # the close may overtake the answer, when it is no answer
        assert (large.kind, large.error_kind) == (TRANSIENT, "connection")


def test_a_server_that_takes_the_connection_and_then_reads_nothing_is_given_up():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(3600)

    async def main() -> Response | Fault:
        async with listening(serve) as port, HttpTransport(TransportSettings(0.5, "rowcall/test")) as http:
            return await http.post(request(port, body=b"x" * 50_000_000))

    answer = run(main())
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind) == (TRANSIENT, "timeout")


# -- no connection


def test_nobody_listening_is_an_absent_endpoint_and_nothing_was_paid():
    async def main(port: int) -> Response | Fault:
        async with HttpTransport(TransportSettings(5.0, "rowcall/test")) as http:
            return await http.post(request(port))

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = run(main(taken.getsockname()[1]))
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.ambiguous) == (DOWN, False)
    assert "ECONNREFUSED" in answer.message


def test_a_connection_that_is_never_taken_is_an_absent_endpoint_and_nothing_was_paid():
    async def main(port: int) -> Response | Fault:
        async with HttpTransport(TransportSettings(0.5, "rowcall/test")) as http:
            return await http.post(request(port))

    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(full.getsockname())
        answer = run(main(full.getsockname()[1]))
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind, answer.ambiguous) == (DOWN, "connection", False)


SHORT_OF_FILES = """
import asyncio, os, resource, sys
from pipeline.core.types import Fault, Response
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport
from tests.engine.raw import request, run

async def main(port, host):
    async with HttpTransport(TransportSettings(20.0, "rowcall/test")) as http:
        await http.post(request(port), fresh=True)  # so that everything is imported; leaves no connection that the server closes
        taken = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            os.close(taken.pop())
        async with asyncio.TaskGroup() as group:
            posting = [group.create_task(http.post(request(port, host=host))) for _ in range(20)]
        answers = [each.result() for each in posting]
        print(sorted({each.kind.value + ": " + each.message for each in answers if isinstance(each, Fault)}))
        for each in taken:
            os.close(each)
        print(type(await http.post(request(port, host=host), fresh=True)).__name__)

run(main(int(sys.argv[1]), sys.argv[2]))
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_too_few_file_descriptors_are_this_machine_s_fault(host: str):
    """A resolver that cannot open its files says that there is no such host."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(0.2)
        writer.write(OK)
        writer.close()

    async def main() -> tuple[bytes, bytes]:
        async with listening(serve) as port:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", SHORT_OF_FILES, str(port), host),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            return await child.communicate()

    said, complained = run(main(), loop="asyncio")
    assert said.decode().splitlines() == ["['local: EMFILE (too many open files)']", "Response"], complained.decode()
