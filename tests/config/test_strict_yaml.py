"""YAML is read as people expect it, and cannot do harm."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.strict_yaml import parse
from pipeline.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("22:30", "22:30"),
        ("06:30", "06:30"),
        ("1e-3", 0.001),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-3", -3),
        ("007", 7),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("2024-01-31", "2024-01-31"),
        ("2024-13-45", "2024-13-45"),
        ("-.inf", -math.inf),
        ("~", None),
        ("", None),
        ("null", None),
        ("'null'", "null"),
        ("'3'", "3"),
        ("<<", "<<"),
        ("=", "="),
        (";", ";"),
        ('"\\t"', "\t"),
        ("{a: [1, {b: c}]}", {"a": [1, {"b": "c"}]}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_a_value_is_what_it_looks_like(text, value):
    found = parse(text, "x")
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_read_as_such():
    found = parse(".nan", "x")
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("a: &x [1]\nb: *x\n", "line 2, column 4", id="alias, where"),
        pytest.param("a: &x [1]\nb: *x\n", "aliases", id="alias"),
        pytest.param("a: &x {b: 1}\nc: {<<: *x}\n", "aliases", id="merge"),
        pytest.param("a: !!python/object/apply:os.system ['true']\n", "tags", id="python object"),
        pytest.param("!!map [1]", "tags", id="a list called a mapping"),
        pytest.param("a: !!timestamp foo", "tags", id="timestamp"),
        pytest.param("a: !!bool x", "tags", id="bool"),
        pytest.param("a: !mine x", "tags", id="own tag"),
        pytest.param("a: 1\na: 2\n", "line 2, column 1: not valid YAML: the key 'a' is given twice", id="twice"),
        pytest.param("a: {1: x, 1: y}", "given twice", id="number twice"),
        pytest.param("{[a]: b}", "unhashable", id="list as key"),
        pytest.param("{{ title }}", 'a template needs quotes: "{{ title }}"', id="template"),
        pytest.param("a\n---\nb\n", "document", id="two documents"),
        pytest.param("a: [1\n", "line 2", id="open list"),
        pytest.param("a:\tb: c", "not valid YAML", id="tab"),
        pytest.param("[" * 100_000, "too deeply", id="deep"),
        pytest.param("1" * 5000, "thousands of digits", id="digits"),
        pytest.param(b"\xff\xff\xff", "not valid YAML", id="bytes"),
        pytest.param("a: \x00", "not valid YAML", id="NUL"),
    ],
)
def test_harm_and_surprise_are_one_line(text, words):
    with pytest.raises(ConfigError) as error:
        parse(text, "job.yaml")
    assert words in str(error.value)
    assert str(error.value).startswith("job.yaml")
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 300


STRUCTURE = (": ", "- ", "\n", "\n  ", "[", "]", "{", "}", ", ", "'", '"', "|", ">", "? ", "# ", "---\n", "...", "%", "@", "`")
SURPRISES = ("&x ", "*x", "!!map ", "!!int ", "!", "!!str ", "<<: ", "\t", "\\", "é", "\x85")
SCALARS = ("a", "b", "1", "1.5", ".", ":", "~", "null", "true", "2024-01-01", "22:30")
PIECES = st.sampled_from([*STRUCTURE, *SURPRISES, *SCALARS])


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_any_text_gives_plain_values_or_a_config_error(text):
    try:
        value = parse(text, "x")
    except ConfigError:
        return
    assert_plain(value)


def assert_plain(value: object) -> None:
    match value:
        case dict():
            for key, item in value.items():
                assert_plain(key)
                assert_plain(item)
        case list() | tuple():
            for item in value:
                assert_plain(item)
        case _:
            assert value is None or type(value) in (str, int, float, bool)
