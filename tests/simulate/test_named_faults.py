"""Every fault by its name against the real transport and provider: what a run makes of it, and what the simulator counted."""

import asyncio
import resource
import sys
import time
from collections.abc import Iterator

import pytest

from pipeline.core.types import Fault, FaultKind, Message, Prompt, Reply, Response
from pipeline.engine.settings import TransportSettings
from pipeline.engine.transport import HttpTransport
from pipeline.providers import EndpointSettings, build_provider
from pipeline.simulate import Simulator, SimulatorSettings, fault_lines, read_script, serve
from pipeline.simulate.acts import Bill
from pipeline.simulate.catalogue import FAULTS, find

pytestmark = pytest.mark.network

KEY = "sk-canary-4711-abcdefgh"
THROTTLED, DOWN, TRANSIENT = FaultKind.THROTTLED, FaultKind.DOWN, FaultKind.TRANSIENT
REJECTED, FATAL = FaultKind.REJECTED, FaultKind.FATAL

# Name -> what the run makes of it: kind, error kind, whether the request may have been billed, further sends at most.
FAULTY = {
    "hang": (TRANSIENT, "timeout", True, 3),
    "drip": (TRANSIENT, "timeout", True, 3),
    "close": (TRANSIENT, "connection", True, None),
    "reset": (TRANSIENT, "connection", True, None),
    "stale": (TRANSIENT, "connection", True, None),
    "cut": (TRANSIENT, "connection", True, 3),
    "cut_head": (TRANSIENT, "connection", True, None),
    "cut_chunks": (TRANSIENT, "connection", True, 3),
    "cut_silently": (TRANSIENT, "bad_response", True, 1),
    "garbage": (TRANSIENT, "connection", True, None),
    "raw": (TRANSIENT, "bad_response", True, 1),
    "trailing_bytes": (TRANSIENT, "connection", True, None),
    "duplicate_headers": (TRANSIENT, "connection", True, None),
    "big_header": (TRANSIENT, "bad_response", True, 2),
    "many_headers": (TRANSIENT, "bad_response", True, 2),
    "bad_chunks": (TRANSIENT, "connection", True, None),
    "gzip_cut": (TRANSIENT, "bad_response", True, 1),
    "gzip_damaged": (TRANSIENT, "bad_response", True, 1),
    "gzip_bomb": (TRANSIENT, "bad_response", True, 1),
    "endless": (TRANSIENT, "bad_response", True, 1),
    "huge_length": (TRANSIENT, "bad_response", True, 1),
    "no_choices": (TRANSIENT, "bad_response", True, 1),
    "not_an_object": (TRANSIENT, "bad_response", True, 1),
    "empty_body": (TRANSIENT, "bad_response", True, 1),
    "half_json": (TRANSIENT, "bad_response", True, 1),
    "nesting": (TRANSIENT, "bad_response", True, 1),
    "event_stream_cut": (TRANSIENT, "bad_response", True, 1),
    "html_200": (TRANSIENT, "bad_response", True, 1),
    "error_in_200": (TRANSIENT, "server_error", True, 3),
    "rate_limit": (THROTTLED, "rate_limited", False, None),
    "insufficient_quota": (FATAL, "insufficient_credits", False, None),
    "hidden_quota": (FATAL, "insufficient_credits", False, None),
    "crossed_budget": (FATAL, "insufficient_credits", False, None),
    "low_balance": (FATAL, "insufficient_credits", False, None),
    "spend_limit": (FATAL, "insufficient_credits", False, None),
    "segmind_credits": (FATAL, "insufficient_credits", False, None),
    "segmind_spend_limit": (FATAL, "insufficient_credits", False, None),
    "segmind_parameter": (REJECTED, "bad_request", False, None),
    "segmind_failed": (TRANSIENT, "server_error", False, 1),
    "model_retired": (FATAL, "not_found", False, None),
    "no_access": (FATAL, "forbidden", False, None),
    "context_length": (REJECTED, "too_large", False, None),
    "llamacpp_context": (REJECTED, "too_large", False, None),
    "content_filter": (REJECTED, "content_policy", False, None),
    "bad_image": (REJECTED, "bad_request", False, None),
    "image_fetch": (TRANSIENT, "bad_request", False, 1),
    "request_too_large": (REJECTED, "too_large", False, None),
    "daily_limit": (THROTTLED, "rate_limited", False, None),
    "slow_down": (THROTTLED, "rate_limited", False, None),
    "model_loading": (TRANSIENT, "bad_gateway", False, None),
    "firewall": (DOWN, "bad_gateway", False, None),
    "redirect": (FATAL, "bad_request", False, None),
    "key_echo": (FATAL, "unauthorized", False, None),
    "202": (FATAL, "bad_response", False, None),
    "204": (TRANSIENT, "bad_response", True, 1),
    "302": (FATAL, "bad_request", False, None),
    "400": (REJECTED, "bad_request", False, None),
    "401": (FATAL, "unauthorized", False, None),
    "402": (FATAL, "insufficient_credits", False, None),
    "404": (FATAL, "not_found", False, None),
    "405": (FATAL, "bad_request", False, None),
    "406": (FATAL, "bad_request", False, None),
    "408": (TRANSIENT, "timeout", False, None),
    "413": (REJECTED, "too_large", False, None),
    "418": (REJECTED, "bad_request", False, None),
    "429": (THROTTLED, "rate_limited", False, None),
    "500": (TRANSIENT, "server_error", False, None),
    "502": (TRANSIENT, "bad_gateway", False, None),
    "503": (TRANSIENT, "bad_gateway", False, None),
    "504": (TRANSIENT, "timeout", True, None),
    "524": (TRANSIENT, "timeout", True, None),
    "529": (TRANSIENT, "server_error", False, None),
}
SAID = "The simulator read 2 words. digest:abcd1234"
# Name -> text, finish reason, token counts, and a word that `extra` holds.
ANSWERED = {
    "slow": (SAID, "stop", (7, 9, 16), None),
    "reset_after": (SAID, "stop", (7, 9, 16), None),
    "close_after_reply": (SAID, "stop", (7, 9, 16), None),
    "interim": (SAID, "stop", (7, 9, 16), None),
    "cookie": (SAID, "stop", (7, 9, 16), None),
    "headers": (SAID, "stop", (7, 9, 16), None),
    "gzip": (SAID, "stop", (7, 9, 16), None),
    "false_encoding": (SAID, "stop", (7, 9, 16), None),
    "event_stream": (SAID, "stop", (7, 9, 16), None),
    "refusal": (None, "stop", (7, 9, 16), "I cannot help"),
    "tool_calls": (None, "tool_calls", (7, 9, 16), "look"),
    "reasoning": (SAID, "stop", (7, 9, 16), "does not think"),
    "parts": (SAID, "stop", (7, 9, 16), None),
    "anthropic": (SAID, "end_turn", (7, 9, None), None),
    "gemini": (SAID, "STOP", (7, 9, None), None),
    "empty": ("", "stop", (7, 9, 16), None),
    "no_text": (None, "stop", (7, 9, 16), None),
    "length": (SAID, "length", (7, 9, 16), None),
    "filtered": (SAID, "content_filter", (7, 9, 16), None),
    "no_usage": (SAID, "stop", (None, None, None), None),
    "odd_usage": (SAID, "stop", (7, None, None), None),
    "bare": (SAID, "stop", (7, 9, 16), None),
    "surrogate": (SAID + " \N{REPLACEMENT CHARACTER}", "stop", (7, 9, 16), None),
    "nul": (SAID + " \x00\x1b[31m", "stop", (7, 9, 16), None),
    "big_number": (SAID, "stop", (7, 9, 16), None),
    "not_a_number": (SAID, "stop", (7, 9, 16), None),
    "duplicate_keys": (SAID, "stop", (7, 9, 16), None),
    "invalid_utf8": ("\N{REPLACEMENT CHARACTER}" * 2 + " " + SAID, "stop", (7, 9, 16), "lossy_utf8"),
    "utf16": (SAID, "stop", (7, 9, 16), None),
    "wrong_content_type": (SAID, "stop", (7, 9, 16), None),
}
# Those that tests below play by themselves.
ELSEWHERE = {"refuse"}
GIVEN = {
    "raw": {"bytes": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
    "headers": {"headers": {"x-remaining-credits": "7"}},
    "rate_limit": {"per_minute": 1},
    "slow": {"by_s": 0.01},
}
# The first request of a prompt is let through, and the second meets the fault.
AT_THE_SECOND = {"stale", "rate_limit"}
IMPATIENT = {"hang", "drip"}


def script(*episodes: object):
    return read_script({"episodes": list(episodes)}, "script.yaml")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Play each fault for whoever asks for it by name in the prompt."""
    names = [*FAULTY, *ANSWERED]
    episodes = [{"when": {"prompt_contains": f"play:{name};"}, "then": {"fault": name, **GIVEN.get(name, {})}} for name in names]
    with serve(SimulatorSettings(script=script(*episodes), wrong=0)) as served:
        yield served


def ask(
    simulator: Simulator, prompt: str, *, times: int = 1, timeout: float = 30.0, provider: str = "openai"
) -> list[Reply | Fault]:
    """Send the same row so often over one session."""
    made = build_provider(EndpointSettings(provider, "m", base_url=simulator.base_url, key=KEY), redact=str, wall=time.time)
    request = made.encode(Prompt(0, (Message("user", (prompt,)),)))

    async def main() -> list[Reply | Fault]:
        async with HttpTransport(TransportSettings(timeout, "rowcall/test")) as http:
            answers = [await http.post(request) for _ in range(times)]
        return [made.decode(each, request) if isinstance(each, Response) else each for each in answers]

    return asyncio.run(main())


def counted(simulator: Simulator) -> dict[str, int]:
    stats = simulator.stats()
    return {name: stats[name] for name in ("served", "unread", "lost")}  # type: ignore[misc]


def settled(simulator: Simulator) -> None:
    until = time.monotonic() + 20
    while simulator.stats()["in_flight"]:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_every_name_has_its_case() -> None:
    assert {*FAULTY, *ANSWERED, *ELSEWHERE} >= set(FAULTS)
    assert {*FAULTY} & {*ANSWERED} == set()


def test_every_name_stands_in_the_list_once_with_a_line() -> None:
    listed = [line.split() for line in fault_lines() if line.startswith("  ")]
    assert [each[0] for each in listed[:-1] if len(each) > 1] == list(FAULTS)
    assert listed[-1][:3] == ["201", "…", "599"]


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_is_taken_for_what_it_is(simulator: Simulator, name: str) -> None:
    before = counted(simulator)
    timeout = 0.3 if name in IMPATIENT else 30.0
    times = 2 if name in AT_THE_SECOND else 1
    provider = "segmind" if name.startswith("segmind") else "openai"
    *first, found = ask(simulator, f"play:{name}; digest:abcd1234", times=times, timeout=timeout, provider=provider)
    assert all(isinstance(each, Reply) for each in first)
    assert isinstance(found, Fault)
    assert (found.kind, found.error_kind, found.ambiguous, found.resends) == FAULTY[name]
    assert found.free == (name == "stale")
    settled(simulator)
    fault = find(name)
    assert fault is not None
    assert simulator.stats()["faults"][name] == 1  # type: ignore[index]
    after = counted(simulator)
    assert after["lost"] - before["lost"] == (fault.bill is Bill.LOST)
    assert after["unread"] - before["unread"] == (name == "drip"), "worked for, and the client did not wait for it"
    assert after["served"] - before["served"] == len(first)


@pytest.mark.parametrize("name", ANSWERED)
def test_an_odd_answer_is_kept(simulator: Simulator, name: str) -> None:
    before = counted(simulator)
    (found,) = ask(simulator, f"play:{name}; digest:abcd1234")
    assert isinstance(found, Reply)
    text, reason, tokens, extra = ANSWERED[name]
    assert (found.text, found.finish_reason) == (text, reason)
    assert (found.usage.prompt, found.usage.completion, found.usage.total) == tokens
    assert (extra or "") in (found.extra or "")
    assert found.model == (None if name == "bare" else "simulated"), "no answer passes for a model's"
    settled(simulator)
    assert counted(simulator)["served"] - before["served"] == 1


def test_where_nobody_listens_the_endpoint_is_down_and_then_back() -> None:
    episode = {"when": {"requests": 2}, "then": {"fault": "refuse", "for_s": 0.5}}
    with serve(SimulatorSettings(script=script(episode))) as simulator:
        (first,) = ask(simulator, "hi")
        (broken,) = ask(simulator, "hi")
        (refused,) = ask(simulator, "hi")
        assert isinstance(first, Reply)
        assert isinstance(broken, Fault)
        assert (broken.kind, broken.error_kind) == (TRANSIENT, "connection")
        assert isinstance(refused, Fault)
        assert (refused.kind, refused.ambiguous) == (DOWN, False)
        assert "ECONNREFUSED" in refused.message
        until = time.monotonic() + 20
        while not isinstance(answer := ask(simulator, "hi")[0], Reply):
            assert answer.kind is DOWN
            assert time.monotonic() < until
        assert simulator.stats()["requests"] == 3
        assert simulator.stats()["episodes"] == {"1 refuse": 1}


def test_a_simulator_that_is_shut_ends_like_any_other() -> None:
    with serve(SimulatorSettings(script=script({"then": "refuse"}))) as simulator:
        ask(simulator, "hi")
    assert simulator.stats()["in_flight"] == 0


@pytest.mark.parametrize(
    ("hint", "provider"),
    [(each, "openai") for each in ("own", "seconds", "milliseconds", "date", "segmind", "litellm", "bucket", "words")]
    + [("own", "segmind")],
)
def test_each_hint_says_the_time_and_none_says_nothing(hint: str, provider: str) -> None:
    episodes = [
        {"when": {"prompt_contains": "none"}, "then": {"fault": 429, "hint": "none"}},
        {"then": {"fault": 429, "retry_after_s": 3, "hint": hint}},
    ]
    with serve(SimulatorSettings(script=script(*episodes))) as simulator:
        (found,) = ask(simulator, "hi", provider=provider)
        (without,) = ask(simulator, "none", provider=provider)
    assert isinstance(found, Fault)
    assert found.kind is THROTTLED
    assert found.retry_after is not None
    assert 2.9 <= found.retry_after <= 5.0  # a date is in whole seconds
    assert isinstance(without, Fault)
    assert without.retry_after is None


@pytest.mark.parametrize("at", [0, 1, 17, 0.0, 0.5, 1.0])
def test_a_body_may_be_cut_anywhere_and_is_never_whole(at: float) -> None:
    with serve(SimulatorSettings(script=script({"then": {"fault": "cut", "at": at}}))) as simulator:
        (found,) = ask(simulator, "hi")
        assert isinstance(found, Fault)
        assert found.message == "the reply was cut short"
        settled(simulator)
        assert counted(simulator) == {"served": 0, "unread": 0, "lost": 1}


def test_literal_bytes_go_out_as_they_stand() -> None:
    said = 'HTTP/1.1 200 OK\r\nContent-Length: 62\r\n\r\n{"choices":[{"message":{"content":"\xff"},"finish_reason":"stop"}]}'
    said = said.replace("62", str(len(said.partition("\r\n\r\n")[2])))
    with serve(SimulatorSettings(script=script({"then": {"fault": "raw", "bytes": said, "end": "stay"}}))) as simulator:
        first, second = ask(simulator, "hi", times=2)
        assert isinstance(first, Reply)
        assert isinstance(second, Reply)
        assert first.text == "\N{REPLACEMENT CHARACTER}"


def test_a_status_may_have_any_body_and_headers() -> None:
    given = {"fault": 404, "body": {"detail": "nobody by that name"}, "headers": {"x-should-retry": "true"}, "close": True}
    with serve(SimulatorSettings(script=script({"then": given}))) as simulator:
        (found,) = ask(simulator, "hi")
        assert isinstance(found, Fault)
        assert (found.kind, found.status, found.message) == (FATAL, 404, "nobody by that name")


def test_a_key_is_echoed_in_full_where_that_is_to_be_rehearsed(simulator: Simulator) -> None:
    (found,) = ask(simulator, "play:key_echo;")
    assert isinstance(found, Fault)
    assert KEY in found.message, "nothing is redacted here"


def test_bombs_grow_no_memory_here() -> None:
    """Both sides run in this process: the bomb of 300 MB and the client that refuses it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serve(
        SimulatorSettings(script=script({"when": {"requests": 1}, "then": "gzip_bomb"}, {"then": "endless"}))
    ) as simulator:
        assert all(isinstance(each, Fault) for each in ask(simulator, "hi", times=2))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
    assert grown < 200 * 2**20


def test_named_faults_come_by_chance_too_and_alike() -> None:
    settings = SimulatorSettings(faults=1.0, fault_names=("418", "no_choices"), seed=3)
    with serve(settings) as simulator:
        statuses = [each.status for each in ask(simulator, "hi", times=40) if isinstance(each, Fault)]
        assert set(statuses) == {418, 200}
        stats = simulator.stats()
        assert stats["faults"]["418"] + stats["faults"]["no_choices"] == 40  # type: ignore[index]
        assert stats["lost"] == statuses.count(200)
