import datetime
import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import BadRowError, ConfigError
from pipeline.prompts.template import Template


def template(source: str, *columns: str) -> Template:
    return Template(source, key="prompt.user", columns=columns)


def rendered(source: str, **cells: object) -> str:
    return template(source, *cells).render(cells)


def refused_row(source: str, **cells: object) -> str:
    """The message of the BadRowError; a template that is refused when it is built fails the test."""
    built = template(source, *cells)
    with pytest.raises(BadRowError) as caught:
        built.render(cells)
    return str(caught.value)


def refused_template(source: str, *columns: str) -> str:
    with pytest.raises(ConfigError) as caught:
        template(source, *columns)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "cells", "wanted"),
    [
        pytest.param("Q: {{ q }}\n", {"q": "why?"}, "Q: why?\n", id="trailing newline kept"),
        pytest.param("{{ q }}", {"q": ""}, "", id="empty cell is an empty string"),
        pytest.param("{{ q }}", {"q": "<b> & 'c'"}, "<b> & 'c'", id="nothing is escaped"),
        pytest.param("{{ n + 1 }} {{ x }} {{ b }}", {"n": 6, "x": 1.5, "b": True}, "7 1.5 True", id="numbers and bools"),
        pytest.param(
            "{{ d }} {{ p }}", {"d": datetime.date(2026, 1, 2), "p": decimal.Decimal("1.10")}, "2026-01-02 1.10", id="dates"
        ),
        pytest.param("{{ a.b[0].c }}", {"a": {"b": [{"c": "x"}]}}, "x", id="nested"),
        pytest.param("{% for t in tags %}{{ loop.index }}{{ t }}{% endfor %}", {"tags": ["a", "b"]}, "1a2b", id="loop"),
        pytest.param(
            "{{ range }} {{ dict }} {{ loop }}", {"range": "r", "dict": "d", "loop": "l"}, "r d l", id="named like globals"
        ),
        pytest.param("{% for i in range(n) %}{{ i }}{% endfor %}", {"n": 3}, "012", id="the global where no column is"),
        pytest.param("{{ class }} {{ lambda }}", {"class": "c", "lambda": "l"}, "c l", id="named like python keywords"),
        pytest.param("{{ row['if'] }} {{ row['my col'] }}", {"if": 1, "my col": 2}, "1 2", id="named like jinja keywords"),
        pytest.param("{{ row }}", {"row": "mine"}, "mine", id="a column named row"),
        pytest.param(
            "{% for k, v in row.items() %}{{ k }}={{ v }};{% endfor %}", {"b": 1, "a": 2}, "b=1;a=2;", id="whole row in order"
        ),
        pytest.param(
            "{% for k in row.items() %}{{ k[0] }}{% endfor %}", {"items": 1, "a": 2}, "itemsa", id="a column named items"
        ),
        pytest.param("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(a) }}", {"a": 1}, "[1]", id="macro"),
        pytest.param(
            "{% set ns = namespace(n=0) %}{% for i in a %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
            {"a": [1, 2]},
            "3",
            id="sum",
        ),
        pytest.param(
            "{% if a %}{% set b = 1 %}{% else %}{% set b = 2 %}{% endif %}{{ b }}", {"a": 0}, "2", id="set on both paths"
        ),
        pytest.param(
            "{% if a %}{% set b = 1 %}{% endif %}{{ 'y' if b is defined else 'n' }}", {"a": 0}, "n", id="set on one path"
        ),
        pytest.param(
            "{{ a | tojson }}",
            {"a": {"k": "<é&'>", "d": datetime.date(2026, 1, 2)}},
            '{"k": "<é&\'>", "d": "2026-01-02"}',
            id="tojson as it is",
        ),
        pytest.param(
            "{{ row | tojson }}",
            {"a": None, "b": float("nan"), "c": [1, None]},
            '{"a": null, "b": null, "c": [1, null]}',
            id="json says null",
        ),
    ],
)
def test_a_template_prints(source, cells, wanted):
    assert rendered(source, **cells) == wanted


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cell_is_never_read_as_template_text(cell):
    assert rendered("a {{ q }} z", q=cell) == f"a {cell} z"


@pytest.mark.parametrize("cell", ["{{ 7*7 }}", "{{ ''.__class__ }}", "{% for i in range(9) %}x{% endfor %}", "{# gone #}"])
def test_a_template_in_a_cell_stays_text(cell):
    assert rendered("{{ q }}", q=cell) == cell


# -- nulls

NULLS = [pytest.param(None, id="null"), pytest.param(float("nan"), id="NaN")]


@pytest.mark.parametrize("cell", NULLS)
@pytest.mark.parametrize(
    "source",
    [
        "{{ title }}",
        "{{ title | upper }}",
        "{{ title | trim }}",
        "{{ title | int }}",
        "{{ title | float }}",
        "{{ title | string }}",
        "{{ title | default('x') }}",
        "{{ 'by ' ~ title }}",
        "{{ 'by ' + title }}",
        "{{ title * 2 }}",
        "{{ '%s' % title }}",
        "{{ '{}'.format(title) }}",
        "{{ [title] | join }}",
        "{{ [title] }}",
        "{{ row }}",
        "{{ title > 3 }}",
        "{{ 'x' in title }}",
        "{{ title | length }}",
        "{% for letter in title %}{% endfor %}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(title) }}",
        "{% set t = title %}{{ t }}",
    ],
)
def test_a_null_never_becomes_text(source, cell):
    message = refused_row(source, title=cell)
    assert "column 'title' is" in message
    assert "{{ … or '' }}" in message


@pytest.mark.parametrize("cell", NULLS)
@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{{ title or '' }}", ""),
        ("{{ title or 'untitled' }}", "untitled"),
        ("{{ title | default('untitled', true) }}", "untitled"),
        ("{% if title %}yes{% else %}no{% endif %}", "no"),
        ("{{ title is none }}", "True"),
        ("{{ title is not none }}", "False"),
        ("{{ title == none }}", "True"),
        ("{{ title is defined }}", "True"),
        ("{{ title is string or title is number or title is iterable or title is sequence }}", "False"),
        ("{{ title in ['', none] }}", "True"),
        ("{{ [title, 'b'] | select | join }}", "b"),
        ("{{ title.main.short or 'none' }}", "none"),
        ("{{ title['main'] or 'none' }}", "none"),
    ],
)
def test_a_null_can_be_asked_about(source, wanted, cell):
    assert rendered(source, title=cell) == wanted


@pytest.mark.parametrize(
    ("source", "cell", "place"),
    [
        pytest.param("{{ author.name }}", {"name": None}, "'author.name' in column 'author' is null", id="field"),
        pytest.param("{{ author.name }}", None, "column 'author' is null", id="whole struct"),
        pytest.param("{{ author }}", [1, {"x": None}], "'author[1].x' in column 'author' is null", id="deep"),
        pytest.param("{{ author | sum }}", [1, None], "'author[1]' in column 'author' is null", id="in a sum"),
        pytest.param("{% for k, v in author %}{{ v }}{% endfor %}", [("a", None)], "'author[0][1]'", id="map"),
    ],
)
def test_a_null_within_a_cell_says_where_it_is(source, cell, place):
    assert place in refused_row(source, author=cell)


def test_a_null_of_the_templates_own_is_refused_too():
    assert "printed null" in refused_row("{{ meta.get('absent') }}", meta={"a": 1})


def test_rendering_leaves_the_cells_as_they_are():
    cells = {"a": [1, None, {"b": None}], "m": [("k", None)]}
    rendered("{{ a[0] }}{{ a | length }}{{ m | length }}", **cells)
    assert cells == {"a": [1, None, {"b": None}], "m": [("k", None)]}


# -- rows that do not fit


@pytest.mark.parametrize(
    ("source", "cells", "words"),
    [
        pytest.param("{{ a.nmae }}", {"a": {"name": 1}}, "no attribute 'nmae'", id="missing field"),
        pytest.param("{{ a[5] }}", {"a": [1]}, "no element 5", id="missing item"),
        pytest.param("{{ a | first }}", {"a": []}, "empty", id="first of nothing"),
        pytest.param("{{ a / b }}", {"a": 1, "b": 0}, "division by zero", id="arithmetic"),
        pytest.param("{{ a + 1 }}", {"a": "x"}, "concatenate", id="types"),
        pytest.param("{{ a }}", {"a": b"\x89PNG"}, "images belong in prompt.images", id="bytes"),
        pytest.param("{{ a }}", {"a": {"bytes": b"\x89PNG", "path": "x"}}, "images belong in prompt.images", id="image struct"),
        pytest.param("{{ a | tojson }}", {"a": [b"x"]}, "bytes cannot be written as JSON", id="bytes as JSON"),
        pytest.param("{{ a | map('upper') }}", {"a": ["x"]}, "add | list or | join", id="iterator"),
        pytest.param("{{ a.items }}", {"a": {"items": 1}}, "value['name']", id="method of a mapping"),
        pytest.param("{{ a.upper }}", {"a": "x"}, "printed a function", id="method of a text"),
        pytest.param("{{ a|map(attribute='x')|list }}", {"a": [{"y": 1}]}, "no attribute 'x'", id="undefined in a list"),
        pytest.param("{{ a|truncate(2) }}", {"a": "xyz"}, "prompt.user", id="an assertion of Jinja's own"),
        pytest.param("{{ '\\ud800' ~ a }}", {"a": "x"}, "lone surrogate", id="lone surrogate"),
        pytest.param("{{ a }}", {"a": "x\ud800"}, "lone surrogate", id="lone surrogate in a cell"),
        pytest.param("{{ 'ab' * n }}", {"n": 10**12}, "a product of more than", id="text times a cell"),
        pytest.param("{{ n * 'ab' }}", {"n": 10**12}, "a product of more than", id="a cell times text"),
        pytest.param("{{ [0] * n }}", {"n": 10**12}, "a product of more than", id="list times a cell"),
        pytest.param("{{ a.ljust(n) }}", {"a": "x", "n": 10**9}, "a width of more", id="padded to a cell"),
        pytest.param("{{ a | center(n) }}", {"a": "x", "n": 10**9}, "a width of more", id="centred in a cell"),
        pytest.param("{{ a | indent(n) }}", {"a": "x\ny", "n": 10**9}, "a width of more", id="indented by a cell"),
        pytest.param("{{ '%*d' % (n, 1) }}", {"n": 10**9}, "a width of more", id="a format's width from a cell"),
        pytest.param("{{ f % 1 }}", {"f": "%1000000000d"}, "a width of more", id="a cell as format"),
        pytest.param("{{ a.replace('x', a) }}", {"a": "x" * 9999}, "a product of more", id="a cell replaced by cells"),
        pytest.param(
            "{{ a | replace('x', a) }}", {"a": "x" * 9999}, "a product of more", id="a cell replaced by cells, as filter"
        ),
        pytest.param("{{ a.join(a) }}", {"a": "x" * 9999}, "a product of more", id="a cell joined by itself"),
        pytest.param("{{ a | join(a) }}", {"a": "x" * 9999}, "a product of more", id="a cell joined by itself, as filter"),
        pytest.param("{{ n ** n }}", {"n": 10**9}, "a power too large", id="power"),
        pytest.param("{% for i in range(n) %}{% endfor %}", {"n": 10**12}, "Range too big", id="range"),
        pytest.param("{% for i in range(99999) %}{{ a }}{% endfor %}", {"a": "x" * 99}, "longer than 1,000,000 bytes", id="loop"),
        pytest.param("{{ a }}", {"a": "é" * 500_001}, "longer than 1,000,000 bytes", id="bytes count, not characters"),
        pytest.param("{{ a.__class__ }}", {"a": ""}, "unsafe", id="python's insides"),
        pytest.param("{{ ''['__class__'] }}{{ a }}", {"a": ""}, "unsafe", id="python's insides by item"),
        pytest.param("{{ '{0.__class__}'.format(a) }}", {"a": ""}, "unsafe", id="python's insides by format"),
        pytest.param("{{ a.append(1) }}", {"a": []}, "unsafe", id="changing a cell"),
        pytest.param("{% set x = row.update({}) %}{{ a }}", {"a": 1}, "unsafe", id="changing the row"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_itself(source, cells, words):
    message = refused_row(source, **cells)
    assert message.startswith("prompt.user: ")
    assert words in message
    assert "\n" not in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("source", "cells", "wanted"),
    [
        ("{{ '**%d people** of 12345678' % n }}", {"n": 8_000_000_000}, "**8000000000 people** of 12345678"),
        ("{{ '{:,}'.format(n) }}", {"n": 8_000_000_000}, "8,000,000,000"),
        ("{{ a.ljust(5) }}|{{ a | center(5) }}|{{ '%*d' % (3, 1) }}", {"a": "x"}, "x    |  x  |  1"),
        ("{{ a | indent(2, true) }}|{{ a | indent('> ') }}", {"a": "x\ny"}, "  x\n  y|x\n> y"),
        ("{{ a | replace('x', 'yy') }}|{{ a | replace('x', 'z', 1) }}|{{ a.replace('x', '') }}", {"a": "xx"}, "yyyy|zx|"),
        ("{{ a | join(', ') }}|{{ b | join('-', attribute='n') }}", {"a": [1, 2], "b": [{"n": 3}]}, "1, 2|3"),
    ],
)
def test_numbers_and_lists_of_ordinary_size_print_as_ever(source, cells, wanted):
    assert rendered(source, **cells) == wanted


def test_a_million_bytes_are_still_a_prompt():
    assert len(rendered("{{ a }}", a="x" * 1_000_000)) == 1_000_000


def test_a_bad_row_names_the_line_of_a_longer_template():
    assert refused_row("one\ntwo\n{{ a / 0 }}\n", a=1) == "prompt.user, line 3: division by zero"
    assert refused_row("one\n{{ title }}", title=None).startswith("prompt.user, line 2: column 'title' is null")


def test_hostile_text_reaches_no_terminal_through_a_message():
    message = refused_row("{{ a[key] }}", a={}, key="\x1b]0;x\x07\nnext")
    assert message.isprintable()


# -- templates that fit no row


@pytest.mark.parametrize(
    ("source", "columns", "words"),
    [
        pytest.param(
            "{{ titel }}", ["id", "title"], ["no column 'titel'", "did you mean 'title'?", "'id', 'title'"], id="nearest"
        ),
        pytest.param("{{ TITLE }}", ["title"], ["did you mean 'title'?"], id="letter case"),
        pytest.param("a\n{{ b }}\n{{ titel }}", ["b"], ["line 3", "no column 'titel'"], id="line"),
        pytest.param("{{ x }}", [], ["columns are: none"], id="no columns at all"),
        pytest.param("{{ titel | default('') }}", ["title"], ["no column 'titel'"], id="default does not hide a typo"),
        pytest.param("{% if false %}{{ titel }}{% endif %}", ["title"], ["no column 'titel'"], id="on a path not taken"),
        pytest.param("{% for t in tags %}{{ titel }}{% endfor %}", ["tags"], ["no column 'titel'"], id="in a loop"),
        pytest.param("{{ lipsum() }}", ["a"], ["no column 'lipsum'"], id="chance by lipsum"),
        pytest.param("{{ a | random }}", ["a"], ["no filter 'random'"], id="chance by random"),
        pytest.param("{{ a | uper }}", ["a"], ["no filter 'uper'", "did you mean 'upper'?"], id="filter"),
        pytest.param("{% if a %}{{ a | uper }}{% endif %}", ["a"], ["no filter 'uper'"], id="filter on one path"),
        pytest.param("{{ a is evn }}", ["a"], ["no test 'evn'", "did you mean 'even'?"], id="test"),
        pytest.param("x\n{% if %}", ["a"], ["line 2", "Expected an expression"], id="syntax"),
        pytest.param("{{ a ", ["a"], ["unexpected end of template"], id="never closed"),
        pytest.param("{% trans %}", ["a"], ["unknown tag 'trans'"], id="unknown tag"),
        pytest.param("{{ my col }}", ["my col"], ["row['my col']"], id="a name with a blank"),
        pytest.param("{{ my-col }}", ["my-col"], ["no column 'my'", "row['my-col']"], id="a name with a hyphen"),
        pytest.param("{{ row['titel'] }}", ["title"], ["no column 'titel'", "did you mean 'title'?"], id="row item"),
        pytest.param("{{ row.titel }}", ["title"], ["no column 'titel'"], id="row attribute"),
        pytest.param("{{ self }}", ["self"], ["row['self']"], id="self"),
        pytest.param("{% include 'x' %}", ["a"], ["not available"], id="include"),
        pytest.param("{% import 'x' as y %}", ["a"], ["not available"], id="import"),
        pytest.param("{% from 'x' import y %}", ["a"], ["not available"], id="from import"),
        pytest.param("{% extends a %}", ["a"], ["not available"], id="extends"),
        pytest.param("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", ["a"], ["nested too deeply"], id="nesting bomb"),
        pytest.param("{{ " + "9" * 5000 + " }}", ["a"], ["number too large"], id="number bomb"),
    ],
)
def test_what_no_row_could_mend_is_said_before_the_first(source, columns, words):
    message = refused_template(source, *columns)
    assert message.startswith("prompt.user")
    for each in words:
        assert each in message
    assert "\n" not in message


def test_many_columns_are_not_all_listed():
    message = refused_template("{{ x }}", *(f"column_{n}" for n in range(5000)))
    assert "and 4980 more" in message
    assert len(message) < 700


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        pytest.param("{{ c }} {{ a }}", ("a", "c"), id="in the input's order"),
        pytest.param("text", (), id="none"),
        pytest.param("{{ row['a'] }} {{ row.b }}", ("a", "b"), id="by row, spelled out"),
        pytest.param("{{ row.items() | list }}", ("a", "b", "c"), id="the whole row"),
        pytest.param("{{ row[a] }}", ("a", "b", "c"), id="by row, not known before"),
        pytest.param("{% for row in a %}{{ row['x'] }}{% endfor %}", ("a",), id="row as the template's own name"),
        pytest.param("{% set b = 1 %}{{ b }}", (), id="hidden by the template's own"),
        pytest.param("{% for a in c %}{{ a }}{% endfor %}", ("c",), id="hidden by a loop"),
    ],
)
def test_only_columns_that_are_needed_are_read(source, wanted):
    assert template(source, "a", "b", "c").columns == wanted


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.none() | st.integers() | st.text() | st.lists(st.none() | st.floats()), min_size=4
    )
)
def test_the_same_row_gives_the_same_text(cells):
    built = template("{{ row | tojson }}{% for x in c or [] %}{{ x or '-' }}{% endfor %}{{ d is none }}", *cells)

    def attempt() -> str:
        try:
            return built.render(cells)
        except BadRowError as error:
            return f"refused: {error}"

    assert attempt() == attempt()
