"""Scripts: what is read and what is refused, and which episode a request meets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ConfigError
from pipeline.simulate.script import Arrival, Player, Script, When, read_script
from pipeline.simulate.shapes import Style


def script(*episodes: object) -> Script:
    return read_script({"episodes": list(episodes)}, "night.yaml")


def arrival(
    number: int = 1, *, at: float = 0.0, text: str = "hi", send: int = 1, style: Style = Style.OPENAI, reused: bool = True
):
    return Arrival(number, at, style, text, send, reused)


def struck(player: Player, *arrivals: Arrival) -> list[str | None]:
    found = [player.strike(each) for each in arrivals]
    return [each.episode if each else None for each in found]


WHEN = [
    pytest.param({}, When(), id="always"),
    pytest.param({"from_s": 30, "until_s": 90.5}, When(start=30.0, until=90.5), id="seconds"),
    pytest.param({"requests": 7}, When(numbers=(7, 7)), id="one"),
    pytest.param({"requests": "500-"}, When(numbers=(500, math.inf)), id="from"),
    pytest.param({"requests": "-20"}, When(numbers=(1, 20)), id="to"),
    pytest.param({"requests": "100-200"}, When(numbers=(100, 200)), id="range"),
    pytest.param({"every": 10}, When(every=10), id="every"),
    pytest.param({"share": 0.1}, When(share=0.1), id="share"),
    pytest.param({"prompt_contains": "cursed"}, When(text="cursed"), id="text"),
    pytest.param({"first_sends": 2}, When(sends=2), id="first sends"),
    pytest.param({"style": "segmind"}, When(style=Style.SEGMIND), id="style"),
]


@pytest.mark.parametrize(("raw", "expected"), WHEN)
def test_conditions_are_read(raw: object, expected: When) -> None:
    (episode,) = script({"when": raw, "then": "hang"}).episodes
    assert episode.when == expected


@pytest.mark.parametrize(
    ("then", "name", "given_"),
    [
        pytest.param("hang", "hang", {}, id="name"),
        pytest.param(429, "429", {}, id="status"),
        pytest.param({"fault": "cut", "at": 0.5}, "cut", {"at": 0.5}, id="share"),
        pytest.param({"fault": "cut", "at": 0}, "cut", {"at": 0}, id="byte"),
        pytest.param({"fault": 503, "body": {"a": [1]}}, "503", {"body": b'{"a":[1]}'}, id="body as keys"),
        pytest.param({"fault": "raw", "bytes": "\xff\r\n"}, "raw", {"bytes": b"\xff\r\n"}, id="bytes"),
        pytest.param({"fault": 429, "headers": {"X-A": 1}}, "429", {"headers": {"X-A": "1"}}, id="headers"),
    ],
)
def test_faults_are_read(then: object, name: str, given_: object) -> None:
    (episode,) = script({"then": then}).episodes
    assert (episode.fault.name, episode.given) == (name, given_)
    assert episode.name == f"1 {name}"


MISTAKES = [
    pytest.param(None, ["night.yaml: found nothing", "episodes"], id="empty file"),
    pytest.param([], ["night.yaml: found an empty list", "episodes"], id="a list"),
    pytest.param({}, ["night.yaml: episodes: is required"], id="no episodes"),
    pytest.param({"episodes": []}, ["night.yaml: episodes: is required"], id="none of them"),
    pytest.param({"episodes": "hang"}, ["night.yaml.episodes: found 'hang'", "a list"], id="no list"),
    pytest.param({"episode": []}, ["night.yaml.episode: unknown key; did you mean episodes"], id="misspelt"),
    pytest.param({"episodes": ["hang"]}, ["night.yaml: episode 1: found 'hang'", "name, when, then"], id="no keys"),
    pytest.param({"episodes": [{"when": {}}]}, ["episode 1: then: is required"], id="nothing happens"),
    pytest.param(
        {"episodes": [{"then": "hang"}, {"then": "hnag"}]}, ["episode 2: then: no fault is called 'hnag'", "hang"], id="name"
    ),
    pytest.param({"episodes": [{"then": 200}]}, ["no fault is called '200'", "201 to 599"], id="200"),
    pytest.param({"episodes": [{"then": 99999999999999999999}]}, ["no fault is called"], id="no status"),
    pytest.param({"episodes": [{"then": True}]}, ["no fault is called 'True'"], id="true"),
    pytest.param({"episodes": [{"then": {"at": 1}}]}, ["episode 1: then: fault: is required"], id="no fault"),
    pytest.param({"episodes": [{"then": {"fault": "raw"}}]}, ["episode 1: then: raw.bytes: is required"], id="needed"),
    pytest.param({"episodes": [{"then": {"fault": "raw", "bytes": "☃"}}]}, ["raw.bytes: found '☃'", r"\xff"], id="no byte"),
    pytest.param(
        {"episodes": [{"then": {"fault": "cut", "att": 1}}]}, ["cut.att: unknown key; did you mean at"], id="fault's key"
    ),
    pytest.param({"episodes": [{"then": {"fault": "close", "at": 1}}]}, ["close.at: unknown key", "none"], id="takes no key"),
    pytest.param({"episodes": [{"then": {"fault": "cut", "at": 1.5}}]}, ["cut.at: found 1.5", "a share"], id="share above 1"),
    pytest.param({"episodes": [{"then": {"fault": "gzip_bomb", "megabytes": 10**6}}]}, ["from 1 to 1000"], id="too big a bomb"),
    pytest.param({"episodes": [{"then": {"fault": 429, "hint": "dat"}}]}, ["429.hint: found 'dat'", "date"], id="hint"),
    pytest.param(
        {"episodes": [{"then": {"fault": 429, "headers": {"X": "a\r\nY: b"}}}]},
        ["429.headers", "printable"],
        id="a header in a header",
    ),
    pytest.param({"episodes": [{"then": {"fault": "hang", "for_s": True}}]}, ["hang.for_s: found true", "number"], id="true"),
    pytest.param(
        {"episodes": [{"when": "always", "then": 500}]}, ["episode 1.when: found 'always'", "from_s"], id="when is text"
    ),
    pytest.param(
        {"episodes": [{"when": {"form_s": 1}, "then": 500}]},
        ["episode 1: when.form_s: unknown key; did you mean from_s"],
        id="when",
    ),
    pytest.param({"episodes": [{"when": {"from_s": -1}, "then": 500}]}, ["when.from_s: found -1", "at least 0"], id="negative"),
    pytest.param({"episodes": [{"when": {"from_s": math.nan}, "then": 500}]}, ["when.from_s: found nan"], id="nan"),
    pytest.param(
        {"episodes": [{"when": {"from_s": 5, "until_s": 5}, "then": 500}]}, ["until_s 5 must come after from_s 5"], id="no time"
    ),
    *[
        pytest.param({"episodes": [{"when": {"requests": each}, "then": 500}]}, ["when.requests", "500-"], id=f"requests {each}")
        for each in (0, "0-", "-", "", "5-3", "a", 1.5, True, None, "-0")
    ],
    pytest.param({"episodes": [{"when": {"share": 2}, "then": 500}]}, ["when.share: found 2", "0 to 1"], id="share"),
    pytest.param({"episodes": [{"when": {"every": 0}, "then": 500}]}, ["when.every: found 0"], id="every"),
    pytest.param({"episodes": [{"when": {"style": "azure"}, "then": 500}]}, ["when.style", "openai, segmind"], id="style"),
    pytest.param(
        {"episodes": [{"name": "x", "then": 500}, {"name": "x", "then": 502}]}, ["two episodes are called 'x'"], id="same name"
    ),
]


@pytest.mark.parametrize(("raw", "named"), MISTAKES)
def test_a_mistake_names_file_and_key_and_what_is_allowed(raw: object, named: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        read_script(raw, "night.yaml")
    for each in named:
        assert each in str(refused.value)
    assert str(refused.value).startswith("night.yaml")


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        script({"when": {"shaer": 1, "every": 0}, "then": "hang"}, {"then": "hnag"}, {"then": {"fault": "raw", "end": "now"}})
    assert len(str(refused.value).splitlines()) == 5


def test_a_key_pasted_into_a_script_is_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        script({"then": {"fault": "hang", "for_s": "sk-canary4711abcdefghijklmnopqrst"}})
    assert "canary" not in str(refused.value)


def test_the_first_episode_that_applies_is_played() -> None:
    player = Player(script({"when": {"requests": "5-"}, "then": "hang"}, {"when": {"every": 2}, "then": 503}), seed=0)
    assert struck(player, *(arrival(n) for n in range(1, 7))) == [None, "2 503", None, "2 503", "1 hang", "1 hang"]


def test_all_conditions_of_an_episode_must_hold() -> None:
    when = {"from_s": 10, "until_s": 20, "prompt_contains": "x", "style": "openai", "first_sends": 1}
    player = Player(script({"when": when, "then": 500}), seed=0)
    right = {"at": 10.0, "text": "a x b"}
    assert struck(player, arrival(1, **right)) == ["1 500"]
    for wrong in ({"at": 9.9}, {"at": 20.0}, {"text": "a"}, {"style": Style.SEGMIND}, {"send": 2}):
        assert struck(player, arrival(1, **{**right, **wrong})) == [None], wrong


def test_a_stale_connection_is_one_that_was_used() -> None:
    player = Player(script({"then": "stale"}, {"then": 500}), seed=0)
    assert struck(player, arrival(reused=False), arrival(reused=True)) == ["2 500", "1 stale"]


@given(st.integers(0, 1000))
def test_a_share_is_that_share_and_depends_on_the_seed_alone(seed: int) -> None:
    players = [Player(script({"when": {"share": 0.25}, "then": 500}), seed=each) for each in (seed, seed, seed + 1)]
    first, again, other = ([struck(player, arrival(n))[0] for n in range(400)] for player in players)
    assert first == again != other
    assert abs(sum(each is not None for each in first) / 400 - 0.25) < 0.12  # five and a half standard deviations


def test_shares_of_two_episodes_are_independent() -> None:
    player = Player(script({"when": {"share": 0.5}, "then": 500}, {"when": {"share": 0.5}, "then": 503}), seed=1)
    found = struck(player, *(arrival(n) for n in range(4000)))
    assert abs(found.count("2 503") / 4000 - 0.25) < 0.04


def test_sends_are_counted_by_prompt() -> None:
    player = Player(script({"then": 500}), seed=0)
    assert [player.count_send(each) for each in (b"a", b"b", b"a", b"a")] == [1, 1, 2, 3]


def test_a_rate_limit_lets_its_share_through_and_says_when_it_ends() -> None:
    limit = {"fault": "rate_limit", "per_minute": 120, "window_s": 1}
    player = Player(script({"when": {"until_s": 10}, "then": limit}, {"when": {"requests": 2}, "then": "hang"}), seed=0)
    assert struck(player, arrival(1, at=0.0), arrival(2, at=0.1)) == [None, "2 hang"], "who is let through meets what follows"
    strike = player.strike(arrival(3, at=0.75))
    assert strike is not None
    assert strike.given["retry_after_s"] == pytest.approx(0.25)
    assert struck(player, arrival(4, at=1.0)) == [None]


@pytest.mark.parametrize(
    ("when", "then", "seconds"),
    [
        pytest.param({"from_s": 5, "until_s": 20}, "refuse", 12.0, id="until the episode ends"),
        pytest.param({"from_s": 5, "until_s": 20}, {"fault": "refuse", "for_s": 1}, 1.0, id="as long as it says"),
        pytest.param({"from_s": 5}, "refuse", None, id="as long as usual"),
    ],
)
def test_nobody_listens_until_the_episode_ends(when: object, then: object, seconds: float | None) -> None:
    strike = Player(script({"when": when, "then": then}), seed=0).strike(arrival(at=8.0))
    assert strike is not None
    assert strike.given.get("for_s") == seconds
