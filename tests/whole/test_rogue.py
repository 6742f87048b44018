"""The rogue server does what its script says, byte by byte, and its book says what happened: the trials rest on it."""

import asyncio
import time

import pytest

from tests.whole.faults.pace import PER_MINUTE, Bucket, Sliding, Window
from tests.whole.faults.refusals import FORMS, ON_THE_WAY_S, Limiter
from tests.whole.faults.rogue import Answer, Asked, Framing, Rogue, Script, Then, completion

pytestmark = pytest.mark.network


def post(digest: str) -> bytes:
    body = f"digest:{digest}".encode()
    return b"POST /v1/x HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def said(server: Rogue, *requests: bytes, wait: float = 0.0) -> bytes:
    """Send requests on one connection, waiting before each, and give all that comes until it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    heard = b""
    try:
        for request in requests:
            await asyncio.sleep(wait)
            writer.write(request)
        async with asyncio.timeout(0.5):
            while chunk := await reader.read(65536):
                heard += chunk
    except TimeoutError:
        pass
    finally:
        writer.close()
    return heard


@pytest.mark.parametrize("then", [Then.CLOSE, Then.RESET])
@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("cut", [0, 1, 399])
def test_a_body_is_cut_at_its_byte(framing: Framing, then: Then, cut: int) -> None:
    body = completion("abc", size=400)
    with Rogue(lambda _: Answer(body=body, framing=framing, then=then, cut=cut)) as server:
        heard = b""

        async def hear() -> None:
            nonlocal heard
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
            writer.write(post("abc"))
            while chunk := await reader.read(65536):
                heard += chunk

        if then is Then.RESET:
            with pytest.raises(ConnectionResetError):
                asyncio.run(hear())
        else:
            asyncio.run(hear())
    sent = heard.partition(b"\r\n\r\n")[2].removeprefix(b"190\r\n")
    assert len(body) == 400
    assert sent == body[:cut]
    assert server.truth.served.total() == 0


def test_the_book_tells_first_sends_from_later_ones_and_fresh_connections_from_used_ones() -> None:
    with Rogue(lambda asked: Answer() if asked.nth == 2 else Answer(500, b"")) as server:
        asyncio.run(said(server, post("a"), post("a"), post("b"), wait=0.05))
        asyncio.run(said(server, post("b")))
    assert [(each.digest, each.nth, each.used, each.status) for each in server.truth.asked] == [
        ("a", 1, 0, 500),
        ("a", 2, 1, 200),
        ("b", 1, 2, 500),
        ("b", 2, 0, 200),
    ]
    assert server.truth.served == {"a": 1, "b": 1}
    assert (server.truth.accepted, server.truth.most_connections) == (2, 1)


def test_what_is_never_answered_is_in_flight_until_the_client_goes() -> None:
    with Rogue(lambda _: None) as server:

        async def hang() -> int:
            async with asyncio.TaskGroup() as group:
                for name in "abc":
                    group.create_task(said(server, post(name)))
                await asyncio.sleep(0.2)
                return server.truth.in_flight

        assert asyncio.run(hang()) == 3
        until = time.monotonic() + 5
        while server.truth.in_flight and time.monotonic() < until:
            time.sleep(0.01)
        assert (server.truth.in_flight, server.truth.most_in_flight) == (0, 3)


def test_it_can_be_gone_and_come_back_at_the_same_place() -> None:
    with Rogue(lambda _: Answer()) as server:
        server.refuse()
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(said(server, post("a")))
        server.listen()
        assert asyncio.run(said(server, post("a"))).startswith(b"HTTP/1.1 200")


def test_a_script_that_breaks_breaks_the_trial() -> None:
    def broken(_: Asked) -> Answer:
        raise ZeroDivisionError

    with pytest.raises(AssertionError, match="ZeroDivisionError"), Rogue(broken) as server:
        asyncio.run(said(server, post("a")))


@pytest.mark.parametrize("form", FORMS)
def test_who_comes_before_the_named_time_is_seen(form: str) -> None:
    """The negative control of the trial that counts them."""
    limiter = Limiter(FORMS[form], 1.0, every=100, due=0)
    hasty, later = ON_THE_WAY_S + 0.05, 2.5
    answers = [limiter(Asked(number, "a", 1, at, 0)) for number, at in enumerate((0.0, 0.05, hasty, later))]
    # A date names whole seconds, so that its time may have come already.
    assert limiter.sent_before_the_time == 1 or ("date" in form and limiter.sent_before_the_time == 0)
    assert (answers[0].status, answers[-1].status) == (429, 200)


@pytest.mark.parametrize("manner", [Bucket, Window, Sliding])
def test_no_manner_grants_more_than_its_limit_to_one_who_asks_all_the_time(manner: type[Script]) -> None:
    limit, minutes = manner(), 5
    at = [number / 50 for number in range(50 * 60 * minutes)]
    granted = [each for number, each in enumerate(at) if limit(Asked(number, "a", 1, each, 0)).status == 200]
    by_minute = [sum(minute * 60 <= each < (minute + 1) * 60 for each in granted) for minute in range(minutes)]
    burst = PER_MINUTE if manner is Bucket else 0
    assert by_minute[0] == pytest.approx(PER_MINUTE + burst, abs=1)
    assert by_minute[1:] == pytest.approx([PER_MINUTE] * (minutes - 1), abs=1)
