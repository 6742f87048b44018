"""A config loads, or every mistake in it is named at once."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import Override, load_config, parse_set
from pipeline.config.facts import facts_of, redacted
from pipeline.config.starter import json_schema, starter
from pipeline.core.errors import ConfigError
from pipeline.core.keys import changes, digest

GOOD = """
input: {path: rows.csv}
prompt: {user: "{{ text }}"}
endpoint: {provider: openai, base_url: "http://localhost:8000/v1", model: m}
output: {path: out/x.parquet}
"""


@pytest.fixture
def write(tmp_path):
    def to_file(text: str) -> Path:
        path = tmp_path / "job.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def message_of(path: Path, *overrides: Override) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(path, overrides)
    return str(error.value)


def test_paths_in_a_file_start_from_its_folder_and_overrides_from_the_working_directory(write, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    config = load_config(write(GOOD), [Override("output.path", "y.parquet", "--output")])
    assert config.input.path == (str(tmp_path / "rows.csv"),)
    assert config.output.place == elsewhere / "y.parquet"


def test_defaults_are_those_the_documentation_names(write):
    config = load_config(write(GOOD))
    assert (config.limits.concurrency, config.retry.max_attempts, config.checkpoint.part_rows) == (64, 8, 10_000)
    assert config.endpoint.timeout == 600
    assert not config.output.is_directory


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param(("limits", {"concurency": 3}), ["limits.concurency", "unknown key", "concurrency"], id="typo"),
        pytest.param(("concurrency", 3), ["concurrency", "limits.concurrency"], id="key at the wrong level"),
        pytest.param(("limits", {"concurrency": "many"}), ["limits.concurrency", "'many'", "whole number"], id="wrong type"),
        pytest.param(("limits", {"concurrency": 0}), ["limits.concurrency", "0", "at least 1"], id="impossible"),
        pytest.param(("limits", {"adaptive": True}), ["limits.adaptive", "unknown key"], id="not there yet"),
        pytest.param(("retry", {"max_attempts": "auto"}), ["retry.max_attempts", "'auto'"], id="auto attempts"),
        pytest.param(("output", {"path": "out.csv"}), ["'.csv'", "rowcall export"], id="csv output"),
        pytest.param(("prompt", {}), ["either user", "messages"], id="no prompt"),
        pytest.param(("prompt", {"user": "a", "messages": "b"}), ["either user", "messages"], id="two prompts"),
        pytest.param(("endpoint", {"provider": "openia", "model": "m"}), ["'openia'", "segmind", "openai"], id="provider"),
        pytest.param(("endpoint", {"provider": "segmind"}), ["needs a model"], id="segmind without model"),
        pytest.param(
            ("endpoint", {"provider": "openai", "model": "m", "api_key_env": "sk-abc-def"}),
            ["name of an environment variable", "never the key"],
            id="key in the config",
        ),
        pytest.param(
            ("endpoint", {"provider": "openai", "model": "m", "headers": {"Authorization": "Bearer x"}}),
            ["headers.Authorization", "refused", "api_key_env"],
            id="authorization header",
        ),
        pytest.param(
            ("endpoint", {"provider": "openai", "model": "m", "headers": {"X-Secret-Thing": "x"}}),
            ["looks like a secret", "env:NAME"],
            id="secret header",
        ),
        pytest.param(("input", {"path": "s3://bucket/x.parquet"}), ["s3://", "not supported"], id="remote"),
        pytest.param(("input", {"path": "x.csv", "csv": {"types": {"a": "int"}}}), ["types.a", "'int'", "int64"], id="csv type"),
        pytest.param(("input", {"path": "x.csv", "csv": {"encoding": "utf-9"}}), ["encoding", "utf-9"], id="encoding"),
        pytest.param(("stop", {"deadline": "soon"}), ["deadline", "'soon'", "2h"], id="deadline"),
        pytest.param(("request", {"messages": []}), ["request.messages", "refused"], id="request.messages"),
    ],
)
def test_a_mistake_is_named_with_what_was_found_and_what_is_allowed(write, changed, words):
    base = json.loads(json.dumps({"input": {"path": "r.csv"}, "prompt": {"user": "x"}, "output": {"path": "o.parquet"}}))
    base["endpoint"] = {"provider": "openai", "base_url": "http://localhost/v1", "model": "m"}
    base[changed[0]] = changed[1]
    message = message_of(write(json.dumps(base)))
    for word in words:
        assert word in message
    assert "sk-abc-def" not in message


def test_all_mistakes_are_named_at_once(write):
    message = message_of(write("input: {path: 3}\nlimits: {concurrency: 0, x: 1}\n"))
    for key in ("input.path", "limits.concurrency", "limits.x", "prompt", "endpoint", "output"):
        assert key in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("input: {path: a}\ninput: {path: b}\n", "given twice"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("a: [1\n", "line"),
        ("- a\n- b\n", "sections"),
        ("", "sections"),
    ],
)
def test_hostile_or_broken_yaml_is_one_line(write, text, words):
    message = message_of(write(text))
    assert words in message
    assert len(message.splitlines()) == 1


def test_a_missing_config_is_named(tmp_path):
    assert "no such file" in message_of(tmp_path / "none.yaml")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_config_or_a_config_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "job.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        load_config(path)


@pytest.mark.parametrize("text", ["limits.concurrency", "=3", "a b=3", ""])
def test_set_wants_key_and_value(text):
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_set(text)


def test_set_reads_yaml_and_names_itself_in_errors(write):
    assert parse_set("request={temperature: 0.5}").value == {"temperature": 0.5}
    assert "--set limits.concurrency" in message_of(write(GOOD), parse_set("limits.concurrency=no"))


def test_an_unquoted_time_of_day_is_understood(write):
    assert load_config(write(GOOD), [parse_set("stop.deadline=06:30")]).stop.deadline == "06:30"
    assert load_config(write(GOOD), [parse_set("stop.deadline=22:30")]).stop.deadline == "22:30"


@pytest.mark.parametrize("provider", ["segmind", "openai"])
@pytest.mark.parametrize("images", [True, False])
def test_what_init_writes_loads(write, provider, images):
    config = load_config(write(starter(provider, images=images)))
    assert config.endpoint.provider == provider
    assert bool(config.prompt.images) == images


@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_that_is_shipped_loads(path):
    load_config(path)


def test_the_schema_is_json_and_knows_every_section():
    assert set(json.loads(json_schema())["properties"]) >= {"input", "prompt", "endpoint", "output", "limits"}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (parse_set("limits.concurrency=2"), True),
        (parse_set("retry.max_attempts=2"), True),
        (parse_set("images.root=/elsewhere"), True),
        (parse_set("endpoint.timeout_s=3"), True),
        (parse_set("checkpoint.part_rows=3"), True),
        (parse_set("pricing.per_request=3"), True),
        (parse_set("prompt.user=hello"), False),
        (parse_set("endpoint.model=other"), False),
        (parse_set("request={temperature: 1}"), False),
        (parse_set("output.prefix=x_"), False),
        (parse_set("input.csv.delimiter=;"), False),
    ],
    ids=lambda value: value.key if isinstance(value, Override) else "",
)
def test_what_makes_another_job(write, change, same):
    old, new = (facts_of(load_config(write(GOOD), extra), "http://localhost:8000/v1/x") for extra in ([], [change]))
    assert (changes(old, new) == []) is same
    assert (digest(old) == digest(new)) is same


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("http://127.0.0.1:1/v1/c", "http://10.0.0.7:2/v1/c", True),
        ("http://localhost:1/v1/c", "http://localhost:1/v2/c", False),
        ("https://a.example/v1/c", "https://b.example/v1/c", False),
    ],
)
def test_a_host_of_ones_own_may_change_and_a_public_one_may_not(write, old, new, same):
    config = load_config(write(GOOD))
    assert (facts_of(config, old) == facts_of(config, new)) is same


def test_an_address_with_a_password_or_key_is_refused_and_not_shown(write):
    for url in ("http://user:geheim@host/v1", "http://host/v1?key=geheim"):
        assert "geheim" not in message_of(write(GOOD), parse_set(f"endpoint.base_url={url}"))
    assert redacted(load_config(write(GOOD)))["endpoint"]["base_url"] == "http://localhost:8000/v1"
