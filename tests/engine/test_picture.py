"""One try to fetch a picture: what it asks, and where it cannot be led. A listener on loopback counts who reaches it."""

import asyncio
import gzip
import re
import ssl
from typing import Any

import pytest
import trustme

from pipeline.core.errors import BadRowError
from pipeline.engine.fetch import fetching
from pipeline.engine.picture import PictureClient, Places, Trouble
from tests.engine.raw import Serve, listening, run
from tests.engine.web import OUTSIDE, PNG, Names, answering, by_path, counting, loopback_too, only_outside, outside, settings

pytestmark = pytest.mark.network
AUTHORITY = trustme.CA()


def got(serve: Serve, path: str = "/cat.png", *, names: Names | None = None, **changes: Any) -> bytes | Trouble | str:
    """Fetch from a server on loopback, by the permission that only tests have; a bad row is its reason."""

    async def main() -> bytes | Trouble | str:
        async with listening(serve) as port:
            told = settings(port, allowed=loopback_too, **changes)
            async with PictureClient(told, resolver=names) as client:
                try:
                    return await client.get(f"http://127.0.0.1:{port}{path}")
                except BadRowError as error:
                    return str(error)

    answer: bytes | Trouble | str = run(main())
    return answer


def attacked(url: str, *, names: Names | None = None, allow_port: bool = True) -> tuple[list[Any], str | Trouble]:
    """Fetch `url` with PORT in it replaced by a loopback listener's; give who reached that, and why it failed."""
    seen: list[Any] = []

    async def main() -> str | Trouble:
        async with counting(seen) as port:
            told = settings(*([port] if allow_port else []))
            async with PictureClient(told, resolver=names) as client:
                try:
                    answer = await client.get(url.replace("PORT", str(port)))
                except BadRowError as error:
                    return str(error)
                assert isinstance(answer, Trouble)
                return answer

    reason = run(main())
    return seen, reason


def test_the_listener_sees_who_reaches_it() -> None:
    seen: list[Any] = []

    async def main() -> None:
        async with counting(seen) as port, PictureClient(settings(port, allowed=loopback_too)) as client:
            await client.get(f"http://127.0.0.1:{port}/")

    run(main())
    assert seen


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:PORT/",
        "http://127.0.0.2:PORT/",
        "http://127.1:PORT/",
        "http://127.0.0.1.:PORT/",
        "http://0.0.0.0:PORT/",
        "http://0:PORT/",
        "http://2130706433:PORT/",
        "http://0x7f.1:PORT/",
        "http://0x7f000001:PORT/",
        "http://0177.0.0.1:PORT/",
        "http://017700000001:PORT/",
        "http://１２７.0.0.1:PORT/",
        "http://①②⑦.0.0.1:PORT/",
        "http://127。0。0。1:PORT/",
        "http://%31%32%37.0.0.1:PORT/",
        "http://localhost:PORT/",
        "http://LOCALHOST:PORT/",
        "http://localhost.:PORT/",
        "http://loc%61lhost:PORT/",
        "http://ⓛocalhost:PORT/",
        "http://[::1]:PORT/",
        "http://[::]:PORT/",
        "http://[::ffff:127.0.0.1]:PORT/",
        "http://[::ffff:7f00:1]:PORT/",
        "http://[::127.0.0.1]:PORT/",
        "http://[::ffff:0:127.0.0.1]:PORT/",
        "http://[64:ff9b::127.0.0.1]:PORT/",
        "http://[2002:7f00:1::]:PORT/",
        "http://[2001:0:7f00:1::]:PORT/",
        "http://[::1%25lo]:PORT/",
        "http://[fe80::1%25lo]:PORT/",
        "http://[::1%lo]:PORT/",
        "http://user:pass@127.0.0.1:PORT/",
        "http://public.example@127.0.0.1:PORT/",
        "http://public.example\\@127.0.0.1:PORT/",
        "http://public.example#@127.0.0.1:PORT/",
        "http://127.0.0.1:PORT#@public.example/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "ftp://127.0.0.1:PORT/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:PORT/_x",
        "http:127.0.0.1:PORT/",
        "http:///127.0.0.1:PORT/",
        "//127.0.0.1:PORT/",
        "http://[::1",
        "http://[::1]@/",
        "http://127.0.0.1:99999/",
        "",
    ],
)
def test_no_spelling_of_an_address_leads_to_what_is_not_public(url: str) -> None:
    names = Names({"localhost": [["127.0.0.1", "::1"]], "localhost.": [["127.0.0.1"]], "127.0.0.1.": [["127.0.0.1"]]})
    seen, reason = attacked(url, names=names)
    assert seen == []
    assert isinstance(reason, str) or reason.unreachable


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "0.0.0.0", "10.1.2.3", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1"]
)
def test_a_name_that_stands_for_such_an_address_is_refused_at_the_socket(address: str) -> None:
    seen, reason = attacked("http://rebound.example:PORT/?token=secret", names=Names({"rebound.example": [[address]]}))
    assert seen == []
    assert reason == "http://rebound.example/…: this address, or the one that the name stands for, is not public"


def test_several_such_addresses_are_refused_as_one_is() -> None:
    names = Names({"many.example": [["127.0.0.1", "10.0.0.1", "::1", "169.254.169.254"]]})
    seen, reason = attacked("http://many.example:PORT/", names=names)
    assert seen == []
    assert isinstance(reason, str)
    assert "not public" in reason


def test_a_port_of_another_service_is_not_asked() -> None:
    seen, reason = attacked("http://public.example:PORT/", allow_port=False, names=Names({"public.example": [["127.0.0.1"]]}))
    assert seen == []
    assert reason == "http://public.example/…: only the ports 80 and 443 are fetched from"


def test_of_several_addresses_one_that_is_not_allowed_is_not_tried_and_the_others_are() -> None:
    def only_the_second(address: str) -> bool:
        return address == "127.0.0.2"

    tried: list[str] = []

    async def main() -> bytes | Trouble:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tried.append(writer.get_extra_info("sockname")[0])
            await answering("200 OK", PNG)(reader, writer)

        server = await asyncio.start_server(serve, "0.0.0.0", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            told = settings(port, allowed=only_the_second)
            names = Names({"two.example": [["127.0.0.1", "127.0.0.2", "127.0.0.3"]]})
            async with PictureClient(told, resolver=names) as client:
                return await client.get(f"http://two.example:{port}/")

    assert run(main(), loop="asyncio") == PNG
    assert tried == ["127.0.0.2"]


@pytest.mark.parametrize("second", ["127.0.0.1", "::1"])
def test_a_name_that_was_public_when_first_asked_for_is_looked_at_again_when_it_is_connected_to(second: str) -> None:
    reached: list[Any] = []
    names = Names({"rebound.example": [[OUTSIDE], [second]]})

    async def main() -> str:
        async with counting(reached) as inside:
            # Another port, and so another look-up.
            leading = answering(f"302 Found\nLocation: http://rebound.example:{inside}/")
            async with (
                outside(leading) as port,
                PictureClient(settings(port, inside, allowed=only_outside), resolver=names) as client,
            ):
                with pytest.raises(BadRowError) as raised:
                    await client.get(f"http://rebound.example:{port}/")
                return str(raised.value)

    assert "not public" in run(main())
    assert names.asked == ["rebound.example"] * 2
    assert reached == []


REDIRECTS = [
    ("http://127.0.0.1:PORT/", "loopback"),
    ("http://169.254.169.254/latest/meta-data", "metadata"),
    ("//127.0.0.1:PORT/", "scheme-relative"),
    ("http://2130706433:PORT/", "decimal"),
    ("http://[::1]:PORT/", "loopback-6"),
    ("http://[::ffff:127.0.0.1]:PORT/", "mapped"),
    ("http://localhost:PORT/", "by-name"),
    ("file:///etc/passwd", "file"),
    ("ftp://127.0.0.1:PORT/", "ftp"),
    ("gopher://127.0.0.1:PORT/", "gopher"),
    ("data:image/png;base64,AAAA", "data"),
    ("http://user:secret@127.0.0.1:PORT/", "userinfo"),
    ("http://127.0.0.1:22/", "port"),
    ("http://[::1", "broken"),
    ("http://[::1]@/", "login-alone"),
    ("http://127.0.0.1:PORT/%0d%0aHost:%20evil", "line-break"),
    ("", "empty"),
]


@pytest.mark.parametrize("location", [pytest.param(each, id=name) for each, name in REDIRECTS])
def test_a_redirect_leads_nowhere_that_a_url_may_not(location: str) -> None:
    reached: list[Any] = []

    names = Names({"public.example": [[OUTSIDE]], "localhost": [["127.0.0.1"]]})

    async def main() -> str:
        async with counting(reached) as inside:
            leading = answering(f"302 Found\nLocation: {location.replace('PORT', str(inside))}")
            async with (
                outside(leading) as port,
                PictureClient(settings(port, inside, allowed=only_outside), resolver=names) as client,
            ):
                with pytest.raises(BadRowError) as raised:
                    await client.get(f"http://public.example:{port}/cat.png")
                return str(raised.value)

    reason = run(main())
    assert reached == []
    assert "secret" not in reason
    assert re.search(r"redirects|not public|only the ports", reason)


def test_redirects_are_followed_three_times_and_no_more() -> None:
    hops = {f"/{nth}": (f"302 Found\nLocation: {nth + 1}?token=secret", b"x" * 1000) for nth in range(9)}
    paths = {**hops, **{f"/{nth}?token=secret": answer for nth, answer in enumerate(hops.values())}}
    good = {**paths, "/3?token=secret": ("200 OK", PNG)}
    assert got(by_path(good), "/0") == PNG
    seen: list[str] = []
    reason = got(by_path(paths, seen=seen), "/0")
    assert reason == "http://127.0.0.1/…: more than 3 redirects lead here and on"
    assert len(seen) == 4


def test_a_loop_of_redirects_ends() -> None:
    assert "more than 3 redirects" in str(got(answering("301 Moved\nLocation: /cat.png")))


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    async def main() -> str:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert("127.0.0.1").configure_cert(tls)
        with AUTHORITY.cert_pem.tempfile() as ca_file:
            reached: list[Any] = []
            async with (
                counting(reached) as plain,
                listening(answering(f"302 Found\nLocation: http://127.0.0.1:{plain}/"), ssl=tls) as port,
                PictureClient(settings(port, plain, allowed=loopback_too), ca_file=ca_file) as client,
            ):
                with pytest.raises(BadRowError) as raised:
                    await client.get(f"https://127.0.0.1:{port}/")
                assert reached == []
                return str(raised.value)

    assert "from https to http" in run(main())


def test_a_certificate_that_nobody_vouches_for_is_not_believed_and_not_asked_again() -> None:
    async def main() -> bytes | Trouble:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert("127.0.0.1").configure_cert(tls)
        serving = listening(answering("200 OK", PNG), ssl=tls)
        async with serving as port, PictureClient(settings(port, allowed=loopback_too)) as client:
            return await client.get(f"https://127.0.0.1:{port}/")

    answer = run(main())
    assert isinstance(answer, Trouble)
    assert "certificate is not trusted" in answer.reason
    assert not answer.again


def test_a_request_says_who_asks_and_carries_nothing_else_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen: list[bytes] = []

    async def main() -> None:
        serving = listening(answering("200 OK\nSet-Cookie: session=canary; Path=/", PNG, seen=seen))
        async with serving as port, PictureClient(settings(port, allowed=loopback_too)) as client:
            for _ in range(2):
                assert await client.get(f"http://127.0.0.1:{port}/a%2Fb.png?sig=x%2By") == PNG

    run(main())
    first, second = seen
    assert first == second
    lines = first.decode().split("\r\n")
    assert lines[0] == "GET /a%2Fb.png?sig=x%2By HTTP/1.1"
    assert sorted(line.partition(":")[0].lower() for line in lines[1:] if line) == [
        "accept",
        "accept-encoding",
        "host",
        "user-agent",
    ]
    assert "User-Agent: rowcall/test" in lines


# -- bodies


def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
    async def serve() -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"\0" * 65536)
            await writer.drain()

    return serve()


def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
    async def serve() -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"\0")
            await asyncio.sleep(0.02)

    return serve()


def cut(head: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        writer.close()

    return serve


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        pytest.param(endless, "larger than 20 MB", id="endless"),
        pytest.param(answering("200 OK\nContent-Length: 10000000000", PNG), "larger than 20 MB", id="10-GB"),
        pytest.param(answering("404 Not Found", b"x" * 100_000), "it answers 404", id="404"),
        pytest.param(answering("403 Forbidden"), "it answers 403", id="403"),
        pytest.param(answering("204 No Content\nX: y"), "it answers 204", id="204"),
        pytest.param(answering("206 Partial Content", PNG), "it answers 206", id="part"),
        pytest.param(answering("304 Not Modified\nX: y"), "it answers 304", id="304"),
        pytest.param(answering("302 Found"), "it answers 302", id="redirect-to-nowhere"),
        pytest.param(
            answering("200 OK\nContent-Encoding: gzip", gzip.compress(b"\0" * 30_000_000)), "larger than 20", id="gzip-bomb"
        ),
        pytest.param(answering("200 OK\nContent-Encoding: gzip", b"\x1f\x8b\x08junk"), "cannot be unpacked", id="gzip-junk"),
        pytest.param(answering("200 OK\nContent-Encoding: rot13", PNG), "cannot be unpacked", id="unknown-coding"),
    ],
)
def test_an_answer_that_is_no_picture_to_send_is_a_bad_row_that_says_so(serve: Serve, words: str) -> None:
    reason = got(serve)
    assert isinstance(reason, str)
    assert reason.startswith("http://127.0.0.1/…: ")
    assert words in reason


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        pytest.param(drip, "longer than 0.3 s", id="drip"),
        pytest.param(cut(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + PNG), "cut short", id="closed-half-way"),
        pytest.param(cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123"), "cut short", id="chunk-cut"),
        pytest.param(cut(b""), "connection was closed", id="no-answer"),
        pytest.param(cut(b"\x89PNG\r\n\r\n"), "not valid HTTP", id="no-http"),
        pytest.param(answering("503 Service Unavailable"), "it answers 503", id="503"),
        pytest.param(answering("429 Too Many\nRetry-After: 7"), "it answers 429", id="429"),
    ],
)
def test_what_may_pass_is_trouble_and_may_be_tried_again(serve: Serve, words: str) -> None:
    answer = got(serve, total=0.3)
    assert isinstance(answer, Trouble)
    assert words in answer.reason
    assert answer.again
    assert not answer.unreachable
    assert answer.retry_after == (7.0 if "429" in words else None)


def test_a_picture_that_came_compressed_unasked_is_unpacked() -> None:
    assert got(answering("200 OK\nContent-Encoding: gzip", gzip.compress(PNG))) == PNG


def test_nobody_listening_is_nobody_there() -> None:
    async def main() -> bytes | Trouble:
        async with listening(cut(b"")) as port:
            pass
        async with PictureClient(settings(port, allowed=loopback_too)) as client:
            return await client.get(f"http://127.0.0.1:{port}/")

    answer = run(main())
    assert isinstance(answer, Trouble)
    assert answer.unreachable
    assert "ECONNREFUSED" in answer.reason


def test_a_name_that_does_not_exist_is_asked_for_once() -> None:
    seen, answer = attacked("http://nowhere.example:PORT/", names=Names({}))
    assert isinstance(answer, Trouble)
    assert (answer.unreachable, answer.again) == (True, False)
    assert seen == []


def test_of_one_host_only_so_many_are_asked_at_once() -> None:
    now, peak = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, peak
        while await reader.readuntil(b"\r\n\r\n"):
            now += 1
            peak = max(peak, now)
            await asyncio.sleep(0.01)
            now -= 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG)

    async def main() -> PictureClient:
        async with (
            listening(serve) as port,
            PictureClient(settings(port, allowed=loopback_too, per_host=3)) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(20):
                group.create_task(client.get(f"http://127.0.0.1:{port}/"))
        return client

    client = run(main())
    assert peak == 3
    assert len(client._places) == 0


def test_places_of_hosts_that_nobody_asks_are_forgotten() -> None:
    places = Places(2)
    with places.of("a"), places.of("a"), places.of("b"):
        assert len(places) == 2
    assert len(places) == 0


def test_fetching_hands_pictures_over_and_closes_its_connections() -> None:
    async def main() -> bytes:
        async with listening(answering("200 OK", PNG)) as port, fetching(settings(port, allowed=loopback_too)) as fetch:
            return await fetch(f"http://127.0.0.1:{port}/cat.png")

    assert run(main()) == PNG
