"""Open files and proxies: seen to before anything is sent."""

import resource
import subprocess
import sys

import pytest

from pipeline import Job
from pipeline.core.errors import ConfigError
from pipeline.jobs.deadline import deadline_of
from pipeline.jobs.machine import check_ray, make_room_for, tell_of_memory, tell_of_proxies

VALUES = {
    "input": {"path": "in.csv"},
    "prompt": {"user": "x"},
    "endpoint": {"provider": "simulated"},
    "output": {"path": "out.parquet"},
}


def test_the_limit_of_open_files_is_raised_as_far_as_needed():
    script = (
        "import resource; from pipeline.jobs.machine import make_room_for;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]));"
        "make_room_for(200); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "264"


def test_more_than_the_machine_allows_is_refused_with_what_it_allows():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        make_room_for(10**6)
        return
    with pytest.raises(ConfigError, match=f"allowed: {hard - 64}"):
        make_room_for(hard)


@pytest.mark.parametrize(
    ("proxy", "environment", "told"),
    [(None, {}, 0), (None, {"https_proxy": "http://secret@p"}, 1), ("http://p", {"https_proxy": "http://p"}, 0)],
)
def test_a_proxy_in_the_environment_is_told_of_and_not_shown(proxy, environment, told):
    said: list[str] = []
    tell_of_proxies(proxy, environment, said.append)
    assert len(said) == told
    assert "secret" not in "".join(said)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400), ("2h", 7200), ("30s", 30), ("1.5h", 5400), ("1d", 86400), ("5min", 300)]
)
def test_a_deadline_may_be_a_duration(text, seconds):
    assert deadline_of(text, now=1000.0) == 1000.0 + seconds


def test_a_deadline_may_be_the_next_such_time_of_day():
    now = deadline_of("12:00", now=1_800_000_000.0)
    assert 0 < now - 1_800_000_000.0 <= 25 * 3600
    assert deadline_of("12:00", now=now) - now == pytest.approx(86400, abs=3600)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2x", "-1h", "h"])
def test_any_other_deadline_is_refused(text):
    with pytest.raises(ConfigError, match="deadline"):
        deadline_of(text, now=0.0)


@pytest.mark.parametrize(("concurrency", "told"), [(8, False), (1000, True)])
def test_what_could_fill_the_memory_is_told_of(concurrency, told):
    lines: list[str] = []
    tell_of_memory(concurrency, concurrency * 2_000_000, lines.append, memory=8 * 10**9)
    assert [all(word in line for word in ("limits.concurrency", "35.6 GB", "8.0 GB")) for line in lines] == [True] * told


def test_a_cluster_without_ray_says_what_to_install() -> None:
    config = Job.of({**VALUES, "engine": {"kind": "ray"}}).config
    with pytest.raises(ConfigError, match=r"pip install 'rowcall\[ray\]'"):
        check_ray(config, find=lambda name: None)
    check_ray(Job.of(VALUES).config, find=lambda name: None)


def test_a_cluster_behind_ray_client_is_refused_with_the_way_on() -> None:
    config = Job.of({**VALUES, "engine": {"kind": "ray", "address": "ray://head:10001"}}).config
    with pytest.raises(ConfigError, match=r"engine.address: found ray://head:10001, allowed: auto, or .*host:6379"):
        check_ray(config, find=lambda name: object())
