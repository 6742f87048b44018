"""A config loads, or every mistake in it is named at once."""

import contextlib
import glob
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import Override, load_config, parse_set
from pipeline.core.errors import ConfigError

GOOD = """
input: {path: rows.csv}
prompt: {user: "{{ text }}"}
endpoint: {provider: openai, base_url: "http://localhost:8000/v1", model: m}
output: {path: out/x.parquet}
"""
KEYS = st.sampled_from(
    [
        "input",
        "path",
        "csv",
        "types",
        "prompt",
        "user",
        "images",
        "endpoint",
        "provider",
        "headers",
        "stop",
        "deadline",
        "output",
        "request",
        "x",
    ]
)


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
    assert (config.limits.concurrency, config.retry.max_attempts, config.checkpoint.part_rows) == (64, "auto", 10_000)
    assert config.endpoint.timeout == 600
    assert not config.output.is_directory


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param(("limits", {"concurency": 3}), ["limits.concurency", "unknown key", "concurrency"], id="typo"),
        pytest.param(("concurrency", 3), ["concurrency", "limits.concurrency"], id="key at the wrong level"),
        pytest.param(("limits", {"concurrency": "many"}), ["limits.concurrency", "'many'", "whole number"], id="wrong type"),
        pytest.param(("limits", {"concurrency": 0}), ["limits.concurrency", "0", "at least 1"], id="impossible"),
        pytest.param(("limits", {"adaptive": 3}), ["limits.adaptive", "3", "true or false"], id="not a yes or no"),
        pytest.param(("retry", {"max_attempts": "many"}), ["retry.max_attempts", "'many'", "auto"], id="attempts"),
        pytest.param(("output", {"path": "out.csv"}), ["'.csv'", "rowcall export"], id="csv output"),
        pytest.param(("output", {"path": "/"}), ["output.path", "root folder"], id="root as output"),
        pytest.param(("output", {"path": "."}), ["holds the input"], id="output around the input"),
        pytest.param(("input", {"path": "x.csv", "csv": {"encoding": "idna"}}), ["encoding", "idna"], id="half an encoding"),
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
        pytest.param(("input", {"path": "ftp://bucket/x.parquet"}), ["ftp://", "s3://bucket/key"], id="remote"),
        pytest.param(("input", {"path": "x.csv", "csv": {"types": {"a": "int"}}}), ["types.a", "'int'", "int64"], id="csv type"),
        pytest.param(("input", {"path": "x.csv", "csv": {"encoding": "utf-9"}}), ["encoding", "utf-9"], id="encoding"),
        pytest.param(("stop", {"deadline": "soon"}), ["deadline", "'soon'", "2h"], id="deadline"),
        pytest.param(("stop", {"max_cost": 5}), ["stop.max_cost needs prices"], id="max_cost without prices"),
        pytest.param(("stop", {"max_failed": -1}), ["stop.max_failed", "at least 0"], id="max_failed"),
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


@pytest.mark.parametrize(
    ("folder", "refused"),
    [("in/record", True), ("in", True), ("in/o.rowcall", False), ("in/.record", False), ("record", False)],
)
def test_a_record_whose_files_would_be_read_as_input_is_refused(write, folder, refused):
    job = {"input": {"path": "in"}, "prompt": {"user": "x"}, "output": {"path": "o.parquet"}, "checkpoint": {"dir": folder}}
    path = write(json.dumps({**job, "endpoint": {"provider": "openai", "base_url": "http://localhost/v1", "model": "m"}}))
    if refused:
        assert "new rows on the next run" in message_of(path)
    else:
        assert load_config(path).checkpoint.dir is not None


def test_all_mistakes_are_named_at_once(write):
    message = message_of(write("input: {path: 3}\nlimits: {concurrency: 0, x: 1}\n"))
    for key in ("input.path", "limits.concurrency", "limits.x", "prompt", "endpoint", "output"):
        assert key in message


@pytest.mark.parametrize(
    ("text", "words"),
    [("- a\n- b\n", "found a list, allowed: sections"), ("", "found nothing"), ("a: [1\n", "line 2"), ("a: *x", "aliases")],
)
def test_what_is_no_config_is_one_line(write, text, words):
    message = message_of(write(text))
    assert words in message
    assert len(message.splitlines()) == 1


def test_a_config_of_more_than_a_megabyte_is_not_read(write):
    assert "1,000,000 bytes" in message_of(write("# " + "x" * 1_000_000))


def test_a_missing_config_is_named(tmp_path):
    assert "no such file" in message_of(tmp_path / "none.yaml")


@settings(max_examples=150)
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


def test_an_address_with_a_password_or_key_is_refused_and_not_shown(write):
    for url in ("http://user:geheim@host/v1", "http://host/v1?key=geheim"):
        assert "geheim" not in message_of(write(GOOD), parse_set(f"endpoint.base_url={url}"))


# -- every mistake, in its place


def test_mistakes_within_one_section_do_not_hide_one_another(write):
    message = message_of(
        write(
            """
input: {path: [], csv: {encoding: utf-9, types: {a: int, b: text}}}
prompt: {user: 3}
images: {urls: both, max_megabytes: -1}
endpoint:
  {provider: opnai, url: nowhere, api_key_env: "sk-0123456789abcdefgh", timeout_s: .nan, headers: {Authorization: x, "a b": c}}
request: {messages: [], stream: true, api_key: x, top: {p: .inf}}
limits: {concurrency: true}
retry: {base_delay_s: 70}
stop: {deadline: soon, grace_s: -1}
output: {path: out.csv, columns: [a, a], prefix: 3}
checkpoint: {part_rows: 0.5}
"""
        )
    )
    for key in (
        "input.path",
        "input.csv.encoding",
        "input.csv.types.a",
        "input.csv.types.b",
        "prompt.user",
        "images.urls",
        "images.max_megabytes",
        "endpoint.provider",
        "endpoint.url",
        "endpoint.api_key_env",
        "endpoint.timeout_s",
        "endpoint.headers.Authorization",
        "endpoint.headers.a b",
        "request.messages",
        "request.stream",
        "request.api_key",
        "request.top.p",
        "limits.concurrency",
        "retry",
        "stop.deadline",
        "stop.grace_s",
        "output.path",
        "output.columns",
        "output.prefix",
        "checkpoint.part_rows",
    ):
        assert f": {key}: " in message, key
    assert all(line.count("job.yaml: ") == 1 for line in message.splitlines())
    assert "0123456789abcdefgh" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limits.concurrency=true", ["found true", "a whole number"]),
        ("limits.concurrency='3'", ["found '3'", "a whole number"]),
        ("limits.concurrency=3.0", ["found 3.0", "a whole number"]),
        ("limits.concurrency=1000000", ["at most 100000"]),
        ("limits.requests_per_minute=0", ["more than 0"]),
        ("limits=3", ["found 3", "keys with values"]),
        ("endpoint.allow_http=yes", ["found text", "true or false"]),
        ("endpoint.base-url=x", ["did you mean base_url"]),
        ("model=x", ["did you mean endpoint.model"]),
        ("part_rows=3", ["did you mean checkpoint.part_rows"]),
        ("delimiter=;", ["did you mean input.csv.delimiter"]),
        ("endpoint.api_key=x", ["did you mean api_key_env"]),
        ("input.csv.delimiter=ab", ["at most 1 character"]),
        ("input.csv.encoding=hex", ["encoding"]),
        ("prompt.user=''", ["nothing would be asked"]),
        ("endpoint.base_url=localhost:8000/v1", ["http://localhost:8000/v1"]),
        ("endpoint.base_url=http://host:99999/v1", ["found no address"]),
        ("endpoint.base_url='http://host/v1#x'", ["never sent"]),
        ("endpoint.proxy=http://proxy.example:3128/path", ["nothing may follow"]),
        ("stop.deadline=90", ["found 90", "90m"]),
        ("output.path=ftp://bucket/x.parquet", ["ftp://", "s3://bucket/key"]),
        ("output.path=s3://bucket", ["whole bucket"]),
        ("output.path=s3://me:secret@bucket/x", ["no credentials"]),
        ("output.path=s3:/bucket/x", ["one slash", "s3://bucket/key"]),
        ("input.path=GS:/bucket/*.csv", ["GS:/ with one slash"]),
        ("images.root=s3:/bucket/photos", ["one slash", "s3://bucket/key"]),
        ("checkpoint.dir=s3://bucket/x", ["s3://", "local disk"]),
    ],
)
def test_a_value_that_is_nearly_right_is_still_named(write, text, words):
    message = message_of(write(GOOD), parse_set(text))
    assert message.startswith(f"--set {text.partition('=')[0]}")
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-0123456789abcdefghij",
        "SG_0123456789abcdef",
        "a3f1c2d4e5a3f1c2d4e5a3f1c2d4",
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        "endpoint.api_key_env={}",
        "endpoint.api_key_file={}",
        "endpoint.api_key={}",
        "endpoint.provider={}",
        "endpoint.timeout_s={}",
        "endpoint.headers={{X-Thing: 'env:{}'}}",
        "endpoint.headers={{X-Token: '{}'}}",
        "endpoint.headers={{Authorization: 'Bearer {}'}}",
        "endpoint.base_url='http://me:{}@host/v1'",
        "endpoint.url='http://host/v1?key={}'",
        "request={{api_key: '{}'}}",
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_shown(write, key, place):
    assert key not in message_of(write(GOOD), parse_set(place.format(key)))


def test_what_only_looks_like_a_secret_passes(write):
    config = load_config(
        write(GOOD),
        [
            parse_set("endpoint.headers={X-Max-Tokens: '5', X-Team: vision}"),
            parse_set("endpoint.api_key_env=MY_2ND_OPENAI_API_KEY"),
            parse_set(
                "request={max_tokens: 3, tools: [{parameters: {properties: {key: {type: string}}}}], user: the bearer of news}"
            ),
        ],
    )
    assert config.endpoint.key_variable == "MY_2ND_OPENAI_API_KEY"


def test_an_error_cannot_move_the_cursor(write):
    assert "\x1b" not in message_of(write(GOOD + '"lim\\e]0;its": 3\n'))


@settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
        max_leaves=12,
    )
)
def test_any_values_give_a_config_or_a_config_error(values):
    with contextlib.suppress(ConfigError):
        load_config(
            None,
            values={"input": {"path": "a.csv"}, "output": {"path": "o"}, **values}
            if isinstance(values, dict)
            else {"prompt": values},
        )


# -- overrides


def test_later_overrides_win_and_sections_may_be_given_whole(write):
    config = load_config(
        write(GOOD), [parse_set("limits={concurrency: 2, requests_per_minute: 9}"), parse_set("limits.concurrency=3")]
    )
    assert (config.limits.concurrency, config.limits.requests_per_minute) == (3, 9)


@pytest.mark.parametrize(
    ("file", "override", "gone"),
    [
        ('endpoint: {provider: openai, model: m, base_url: "http://a/v1"}', "endpoint.url=http://b/v1/c", "base_url"),
        ('endpoint: {provider: openai, model: m, url: "http://a/v1/c"}', "endpoint.base_url=http://b/v1", "url"),
        ('endpoint: {provider: openai, model: m, base_url: "http://a/v1"}', "endpoint.provider=simulated", "base_url"),
        ("endpoint: {provider: openai, model: m, api_key_file: k}", "endpoint.api_key_env=A", "api_key_file"),
    ],
)
def test_an_override_takes_the_place_of_the_files_other_way_to_say_it(write, file, override, gone):
    text = "\n".join(file if line.startswith("endpoint") else line for line in GOOD.splitlines())
    assert getattr(load_config(write(text), [parse_set(override)]).endpoint, gone) is None


def test_a_prompt_on_the_command_line_replaces_the_files_messages(write):
    text = GOOD.replace('user: "{{ text }}"', "messages: talk")
    config = load_config(write(text), [Override("prompt.user", "hello", "--prompt")])
    assert (config.prompt.user, config.prompt.messages) == ("hello", None)


def test_two_overrides_that_exclude_each_other_are_a_mistake(write):
    message = message_of(write(GOOD), parse_set("endpoint.url=http://b/v1/c"), parse_set("endpoint.base_url=http://b/v1"))
    assert "url or base_url, not both" in message


def test_values_may_hold_paths_and_are_not_changed(tmp_path):
    values = {
        "input": {"path": [tmp_path / "a.csv"]},
        "prompt": {"user": "x"},
        "endpoint": {"provider": "simulated"},
        "output": {"path": tmp_path / "o.parquet"},
    }
    config = load_config(None, [Override("input.path", tmp_path / "b.csv", "--input")], values=values)
    assert config.input.path == (str(tmp_path / "b.csv"),)
    assert values["input"] == {"path": [tmp_path / "a.csv"]}


def test_a_section_whose_lines_are_all_comments_is_empty(write):
    text = GOOD + "limits:\n  # concurrency: 3\nrequest:\nstop: ~\n"
    assert load_config(write(text)).limits.concurrency == 64
    assert load_config(write(GOOD), [parse_set("prompt.images="), parse_set("endpoint.headers=~")]).prompt.images == ()


# -- paths


def test_a_folder_with_brackets_in_its_name_is_no_pattern(tmp_path):
    folder = tmp_path / "run[1]"
    folder.mkdir()
    (folder / "a.csv").touch()
    (folder / "job.yaml").write_text(GOOD.replace("rows.csv", "'*.csv'"))
    (path,) = load_config(folder / "job.yaml").input.path
    assert glob.glob(path) == [str(folder / "a.csv")]


@pytest.mark.parametrize(
    ("source", "output", "refused"),
    [
        ("data", "data/out.parquet", True),
        ("data/", "data/deep/out", True),
        ("data/*.parquet", "data/out.parquet", True),
        ("data/**/*.parquet", "data/deep/out.parquet", True),
        ("out/*.parquet", "out/", True),
        ("a.parquet", "a.parquet", True),
        ("[a.csv, data]", "data/out.parquet", True),
        ("data/*.csv", "data/out.parquet", False),
        ("data/*.parquet", "data/deep/out.parquet", False),
        ("data", "out.parquet", False),
        ("data", "data.parquet", False),
        ("data/in-*.parquet", "data/out.parquet", False),
    ],
)
def test_a_job_does_not_read_its_own_output_on_the_next_run(write, source, output, refused):
    sets = [parse_set(f"input.path={source}"), parse_set(f"output.path={output}")]
    if refused:
        assert "take it for new rows" in message_of(write(GOOD), *sets)
    else:
        load_config(write(GOOD), sets)


@pytest.mark.parametrize(("path", "directory"), [("x.parquet", False), ("x", True), ("x.parquet/", True), ("v1.2/", True)])
def test_the_output_is_a_file_or_a_folder_by_its_name(write, path, directory):
    config = load_config(write(GOOD), [parse_set(f"output.path={path}")])
    assert config.output.is_directory is directory
    assert config.output.place == Path.cwd() / path


def test_a_cost_limit_needs_to_know_how_long_a_reply_may_be(write):
    priced = GOOD + "stop: {max_cost: 5}\npricing: {per_request: 0.01}\n"
    with pytest.raises(ConfigError, match=r"stop.max_cost needs request.max_tokens"):
        load_config(write(priced))
    assert load_config(write(priced + "request: {max_tokens: 10}\n")).stop.max_cost == 5


def test_a_key_pasted_for_a_key_s_name_is_not_shown(write):
    with pytest.raises(ConfigError) as refused:
        load_config(write(GOOD), [parse_set("limits.sk-proj-0123456789abcdef0123=1")])
    assert "0123456789" not in str(refused.value)
    assert "limits." in str(refused.value)


def test_a_record_of_an_output_in_a_store_needs_a_place_on_a_local_disk(write):
    message = message_of(write(GOOD), parse_set("output.path=s3://bucket/out.parquet"))
    assert "checkpoint: dir: needed, for s3://bucket/out.parquet lies in a store" in message
    both = [parse_set("output.path=s3://bucket/out.parquet"), parse_set("checkpoint.dir=record.rowcall")]
    config = load_config(write(GOOD), both)
    assert str(config.output.place) == config.output.path == "s3://bucket/out.parquet"


def test_what_is_read_may_lie_in_a_store(write):
    sets = [parse_set("input.path=[s3://bucket/in/, 's3://bucket/*.csv']"), parse_set("images.root=gs://bucket/photos")]
    config = load_config(write(GOOD), sets)
    assert config.input.path == ("s3://bucket/in/", "s3://bucket/*.csv")
    assert str(config.images.root) == "gs://bucket/photos"
