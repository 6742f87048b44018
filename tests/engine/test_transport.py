"""What the transport sends, and what it refuses to do: follow, remember, share, mistake."""

import asyncio
import contextlib
import socket
import ssl

import pytest

from pipeline.core.types import Fault, FaultKind, Reply, Request, Response
from pipeline.engine import transport as module
from pipeline.engine.send import Sent, send
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport
from tests.engine.raw import BODY, HEAD, OK, PROVIDER, listening, posts, read_request, request, run, saying

pytestmark = pytest.mark.network
SETTINGS = TransportSettings(5.0, "rowcall/test")
REPLY = b'{"choices":[{"message":{"content":"right"}}]}'
OK_REPLY = HEAD + b"Content-Length: %d\r\n\r\n" % len(REPLY) + REPLY


def test_an_answer_comes_back_whole_with_lower_case_headers():
    (answer,) = posts(saying(b"HTTP/1.1 418 x\r\nContent-Length: 2\r\nX-Thing: Y\r\n\r\n{}"))
    assert answer == Response(418, {"content-length": "2", "x-thing": "Y"}, b"{}")


def test_the_request_carries_its_body_and_no_surprises():
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(HEAD + b"Set-Cookie: session=canary; Path=/\r\nContent-Length: 2\r\n\r\n{}")

    posts(serve, times=2)
    first, second = seen
    assert first.endswith(b"\r\n\r\n" + BODY)
    assert b"Accept-Encoding: identity" in first
    assert b"cookie" not in second.lower()
    assert first == second


@pytest.mark.parametrize("size", [0, 1, 64 * 2**10, 64 * 2**10 + 1, 3_000_000])
def test_a_body_of_any_size_arrives_whole(size: int):
    body, seen = bytes(range(256)) * (size // 256) + b"x" * (size % 256), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    async def main() -> Response | Fault:
        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            return await http.post(request(port, body=body))

    assert isinstance(run(main()), Response)
    assert seen[0].partition(b"\r\n\r\n")[2] == body


def test_a_key_that_changes_in_place_goes_out_with_the_next_request():
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(OK)

    async def main() -> None:
        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            headers = {"authorization": "Bearer old"}
            sent = Request(0, f"http://127.0.0.1:{port}/v1", headers, BODY)
            await http.post(sent)
            headers["authorization"] = "Bearer new"
            await http.post(sent)

    run(main())
    assert [b"Bearer old" in each for each in seen] == [True, False]
    assert b"Bearer new" in seen[1]


def test_a_length_of_the_users_own_does_not_stand_beside_the_bodys():
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(BODY))
        writer.write(OK)

    async def main() -> None:
        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            await http.post(Request(0, f"http://127.0.0.1:{port}/v1", {"content-length": "3"}, BODY))

    run(main())
    assert seen[0].lower().count(b"content-length") == 1
    assert b"Content-Length: %d" % len(BODY) in seen[0]


def test_a_header_of_the_users_own_stands_in_place_of_ours_and_not_beside_it():
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    async def main() -> None:
        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            await http.post(Request(0, f"http://127.0.0.1:{port}/v1", {"user-agent": "theirs"}, BODY))

    run(main())
    assert [line for line in seen[0].lower().split(b"\r\n") if line.startswith(b"user-agent")] == [b"user-agent: theirs"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("//127.0.0.1:{}/v1", id="no-scheme"),
        pytest.param("ftp://127.0.0.1:{}/v1", id="ftp"),
        pytest.param("wss://127.0.0.1:{}/v1", id="wss"),
        pytest.param("http://127.0.0.1:{}/v1\r\nX-Evil: y", id="line-break"),
        pytest.param("http://127.0.0.1:{}/\ud800", id="half-a-character"),
        pytest.param("http://[::1:{}/", id="broken-ipv6"),
    ],
)
def test_an_address_that_is_none_stops_the_job_and_reaches_nobody(url: str):
    reached: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(1))

    async def main() -> Response | Fault:
        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            return await http.post(Request(0, url.format(port), {}, BODY))

    answer = run(main())
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.ambiguous) == (FaultKind.FATAL, False)
    assert b"".join(reached) == b""


def test_an_answer_that_overtakes_its_request_ends_the_connection():
    """What is still to leave would be read as the beginning of the next request."""
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(OK)
        await asyncio.sleep(3600)

    async def main() -> None:
        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            for _ in range(2):
                assert isinstance(await http.post(request(port, body=b"x" * 50_000_000)), Response)

    run(main())
    assert len(connections) == 2


def test_secrets_are_scrubbed_before_anybody_sees_the_body():
    (answer,) = posts(saying(OK), scrub=lambda body: body.replace(b"{}", b"**"))
    assert isinstance(answer, Response)
    assert answer.body == b"**"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_neither_key_nor_prompt_to_another_host(status: int):
    strangers: list[bytes] = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        strangers.append(await reader.read(1))
        writer.close()

    async def main() -> Response | Fault:
        async with listening(stranger) as elsewhere:
            head = b"HTTP/1.1 %d x\r\nLocation: http://localhost:%d/v1\r\nContent-Length: 0\r\n\r\n"
            async with listening(saying(head % (status, elsewhere))) as port, HttpTransport(SETTINGS) as http:
                answer = await http.post(request(port))
            with socket.create_connection(("127.0.0.1", elsewhere)):  # it would have been seen
                pass
            while not strangers:
                await asyncio.sleep(0)
            return answer

    answer = run(main())
    assert isinstance(answer, Response)
    assert answer.status == status
    assert strangers == [b""]


def test_a_key_that_no_header_may_hold_stops_the_job_without_being_shown():
    async def main() -> Response | Fault:
        async with listening(saying(OK)) as port, HttpTransport(SETTINGS) as http:
            asked = request(port)
            return await http.post(type(asked)(0, asked.url, {"authorization": "Bearer canary\r\nX-Evil: y"}, asked.body))

    answer = run(main())
    assert isinstance(answer, Fault)
    assert answer.kind is FaultKind.FATAL
    assert "canary" not in answer.message


def test_as_many_connections_are_open_as_there_are_requests():
    """The connector's own limit of 100 would count the wait for a connection against the request's time."""
    many = 150

    async def main() -> list[Response | Fault]:
        everybody = asyncio.Barrier(many)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            await everybody.wait()
            writer.write(OK)

        async with listening(serve, backlog=many) as port, HttpTransport(TransportSettings(60.0, "rowcall/test")) as http:
            async with asyncio.TaskGroup() as group:
                posting = [group.create_task(http.post(request(port))) for _ in range(many)]
            return [each.result() for each in posting]

    assert all(isinstance(each, Response) for each in run(main()))


def test_an_answer_nobody_asked_for_is_not_given_to_the_next_row():
    """Between two requests the server sends another reply on the idle connection: HTTP alone would take it for the next one's."""

    async def main() -> list[Response | Fault]:
        connections, sent = [], asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            await read_request(reader)
            writer.write(HEAD + b"Content-Length: 5\r\n\r\nright")
            if len(connections) == 1:
                await asyncio.sleep(0.05)
                writer.write(HEAD + b"Content-Length: 5\r\n\r\nstale")
                await writer.drain()
                sent.set()
            await reader.read()

        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            first = await http.post(request(port))
            await sent.wait()
            await asyncio.sleep(0.05)  # until it has come in
            return [first, await http.post(request(port))]

    assert [each.body for each in run(main())] == [b"right", b"right"]


def test_two_answers_at_once_are_an_answer_and_a_new_connection():
    double = saying(OK + HEAD + b"Content-Length: 5\r\n\r\nstale", close=False)
    assert [each.body for each in posts(double, times=3)] == [b"{}"] * 3


def test_a_row_that_was_given_up_waiting_leaves_its_answer_to_nobody():
    async def main() -> Response | Fault:
        asked = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            late = not asked.is_set()
            await read_request(reader)
            asked.set()
            if late:
                await asyncio.sleep(0.05)
            writer.write(HEAD + b"Content-Length: 5\r\n\r\n" + (b"stale" if late else b"right"))
            await reader.read()

        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            posting = asyncio.create_task(http.post(request(port)))
            await asked.wait()
            posting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await posting
            return await http.post(request(port))

    assert run(main()).body == b"right"


# -- connections that were kept


def test_a_connection_closed_between_two_posts_is_told_from_a_fault_of_the_row():
    first, second = posts(saying(OK, b"", rst=True), times=2)
    assert isinstance(first, Response)
    assert isinstance(second, Fault)
    assert second.free


def test_a_fresh_connection_is_a_new_one():
    async def main() -> tuple[list[Response | Fault], int]:
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            while True:
                await read_request(reader)
                writer.write(OK)

        async with listening(serve) as port, HttpTransport(SETTINGS) as http:
            return [await http.post(request(port), fresh=fresh) for fresh in (False, False, True, True, False)], connections

    answers, connections = run(main())
    assert all(isinstance(each, Response) for each in answers)
    assert connections == 3  # one kept for three posts, and one for each fresh one


def test_a_server_that_closes_after_each_answer_without_a_word_is_believed_at_last():
    """As seen with real servers: every second POST is lost, and only those on a new connection arrive."""
    notices: list[str] = []
    answers = posts(saying(OK, b""), times=1000, notice=notices.append)
    lost = [isinstance(each, Fault) for each in answers]
    assert all(each.free for each in answers if isinstance(each, Fault))
    assert sum(lost[:600]) > 0
    assert not any(lost[600:])
    assert len(notices) == 1
    assert "gets its own" in notices[0]


def test_a_row_that_meets_a_closed_connection_is_answered_by_a_new_one_even_if_all_kept_ones_are_closed():
    """The server closes every connection at its second request: a row may meet that once, and not twice."""

    async def main() -> list[Sent]:
        async with listening(saying(OK_REPLY, b"")) as port, HttpTransport(TransportSettings(30.0, "rowcall/test")) as http:
            now = asyncio.get_running_loop().time

            async def row() -> Sent:
                return await send(request(port), http, PROVIDER, now=now, may_resend=True)

            sent: list[Sent] = []
            for at_once in [16, 8] * 5:  # sixteen connections are kept, all of them closed, when eight rows go out
                async with asyncio.TaskGroup() as group:
                    sending = [group.create_task(row()) for _ in range(at_once)]
                sent += [each.result() for each in sending]
            return sent

    sent: list[Sent] = run(main())
    assert all(isinstance(each.result, Reply) for each in sent)
    assert any(each.requests == 2 for each in sent)


# -- addresses


class Resolving(asyncio.SelectorEventLoop):
    """Knows one host, by the addresses in `found`, one after another."""

    def __init__(self, *found: str | Exception) -> None:
        super().__init__()
        self.left = list(found)

    async def getaddrinfo(self, host, port, **how):  # type: ignore[no-untyped-def]
        found = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(found, Exception):
            raise found
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port))]


def posts_to_a_name(*found: str | Exception, times: int) -> list[Response | Fault]:
    async def main() -> list[Response | Fault]:
        async with listening(saying(*[OK] * times)) as port, HttpTransport(SETTINGS) as http:
            return [await http.post(request(port, host="moving.example")) for _ in range(times)]

    with asyncio.Runner(loop_factory=lambda: Resolving(*found)) as runner:
        return runner.run(main())


def test_a_host_that_cannot_be_reached_is_looked_up_anew():
    refused, answered = posts_to_a_name("127.0.0.2", "127.0.0.1", times=2)
    assert isinstance(refused, Fault)
    assert refused.kind is FaultKind.DOWN
    assert isinstance(answered, Response)


def test_a_host_that_answers_is_not_looked_up_again():
    assert all(isinstance(each, Response) for each in posts_to_a_name("127.0.0.1", "127.0.0.2", times=3))


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_a_name_that_cannot_be_resolved_is_an_absent_endpoint_until_it_can(number: int):
    absent, answered = posts_to_a_name(socket.gaierror(number, "no"), "127.0.0.1", times=2)
    assert isinstance(absent, Fault)
    assert (absent.kind, absent.error_kind, absent.ambiguous) == (FaultKind.DOWN, "connection", False)
    assert isinstance(answered, Response)


# -- bounds


def test_an_endless_body_is_left_alone_at_the_bound():
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(HEAD + b"\r\n")
        while True:
            writer.write(b" " * 2**20)
            await writer.drain()
            sent += 2**20

    (answer,) = posts(serve, timeout=60.0)
    assert isinstance(answer, Fault)
    assert (answer.error_kind, answer.resends) == ("bad_response", 1)
    assert sent < 2 * module.MOST_BODY_BYTES


def test_an_error_is_read_as_far_as_its_words_go_and_judged_by_its_status():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b'HTTP/1.1 401 x\r\n\r\n{"error":"no"}')
        while True:
            writer.write(b" " * 2**16)
            await writer.drain()

    (answer,) = posts(serve)
    assert isinstance(answer, Response)
    assert answer.status == 401
    assert len(answer.body) == module.MOST_ERROR_BYTES
    (declared,) = posts(saying(b"HTTP/1.1 500 x\r\nContent-Length: 9999999999\r\n\r\noops"))
    assert isinstance(declared, Response)
    assert (declared.status, declared.body) == (500, b"oops")


def test_a_header_that_holds_the_key_is_not_quoted():
    (fault,) = posts(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: canary-key\r\n\r\n??"))
    assert isinstance(fault, Fault)
    assert "canary" not in repr(fault)
    assert "content-encoding" in fault.message


def test_tls_is_new_enough_and_certificates_are_checked():
    terms = module.tls_context()
    assert terms.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (terms.verify_mode, terms.check_hostname) == (ssl.CERT_REQUIRED, True)
