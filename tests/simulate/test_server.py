"""The simulator over real sockets: what a client sees, and what the simulator counted of it."""

import base64
import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from pipeline.simulate import Latency, Simulator, SimulatorSettings, serve

pytestmark = pytest.mark.network

KEY = "a-key-that-nobody-has"
PHOTO = Path(__file__).parents[2] / "data" / "photos" / "coffee.jpg"


def chat(text: str, **more: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def post(
    simulator: Simulator, body: object, path: str = "/v1/chat/completions", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send one request on a connection of its own; names of headers come back in lower case."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    with closing(http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=20)) as connection:
        connection.request("POST", path, sent, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def text_of(answer: tuple[int, dict[str, str], bytes]) -> str:
    status, _, body = answer
    assert status == 200, body
    return json.loads(body)["choices"][0]["message"]["content"]


def get(simulator: Simulator, path: str) -> dict[str, object]:
    with urllib.request.urlopen(simulator.url + path, timeout=20) as response:
        return json.load(response)


@pytest.fixture(scope="module")
def plain():
    with serve(SimulatorSettings(wrong=0)) as simulator:
        yield simulator


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions", "/v1/mixtral-8x22b-instruct", "/v1/org/model:2"])
def test_every_path_of_a_chat_completion_answers(plain, path):
    assert text_of(post(plain, chat("What is 17 + 25?"), path)) == "42"


def test_segmind_is_asked_without_a_model_in_the_body(plain):
    body = {"messages": [{"role": "user", "content": "digest:abcd1234"}]}
    assert "digest:abcd1234" in text_of(post(plain, body, "/v1/mixtral-8x22b-instruct"))
    assert post(plain, body)[0] == 400


def test_a_photograph_sent_as_data_uri_is_looked_at(plain):
    uri = "data:image/jpeg;base64," + base64.b64encode(PHOTO.read_bytes()).decode()
    said = text_of(post(plain, chat([{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": uri}}])))
    assert said.startswith("A 384x256 picture, mostly ")


def test_a_broken_picture_is_a_bad_request(plain):
    uri = "data:image/jpeg;base64," + base64.b64encode(PHOTO.read_bytes()[:300]).decode()
    status, _, body = post(plain, chat([{"type": "image_url", "image_url": {"url": uri}}]))
    assert (status, json.loads(body)["error"]["message"]) == (400, "invalid image: its data is broken")


def test_a_body_of_ten_megabytes_is_read(plain):
    assert "read 1 words" in text_of(post(plain, chat("x" * 10_000_000)))


def test_models_names_the_simulated_one(plain):
    assert [each["id"] for each in get(plain, "/v1/models")["data"]] == ["simulated"]


def test_other_paths_say_where_to_go(plain):
    with pytest.raises(urllib.error.HTTPError) as missing:
        get(plain, "/v2/anything")
    assert missing.value.code == 404
    assert "/v1/chat/completions" in json.load(missing.value)["error"]["message"]


def test_segmind_wants_json_by_name(plain):
    assert post(plain, chat("hi"), "/v1/m", {"Content-Type": "text/plain"})[0] == 406


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}], ids=["bearer", "x-api-key"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/m"])
def test_the_right_key_is_taken_from_either_header(headers, path):
    with serve(SimulatorSettings(require_key=KEY)) as simulator:
        assert post(simulator, chat("hi"), path, headers)[0] == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong-canary"}, {"x-api-key": ""}], ids=["none", "wrong", "empty"]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/m"])
def test_without_the_right_key_it_is_401_and_no_key_is_echoed(headers, path):
    with serve(SimulatorSettings(require_key=KEY, faults=1.0)) as simulator:
        status, _, body = post(simulator, chat("hi"), path, headers)
        assert status == 401
        assert KEY.encode() not in body
        assert b"canary" not in body
        assert simulator.stats()["refusals"] == {"401": 1}


def test_counts_tell_what_was_served_and_what_was_served_twice():
    with serve(SimulatorSettings()) as simulator:
        for digest in ("aaaa", "bbbb", "aaaa"):
            post(simulator, chat(f"digest:{digest}"))
        post(simulator, b"{")
        stats = get(simulator, "/stats?digests")
        assert (stats["requests"], stats["served"], stats["refusals"], stats["in_flight"]) == (4, 3, {"400": 1}, 0)
        assert stats["digests"] == {
            "seen": 2,
            "served_twice": 1,
            "extra": 1,
            "most": 2,
            "each": {"digest:aaaa": 2, "digest:bbbb": 1},
        }
    assert simulator.stats()["served"] == 3  # also after it stopped


def test_the_peak_in_flight_is_what_was_really_open_at_once():
    with serve(SimulatorSettings(latency=Latency(0.3))) as simulator, ThreadPoolExecutor(7) as pool:
        list(pool.map(lambda n: post(simulator, chat(f"hi {n}")), range(7)))
        assert simulator.stats()["peak_in_flight"] == 7


def test_the_limit_holds_and_its_header_tells_when_it_ends():
    with serve(SimulatorSettings(requests_per_minute=3)) as simulator:
        answers = [post(simulator, chat(f"hi {n}")) for n in range(5)]
        assert [status for status, _, _ in answers] == [200, 200, 200, 429, 429]
        assert [headers["x-ratelimit-remaining-requests"] for _, headers, _ in answers[:3]] == ["2", "1", "0"]
        assert 50 < int(answers[4][1]["retry-after"]) <= 60
        _, headers, _ = post(simulator, chat("hi"), "/v1/m")
        assert "x-rate-limit-reset-at-utc" in headers
        assert "retry-after" not in headers
        assert simulator.stats()["refusals"] == {"429": 3}


def outcome(simulator: Simulator, number: int) -> str:
    """Tell what a client sees of one request."""
    try:
        status, _, body = post(simulator, chat(f"digest:{number:08x}"))
    except http.client.IncompleteRead:
        return "cut"
    except ConnectionResetError:
        return "reset"
    assert status != 200 or f"digest:{number:08x}".encode() in body
    return str(status)


def test_what_clients_see_of_faults_is_what_was_counted():
    with serve(SimulatorSettings(faults=0.5, seed=11)) as simulator:
        seen = Counter(outcome(simulator, number) for number in range(300))
        stats = simulator.stats()
        assert stats["faults"] == {name: seen[name] for name in ("429", "500", "502", "503", "reset", "cut")}
        assert all(stats["faults"].values())
        assert stats["served"] == seen["200"] == stats["digests"]["seen"]
        assert stats["unread"] == 0


def test_the_same_seed_plays_the_same_faults():
    def played(seed: int) -> list[str]:
        with serve(SimulatorSettings(faults=0.5, seed=seed)) as simulator:
            return [outcome(simulator, number) for number in range(40)]

    assert played(1) == played(1) != played(2)


def test_a_429_of_chance_asks_for_a_short_pause():
    with serve(SimulatorSettings(faults=1.0)) as simulator:
        hints = [headers["retry-after-ms"] for status, headers, _ in _survivors(simulator) if status == 429]
    assert hints
    assert set(hints) == {"250"}


def _survivors(simulator: Simulator) -> list[tuple[int, dict[str, str], bytes]]:
    answers = []
    for number in range(40):
        try:
            answers.append(post(simulator, chat(f"hi {number}")))
        except (http.client.IncompleteRead, ConnectionResetError):
            continue
    return answers


def test_a_reply_whose_client_has_gone_is_counted_apart():
    with serve(SimulatorSettings(latency=Latency(0.3))) as simulator:
        body = json.dumps(chat("digest:abcd")).encode()
        with socket.create_connection(("127.0.0.1", simulator.port), timeout=20) as connection:
            connection.sendall(b"POST /v1/m HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            while simulator.stats()["requests"] == 0:  # the request is being worked on
                get(simulator, "/stats")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        while simulator.stats()["in_flight"]:
            get(simulator, "/stats")
        stats = simulator.stats(each_digest=True)
        assert (stats["served"], stats["unread"]) == (0, 1)
        assert stats["digests"]["each"] == {"digest:abcd": 1}


def test_each_reply_served_is_a_line_in_the_log(tmp_path):
    log = tmp_path / "served.jsonl"
    with serve(SimulatorSettings(log=log)) as simulator:
        post(simulator, chat("digest:aaaa"))
        post(simulator, b"{")
        lines = [json.loads(line) for line in log.read_text().splitlines()]  # readable at once, not at the end
    assert [(line["serial"], line["digests"], line["whole"]) for line in lines] == [(0, ["digest:aaaa"], True)]


def test_an_unwritable_log_is_an_error_that_names_it(tmp_path):
    with (
        pytest.raises(ConfigError, match=r"nowhere/log\.jsonl"),
        serve(SimulatorSettings(log=tmp_path / "nowhere" / "log.jsonl")),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "port"),
    [
        pytest.param("127.0.0.1", None, id="taken"),
        pytest.param("127.0.0.1", 99_999, id="no port"),
        pytest.param("192.0.2.1", 0, id="not ours"),
    ],
)
def test_an_address_it_cannot_listen_on_is_one_line(plain, host, port):
    with (
        pytest.raises(ConfigError, match="port") as refused,
        serve(SimulatorSettings(), host=host, port=port or plain.port),
    ):
        pass
    assert "\n" not in str(refused.value)


def test_the_thread_ends_with_the_block_also_while_requests_hang():
    before = set(threading.enumerate())
    with ThreadPoolExecutor(1) as pool:
        with serve(SimulatorSettings(latency=Latency(60.0))) as simulator:
            waiting = pool.submit(outcome_of_hanging, simulator)
            while simulator.stats()["in_flight"] == 0:
                get(simulator, "/stats")
        assert waiting.result(timeout=20) != "200"
    assert {thread.name for thread in set(threading.enumerate()) - before} == set()


def outcome_of_hanging(simulator: Simulator) -> str:
    try:
        return str(post(simulator, chat("hi"))[0])
    except (ConnectionError, http.client.HTTPException) as error:
        return type(error).__name__


FOREGROUND = """
import json, sys
from pipeline.simulate import SimulatorSettings, run_forever
print(json.dumps(run_forever(SimulatorSettings(), started=lambda simulator: print(simulator.port, flush=True))))
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_a_signal_ends_it_with_its_statistics(signum):
    with subprocess.Popen([sys.executable, "-c", FOREGROUND], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=20) as response:
            assert response.status == 200
        process.send_signal(signum)
        stats = json.loads(process.stdout.read())
        assert process.wait(timeout=20) == 0
    assert stats["requests"] == 0
