"""Through a proxy: what it is told, what it never sees, and how a row fares when it refuses."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from pipeline.core.types import Fault, FaultKind, Response
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport
from tests.engine.raw import BODY, OK, Serve, listening, read_request, request, run, saying
from tests.engine.test_tls import served_with

pytestmark = pytest.mark.network


@dataclass
class Proxy:
    """Forwards what CONNECT asks for, and answers plain requests itself; `seen` is all that reached it in the clear."""

    connect: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    seen: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"CONNECT"):
            while True:
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
                self.seen.append(head + await reader.readexactly(length))
                writer.write(OK)
                head = await reader.readuntil(b"\r\n\r\n")
        self.seen.append(head)
        writer.write(self.connect)
        if b" 200 " not in self.connect:
            writer.close()
            return
        host, port = head.split()[1].decode().split(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(reader, there_writer))
            group.create_task(self._pump(there_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            writer.write(data)
        writer.close()


def through(proxy: Proxy, serve: Serve, *, scheme: str, times: int = 1, login: str = "", **how: object) -> list[Response | Fault]:
    ca_file = how.pop("ca_file", None)
    assert ca_file is None or isinstance(ca_file, str)

    async def main() -> list[Response | Fault]:
        async with listening(proxy.serve) as at, listening(serve, **how) as port:
            settings = TransportSettings(5.0, "rowcall/test", proxy=f"http://{login}127.0.0.1:{at}", ca_file=ca_file)
            async with HttpTransport(settings) as http:
                return [await http.post(request(port, scheme=scheme)) for _ in range(times)]

    answers: list[Response | Fault] = run(main())
    return answers


def test_a_plain_request_is_given_to_the_proxy_with_its_whole_address_and_the_proxys_password():
    proxy = Proxy()
    answers = through(proxy, saying(OK), scheme="http", times=2, login="user:secret@")
    assert all(isinstance(each, Response) for each in answers)
    for each in proxy.seen:
        assert each.startswith(b"POST http://127.0.0.1:")
        assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in each
        assert each.endswith(BODY)


def test_a_proxy_is_told_its_password_also_under_a_key_that_changed_in_place():
    proxy = Proxy()

    async def main() -> None:
        async with listening(proxy.serve) as at:
            settings = TransportSettings(5.0, "rowcall/test", proxy=f"http://user:secret@127.0.0.1:{at}")
            async with HttpTransport(settings) as http:
                sent = request(9)
                for key in ("old", "new"):
                    sent.headers["authorization"] = f"Bearer {key}"  # type: ignore[index]
                    await http.post(sent)

    run(main())
    assert [b"Bearer new" in each for each in proxy.seen] == [False, True]
    assert all(b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in each for each in proxy.seen)


def test_over_tls_the_proxy_sees_neither_key_nor_prompt_and_the_server_not_the_proxys_password(tmp_path: Path):
    authority, proxy, served = trustme.CA(), Proxy(), []
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                served.append(await read_request(reader))
                writer.write(OK)

    tls = served_with(authority.issue_cert("127.0.0.1"))
    how = {"ca_file": str(tmp_path / "authority.pem"), "ssl": tls}
    answers = through(proxy, serve, scheme="https", times=2, login="user:secret@", **how)
    assert all(isinstance(each, Response) for each in answers), answers
    (tunnel,) = proxy.seen
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in tunnel
    assert b"User-Agent: rowcall/test" in tunnel
    assert b"canary" not in tunnel
    assert len(served) == 2
    assert all(each.startswith(b"POST /v1 HTTP/1.1\r\n") and b"roxy-" not in each for each in served)


@pytest.mark.parametrize(("status", "kind"), [(407, FaultKind.FATAL), (502, FaultKind.DOWN)])
def test_a_proxy_that_will_not_connect_is_told_from_the_endpoint(status: int, kind: FaultKind):
    proxy = Proxy(connect=b"HTTP/1.1 %d no\r\nContent-Length: 0\r\n\r\n" % status)
    (answer,) = through(proxy, saying(OK), scheme="https")
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind, answer.ambiguous) == (kind, "connection", False)
    assert f"the proxy refused the connection ({status})" in answer.message


def test_a_proxy_that_speaks_no_http_costs_nothing():
    (answer,) = through(Proxy(connect=b"nonsense\r\n\r\n"), saying(OK), scheme="https")
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.error_kind, answer.ambiguous) == (FaultKind.TRANSIENT, "connection", False)
