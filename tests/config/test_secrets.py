"""Keys come from the environment or a file, and no message ever shows one."""

import os

import pytest

from pipeline.config.model import Endpoint
from pipeline.config.secrets import check_plain_http, reread, resolve
from pipeline.core.errors import ConfigError

KEY = "sk-canary-0123456789"


def endpoint(**changes: object) -> Endpoint:
    return Endpoint.model_validate(
        {"provider": "openai", "base_url": "http://localhost/v1", "model": "m", "api_key_env": "THE_KEY", **changes}
    )


def quiet(text: str) -> None:
    raise AssertionError(text)


def test_the_key_comes_from_the_named_variable_without_its_line_end():
    secrets = resolve(endpoint(headers={"X-Token": "env:OTHER"}), {"THE_KEY": KEY + "\n", "OTHER": "geheim"}, warn=quiet)
    assert secrets.key == KEY
    assert secrets.headers == {"X-Token": "geheim"}
    assert KEY not in repr(secrets)
    assert "geheim" not in repr(secrets)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "not set"),
        ({"THE_KEY": " "}, "empty"),
        ({"THE_KEY": KEY + "\nX: y"}, "no key has"),
        ({"THE_KEY": KEY + "ä"}, "no key has"),
        ({"THE_KEY": f'"{KEY}"'}, "quotes"),
    ],
)
def test_an_unusable_key_is_named_by_its_variable_only(environment, words):
    with pytest.raises(ConfigError, match="THE_KEY") as error:
        resolve(endpoint(), environment, warn=quiet)
    assert words in str(error.value)
    assert KEY not in str(error.value)


def test_a_key_file_open_to_others_is_warned_of(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o644)
    warnings: list[str] = []
    secrets = resolve(endpoint(api_key_env=None, api_key_file=path), {}, warn=warnings.append)
    assert secrets.key == KEY
    assert "chmod 600" in warnings[0]
    path.chmod(0o600)
    resolve(endpoint(api_key_env=None, api_key_file=path), {}, warn=quiet)


def test_segmind_asks_for_its_usual_variable_and_the_simulator_for_none():
    with pytest.raises(ConfigError, match="SEGMIND_API_KEY"):
        resolve(endpoint(provider="segmind", base_url=None, api_key_env=None), {}, warn=quiet)
    assert resolve(endpoint(provider="simulated", base_url=None, api_key_env=None), {}, warn=quiet).key is None
    assert resolve(endpoint(api_key_env=None), {}, warn=quiet).key is None


@pytest.mark.parametrize(
    ("url", "changes", "allowed"),
    [
        ("http://10.0.0.1/v1", {}, False),
        ("http://10.0.0.1/v1", {"allow_http": True}, True),
        ("http://127.0.0.1/v1", {}, True),
        ("http://localhost/v1", {}, True),
        ("https://10.0.0.1/v1", {}, True),
        ("http://10.0.0.1/v1", {"api_key_env": None}, True),
        ("http://localhost/v1", {"proxy": "http://proxy.example:3128"}, False),
        ("http://localhost/v1", {"proxy": "http://127.0.0.1:3128"}, True),
        ("https://10.0.0.1/v1", {"proxy": "http://proxy.example:3128"}, True),
        ("http://localhost.example/v1", {}, False),
        ("http://127.0.0.1.example/v1", {}, False),
    ],
)
def test_a_key_is_not_sent_in_clear_text_to_another_machine(url, changes, allowed):
    it = endpoint(**changes)
    secrets = resolve(it, {"THE_KEY": KEY}, warn=quiet)
    if allowed:
        check_plain_http(it, url, secrets)
    else:
        with pytest.raises(ConfigError, match="clear text"):
            check_plain_http(it, url, secrets)


def test_a_header_may_have_spaces_but_no_line_breaks():
    it = endpoint(api_key_env=None, headers={"X-Team": "env:TEAM"})
    assert resolve(it, {"TEAM": "Vision Group"}, warn=quiet).headers == {"X-Team": "Vision Group"}
    with pytest.raises(ConfigError, match="TEAM"):
        resolve(it, {"TEAM": "a\r\nHost: b"}, warn=quiet)


def test_what_must_be_hidden_is_the_key_header_variables_and_a_proxys_password():
    it = endpoint(headers={"X-Team": "env:TEAM", "X-Plain": "shown"}, proxy="http://me:p%40ss@proxy.example:3128")
    assert set(resolve(it, {"THE_KEY": KEY, "TEAM": "geheim"}, warn=quiet).hidden) == {KEY, "geheim", "p%40ss", "p@ss"}


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"one\ntwo", "no key has"), (b"x" * 20_000, "nothing else"), (b"caf\xc3\xa9", "no key has")],
)
def test_a_key_file_that_holds_no_key_is_named_and_not_shown(tmp_path, content, words):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="api_key_file") as error:
        resolve(endpoint(api_key_env=None, api_key_file=path), {}, warn=quiet)
    assert words in str(error.value)
    assert "two" not in str(error.value)


def test_a_key_file_of_an_editor_that_writes_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"\xef\xbb\xbf" + KEY.encode() + b"\r\n")
    path.chmod(0o600)
    assert resolve(endpoint(api_key_env=None, api_key_file=path), {}, warn=quiet).key == KEY


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_a_key_file_that_is_no_file_is_named_at_once(tmp_path, kind):
    path = tmp_path / "key"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(ConfigError, match="api_key_file"):
        resolve(endpoint(api_key_env=None, api_key_file=path), {}, warn=quiet)


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"provider": "segmind", "base_url": None}, "SEGMIND_API_KEY"),
        ({"provider": "openai", "base_url": None}, "OPENAI_API_KEY"),
        ({"provider": "openai", "base_url": "https://gateway.example/v1"}, None),
        ({"provider": "segmind", "base_url": "https://gateway.example/v1"}, "SEGMIND_API_KEY"),
        ({"provider": "openai", "base_url": None, "api_key_env": "MINE"}, "MINE"),
        ({"provider": "simulated", "base_url": None}, None),
    ],
)
def test_a_providers_usual_variable_is_for_its_own_address(changes, variable):
    assert endpoint(**{"api_key_env": None, **changes}).key_variable == variable


def test_a_stand_in_for_segmind_on_this_machine_needs_no_key():
    it = endpoint(provider="segmind", api_key_env=None, base_url="http://127.0.0.1:8000/v1")
    assert resolve(it, {}, warn=quiet).key is None
    assert resolve(it, {"SEGMIND_API_KEY": KEY}, warn=quiet).key == KEY
    with pytest.raises(ConfigError, match="NAMED"):
        resolve(endpoint(provider="segmind", api_key_env="NAMED"), {}, warn=quiet)


def test_a_header_from_a_variable_is_not_sent_in_clear_text_either():
    it = endpoint(api_key_env=None, headers={"X-Team": "env:TEAM"})
    with pytest.raises(ConfigError, match="clear text"):
        check_plain_http(it, "http://10.0.0.1/v1", resolve(it, {"TEAM": "geheim"}, warn=quiet))


def test_only_a_key_in_a_file_is_read_again(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY)
    in_file = endpoint(api_key_env=None, api_key_file=path)
    assert reread(in_file) == KEY
    path.write_text("sk-another-0123456789\n")
    assert reread(in_file) == "sk-another-0123456789"
    path.write_text("")
    with pytest.raises(ConfigError, match="empty"):
        reread(in_file)
    assert reread(endpoint()) is None
