"""Tries, and the wait for a host or a network that gives nobody a picture, in virtual time."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from pipeline.core.errors import BadRowError, StoppedError
from pipeline.engine.fetch import TRIES, PictureFetch
from pipeline.engine.picture import Trouble
from tests.fakes import VirtualLoop, run_virtual, virtual_clock

Answer = bytes | str | float
DOWN, BROKEN = "down", "broken"


@dataclass
class Web:
    """Answers as `script(host, path, nth try of that URL, time)` says: a picture, DOWN, BROKEN, a hint, or 404 as "404"."""

    script: Callable[[str, str, int, float], Answer]
    latency: float = 0.2
    asked: list[tuple[float, str]] = field(default_factory=list)
    nth: Counter[str] = field(default_factory=Counter)
    notices: list[str] = field(default_factory=list)
    fetch: PictureFetch | None = None

    async def get(self, address: str) -> bytes | Trouble:
        began = asyncio.get_running_loop().time()
        self.asked.append((began, address))
        self.nth[address] += 1
        host, _, path = address.removeprefix("https://").partition("/")
        answer = self.script(host, path, self.nth[address], began)
        await asyncio.sleep(self.latency)
        if isinstance(answer, float):
            return Trouble(host, "it answers 429", began, certain=True, retry_after=answer)
        if answer == DOWN:
            return Trouble(host, "cannot connect", began, unreachable=True, certain=True)
        if answer == BROKEN:
            return Trouble(host, "it answers 503", began)
        assert self.fetch is not None
        self.fetch.answered(host, address)
        if isinstance(answer, str):
            raise BadRowError(f"it answers {answer}")
        return answer


@dataclass
class Seen:
    web: Web
    ends: dict[str, tuple[float, str]]

    @property
    def failed(self) -> dict[str, str]:
        return {url: end for url, (_, end) in self.ends.items() if end != "ok"}


def play(web: Web, urls: list[str], *, at_once: int = 8, longest: float = 3600.0, pause: float = 0.0) -> Seen:
    """Fetch them all, `at_once` at a time, `pause` seconds between two of one worker; the first StoppedError ends it."""
    ends: dict[str, tuple[float, str]] = {}

    async def main(loop: VirtualLoop) -> None:
        clock = virtual_clock(loop)
        fetch = web.fetch = PictureFetch(web.get, longest=longest, now=clock.now, draw=clock.draw, notice=web.notices.append)
        left = iter(urls)

        async def work() -> None:
            for url in left:
                try:
                    await fetch(url)
                    ends[url] = loop.time(), "ok"
                except BadRowError as error:
                    ends[url] = loop.time(), str(error)
                await asyncio.sleep(pause)

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())

    try:
        run_virtual(main)
    except* StoppedError as errors:
        ends["stopped"] = 0.0, str(errors.exceptions[0])
    return Seen(web, ends)


def urls(host: str, number: int) -> list[str]:
    return [f"https://{host}/{each}.png" for each in range(number)]


def test_a_try_that_fails_in_passing_is_followed_by_another_a_second_later() -> None:
    seen = play(Web(lambda host, path, nth, now: BROKEN if nth < TRIES else b"x"), urls("a", 1))
    assert not seen.failed
    (first, _), (second, _), (third, _) = seen.web.asked
    assert 0.5 <= second - first - 0.2 <= 1.0
    assert 1.0 <= third - second - 0.2 <= 2.0


def test_a_picture_that_always_fails_is_given_up_after_three_tries_and_says_which_host_and_what() -> None:
    seen = play(Web(lambda host, path, nth, now: BROKEN), urls("cdn.example", 1))
    assert seen.failed == {"https://cdn.example/0.png": "https://cdn.example/…: it answers 503"}
    assert len(seen.web.asked) == TRIES


def test_a_picture_that_is_not_there_costs_one_try() -> None:
    seen = play(Web(lambda host, path, nth, now: "404"), urls("a", 1))
    assert len(seen.web.asked) == 1


def test_a_hint_is_heeded_up_to_half_a_minute() -> None:
    seen = play(Web(lambda host, path, nth, now: 20.0 if nth == 1 else b"x"), urls("a", 1))
    assert seen.web.asked[1][0] == pytest.approx(20.2)
    assert not seen.failed
    seen = play(Web(lambda host, path, nth, now: 31.0 if nth == 1 else b"x"), urls("a", 1))
    assert len(seen.web.asked) == 1
    assert seen.failed


@pytest.mark.parametrize("how", [DOWN, BROKEN, 1.0])
def test_an_outage_of_a_host_that_had_given_pictures_fails_no_row_and_few_questions_are_asked(how: Answer) -> None:
    out = (5.0, 605.0)
    seen = play(Web(lambda host, path, nth, now: how if out[0] <= now < out[1] else b"x"), urls("a", 600))
    assert not seen.failed
    meanwhile = [at for at, _ in seen.web.asked if out[0] <= at < out[1]]
    assert len(meanwhile) < 8 * TRIES + 2 * 600 / 15 + 5
    turns = sorted(at for at in meanwhile if at > 100.0)[::2]  # the witness, and who waits
    assert min(later - at for at, later in pairwise(turns)) > 5.0
    assert [each.split(" (")[0] for each in seen.web.notices] == [
        "no picture can be fetched from a",
        seen.web.notices[1],
    ]
    assert seen.web.notices[1].startswith("pictures can be fetched again from a, after 6")


def test_one_question_is_asked_at_a_time_and_by_turns() -> None:
    seen = play(Web(lambda host, path, nth, now: DOWN if 5.0 <= now < 605.0 else b"x"), urls("a", 600))
    late = [url for at, url in seen.web.asked if 100.0 < at < 605.0]
    assert len(set(late)) == 9  # the witness, too


def test_an_outage_past_the_longest_stops_the_run_and_fails_nothing() -> None:
    seen = play(Web(lambda host, path, nth, now: DOWN if now > 5.0 else b"x"), urls("a.example", 600), longest=600.0)
    assert list(seen.failed) == ["stopped"]
    assert seen.failed["stopped"] == "pictures cannot be fetched from a.example for 10 minutes now (cannot connect)"
    assert 605.0 < seen.web.asked[-1][0] < 640.0


def test_a_picture_that_always_fails_does_so_alone_while_its_host_gives_others() -> None:
    seen = play(Web(lambda host, path, nth, now: BROKEN if path == "7.png" else b"x"), urls("a", 200), pause=0.3)
    assert list(seen.failed) == ["https://a/7.png"]
    assert max(at for at, _ in seen.ends.values()) < 60.0


def test_the_last_picture_is_given_up_within_minutes_though_nobody_else_asks_its_host_any_more() -> None:
    seen = play(Web(lambda host, path, nth, now: BROKEN if path == "9.png" else b"x"), urls("a", 10), at_once=1)
    assert list(seen.failed) == ["https://a/9.png"]
    assert seen.ends["https://a/9.png"][0] < 60.0


def test_other_hosts_go_on_while_one_is_down_as_long_as_workers_are_left() -> None:
    mixed = urls("a", 3) + urls("b", 300)

    def script(host: str, path: str, nth: int, now: float) -> Answer:
        return DOWN if host == "a" and 0.1 < now < 900.0 else b"x"

    seen = play(Web(script), [*urls("a", 1), *mixed])
    assert not seen.failed
    assert max(seen.ends[url][0] for url in urls("b", 300)) < 30.0


def test_a_network_that_is_unplugged_fails_no_row_not_even_at_the_start() -> None:
    many = [f"https://host-{number}/x.png" for number in range(100)]
    seen = play(Web(lambda host, path, nth, now: DOWN if now < 300.0 else b"x"), many)
    assert not seen.failed
    assert len([at for at, _ in seen.web.asked if at < 300.0]) < 8 * TRIES + 40


def test_hosts_that_are_gone_fail_at_once_while_others_answer() -> None:
    many = [f"https://host-{number}/x.png" for number in range(300)]

    def script(host: str, path: str, nth: int, now: float) -> Answer:
        return DOWN if int(host.partition("-")[2]) % 5 == 0 else b"x"

    seen = play(Web(script), many)
    assert len(seen.failed) == 60
    assert max(at for at, _ in seen.ends.values()) < 120.0


def test_a_single_host_that_was_never_there_fails_its_rows_within_a_minute() -> None:
    seen = play(Web(lambda host, path, nth, now: DOWN), urls("a", 8))
    assert len(seen.failed) == 8
    assert max(at for at, _ in seen.ends.values()) < 60.0


def test_a_host_that_comes_and_goes_does_not_keep_a_picture_for_ever() -> None:
    seen = play(
        Web(lambda host, path, nth, now: BROKEN if path == "0.png" or int(now / 50) % 2 else b"x"), urls("a", 400), pause=3
    )
    assert set(seen.failed) <= {"https://a/0.png"}
    assert len(seen.ends) == 400


@pytest.mark.parametrize("how", [DOWN, BROKEN])
def test_workers_who_all_hold_pictures_that_always_fail_find_out_that_it_is_no_outage(how: Answer) -> None:
    def script(host: str, path: str, nth: int, now: float) -> Answer:
        return how if 100 <= int(path.partition(".")[0]) < 120 else b"x"

    seen = play(Web(script), urls("a", 200))
    assert len(seen.failed) == 20
    assert "stopped" not in seen.failed
    assert max(at for at, _ in seen.ends.values()) < 120.0


def test_out_of_descriptors_is_nobodys_fault_and_stops_the_run() -> None:
    async def get(address: str) -> bytes | Trouble:
        return Trouble("a", "EMFILE (too many open files)", 0.0, local=True)

    async def main(loop: VirtualLoop) -> None:
        await PictureFetch(get, longest=60.0, now=loop.time)("https://a/x")

    with pytest.raises(StoppedError, match="EMFILE"):
        run_virtual(main)
