"""The metrics that are rowcall's own: exact, F1, contains, number, choice, JSON."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ConfigError
from pipeline.evaluate.catalogue import METRICS, metrics_named
from pipeline.evaluate.choices import chosen_letter
from pipeline.evaluate.jsons import field_of
from pipeline.evaluate.normal import normalised
from pipeline.evaluate.numbers import last_number, value_of

OWN = ("exact", "f1", "contains", "choice", "number", "json")


def score(name: str, answer: str, *references: str) -> float:
    (metric,) = metrics_named([name])
    return float(metric.score([answer], [references]).rows[0])


@pytest.mark.parametrize(
    ("answer", "references", "expected"),
    [
        ("Paris", ["Paris"], 1),
        (" the PARIS! ", ["Paris"], 1),
        ("Lyon", ["Paris"], 0),
        ("Lyon", ["Paris", "lyon"], 1),
        ("35", ["3.5"], 0),
        ("-5", ["5"], 0),
        ("1,250", ["1250"], 1),
        ("", ["the"], 0),
        ("!", ["the"], 0),
        ("-", ["+"], 0),
        ("the", ["A"], 0),
        ("A.", ["a"], 1),
    ],
)
def test_exact_match(answer: str, references: list[str], expected: float) -> None:
    assert score("exact", answer, *references) == expected


def squad_f1(answer: str, reference: str) -> float:
    """f1_score of SQuAD's evaluate-v2.0.py."""
    said, expected = normalised(answer).split(), normalised(reference).split()
    if not said or not expected:
        return float(said == expected)
    same = sum((collections.Counter(said) & collections.Counter(expected)).values())
    if not same:
        return 0.0
    precision, recall = same / len(said), same / len(expected)
    return 2 * precision * recall / (precision + recall)


@given(st.text("ab c", min_size=1), st.lists(st.text("ab c", min_size=1), min_size=1, max_size=3))
def test_f1_is_squads_best_over_the_references(answer: str, references: list[str]) -> None:
    assert score("f1", answer, *references) == pytest.approx(max(squad_f1(answer, each) for each in references), abs=1e-12)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [("It is Paris, France.", "paris", 1), ("It was 112.", "12", 0), ("New York City", "york city", 1), ("Parisian", "Paris", 0)],
)
def test_contains_looks_for_whole_tokens(answer: str, reference: str, expected: float) -> None:
    assert score("contains", answer, reference) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("So 3 + 4 = 7.", "7"),
        ("It is 1,250.", "1250"),
        ("100,000,000 people", "100000000"),
        ("5-3", "3"),
        ("= -3.5", "-3.5"),
        ("(\u22127)", "-7"),
        ("-$5", "-5"),
        ("x=.5", ".5"),
        ("2.5e-3 m", "2.5e-3"),
        ("about 3/4", "3/4"),
        ("on 12/25/2020", "2020"),
        ("0.5%", "0.5"),
        (r"\boxed{42}", "42"),
        (r"so \boxed{42}, found in 3 steps", "42"),
        (r"\boxed{x}, so 3", "3"),
        (r"\boxed{\frac{3}{4}}", "3/4"),
        (r"-\dfrac{7}{2}", "-7/2"),
        (r"\frac12", "1/2"),
        (r"\frac{x}{4}", "4"),
        ("$1{,}250$", "1250"),
        (r"10,\!080", "10080"),
        (r"1\,250\,000", "1250000"),
        ("\u20135 degrees", "-5"),
        ("5\u201310 minutes", "10"),
        ("72 cm^2", "72"),
        (r"$72\text{ cm}^{2}$", "72"),
        ("2^10", "10"),
        ("**42**", "42"),
        ("H2O", None),
        ("v1.2.3", None),
        ("none", None),
        ("9" * 100, None),
        ("1.5 × 10^6 people", "1.5e6"),
        (r"$1.5 \times 10^{-6}$", "1.5e-6"),
        ("about 3·10⁸ m/s", "3e8"),
        ("3 x 10", "10"),
        ("2 * 10**3", "2e3"),
        ("2 x 10^6 2", "2"),
        ("5 1/2 cups", "11/2"),
        ("-5 1/2", "-11/2"),
        ("in 2019 3/4 of them", "3/4"),
        ("on 5 10/3", "10/3"),
        ("on 5 1/2/2020", "2020"),
    ],
)
def test_the_last_number_is_found(text: str, expected: str | None) -> None:
    assert last_number(text) == expected


def test_numbers_are_equal_by_value() -> None:
    assert score("number", "so 1,250.0", "1250") == 1
    assert score("number", "0.75", "3/4") == 1
    assert score("number", "#### 18", "9 * 2 = 18") == 1
    assert score("number", "3.14", "3.14159") == 0
    assert score("number", "7", "-7") == 0
    assert score("number", r"\frac{1}{4}", r"\frac{3}{4}") == 0
    assert value_of("1/0") is None


@given(st.integers(-(10**12), 10**12), st.sampled_from(["{:,}", "{}", "so {:,}.", "{}.0", "{:,}.00 in all"]))
def test_a_whole_number_is_read_however_it_is_written(number: int, form: str) -> None:
    assert score("number", form.format(number), str(number)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", "B"),
        ("(b)", "B"),
        ("b.", "B"),
        ("The answer is B.", "B"),
        ("**Answer:** C", "C"),
        ("Answer: (D) because it floats", "D"),
        ("The correct option is: **C**", "C"),
        ("final answer: option B", "B"),
        (r"\boxed{\text{E}}", "E"),
        ("C. Paris", "C"),
        ("A: x\nB: y\nThe answer is C", "C"),
        ("I first thought the answer is A. But no: the answer is D", "D"),
        ("I think A is wrong, so B", "B"),
        ("Answer: A because it floats", "A"),
        ("The correct answer is C. Option D is wrong because it is too large.", "C"),
        ("Answer: B\n\nExplanation: Option A is wrong, option C is too.", "B"),
        ("**Answer**: C. B and D are wrong.", "C"),
        ("Option A is incorrect. Option B is correct. Option C is incorrect.", "B"),
        ("**B. 12**\n\nOption A is off by one.", "B"),
        ("B\n\nI chose this because option A is too small.", "B"),
        ("A. Paris\nB. Rome\nI choose option B", "B"),
        ("I'd select option B over option C.", "B"),
        ("B is correct. A is wrong since D holds.", "B"),
        ("(A) is false, (B) is true, so B", "B"),
        ("The answer is \u2018B\u2019.", "B"),
        ("The answer is 'B'.", "B"),
        (r"The answer is \(B\).", "B"),
        (r"$\boxed{\textbf{(C)}}$", "C"),
        (r"\boxed{C. Paris}", "C"),
        ("A dog", None),
        ("Answer: A dog", None),
        ("I do not know", None),
        ("Don't ask", None),
        ("", None),
    ],
)
def test_the_letter_chosen_is_found(text: str, expected: str | None) -> None:
    assert chosen_letter(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        'Based on [1], it is {"a": 1}',
        '{"a": 1} as in [2]',
        'At first {"a": 2}. Finally {"a": 1}',
        '```python\nx = [1]\n```\n```json\n{"a": 1}\n```',
        '```json\n{"a": 1}\n```\nUse it so:\n```python\nprint([3])\n```',
        'I used the form {"b": string}: {"a": 1}',
    ],
)
def test_json_in_a_text_is_its_last_object_and_no_footnote(text: str) -> None:
    assert field_of(text, ()) == '{"a": 1}'
    assert field_of("Sorted: [2] no, [1, 2]", ()) == "[1, 2]"


def test_a_fence_and_many_blanks_take_no_time() -> None:
    assert field_of("```" + " " * 1_000_000, ()) is None  # minutes, where blanks may be matched in two ways


def test_json_is_compared_by_value() -> None:
    assert score("json", 'Here: ```json\n{"b": 1.0, "a": [true]}\n``` done', '{"a": [true], "b": 1}') == 1
    assert score("json", '{"a": true}', '{"a": 1}') == 0
    assert score("json", 'I say {"a": NaN}', '{"a": null}') == 0
    assert score("json", "[1, 2]", "[2, 1]") == 0


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"a": {"b": [1, "x"]}}', ("a", "b", "1"), "x"),
        ('{"a": {"b": [1, "x"]}}', ("a", "b", "7"), None),
        ('{"a": 1.0}', ("a",), "1"),
        ('{"a": null}', ("a",), None),
        ('so {"a": "yes"} it is', ("a",), "yes"),
        ("no json", (), None),
        ('"text"', (), "text"),
    ],
)
def test_a_field_of_json_is_found(text: str, path: tuple[str, ...], expected: str | None) -> None:
    assert field_of(text, path) == expected


@pytest.mark.parametrize(
    ("name", "reference"), [("choice", "Paris"), ("number", "none"), ("json", "{not json"), ("number", "1/0"), ("choice", "K")]
)
def test_a_reference_of_the_wrong_kind_is_an_error_that_shows_it(name: str, reference: str) -> None:
    with pytest.raises(ConfigError, match=f"--metric {name}: .*reference"):
        score(name, "1", reference)


@pytest.mark.parametrize("name", ["choice", "number", "json"])
def test_a_text_without_an_answer_is_counted_and_an_empty_one_is_not(name: str) -> None:
    (metric,) = metrics_named([name])
    reference = {"choice": "B", "number": "3", "json": "{}"}[name]
    scored = metric.score(["hm", ""], [[reference], [reference]])
    assert scored.unanswered is not None
    assert scored.unanswered.tolist() == [True, False]
    assert scored.rows.tolist() == [0, 0]


HOSTILE = [
    *("9" * 200_000, "1," * 100_000, "-" * 200_000, "[" * 200_000, '{"a":' * 50_000, "(A" * 100_000, "answer " * 30_000),
    *("```json\n" * 30_000, "\0", "\ud800", "1e999999999", "1/" * 100_000, "\u202e" * 1000, "a" * 200_000, " " * 200_000),
    *("answer is " * 20_000, "\\boxed{" * 30_000, "*" * 200_000, "1.1" * 60_000, "1,111" * 40_000),
]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: f"{text[:10]!r}x{len(text)}")
def test_hostile_texts_are_scored_and_hold_nobody_up(name: str, text: str) -> None:
    # What takes the square of their length takes minutes, and meets the suite's timeout.
    assert score(name, text, {"choice": "B", "number": "3", "json": "{}"}.get(name, "x")) in (0, 1)


def test_an_unknown_metric_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"--metric exakt: .* did you mean exact\?"):
        metrics_named(["exakt"])


def test_metrics_are_made_once_in_the_order_given() -> None:
    assert [each.about.name for each in metrics_named(["f1", "exact", "f1"])] == ["f1", "exact"]
    assert [name for name in METRICS if name in OWN] == list(OWN)
