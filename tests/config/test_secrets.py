"""Keys come from the environment or a file, and no message ever shows one."""

import pytest

from pipeline.config.model import Endpoint
from pipeline.config.secrets import check_plain_http, resolve
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
