"""What captioners check: each mark with what deserves it and what does not, the counts, and what hostile texts cost."""

import time
from collections.abc import Iterable
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import sketches
from pipeline.core.captions import CaptionChecks, marks
from pipeline.core.loops import is_loop
from pipeline.core.sketches import Frequent, Repeats
from pipeline.core.words import words_of

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def looked_through(texts: list[str | None], **columns: list[str | None]) -> dict[str, object]:
    checks = CaptionChecks(len(texts))
    none: list[str | None] = [None] * len(texts)
    for start in range(0, len(texts), 7):
        part = slice(start, start + 7)
        checks.add(texts[part], columns.get("reasons", none)[part], columns.get("extras", none)[part])
    return checks.to_json()


# -- loops


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("A dog runs. " * 3 + "A dog runs. A dog", id="a sentence of three words, cut off"),
        pytest.param("The cat sits on the mat. " * 3, id="a sentence three times"),
        pytest.param("A street with " + "the " * 10, id="one word"),
        pytest.param("It says no " + "and on " * 5, id="two words"),
        pytest.param(" ".join(f"{number}. a dog" for number in range(20)), id="numbered"),
        pytest.param("A red car, " + " ".join(f"word{n}" for n in range(100)) + " and a tree and a bush" * 9, id="a tail"),
        pytest.param("A cat. " + "on the mat " * 9 + " ".join(f"word{n}" for n in range(100)), id="a middle"),
        pytest.param("a a b b " * 5, id="words twice within the period"),
        pytest.param("哈" * 30, id="laughter without end"),
        pytest.param("一只猫坐在垫子上。" * 4, id="Chinese"),
        pytest.param("これは猫です、" * 5, id="Japanese"),
        pytest.param("A sign: " + "ha" * 20, id="one long word"),
        pytest.param("собака бежит по " * 4, id="Russian"),
        pytest.param("A dog, a dog, A DOG, a dog, a Dog, a dog, a dog", id="whatever the case"),
    ],
)
def test_a_text_that_goes_round_is_a_loop(text: str) -> None:
    assert "loop" in marks(text, "stop", None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a man, a woman, a dog, a cat, a bird, a horse, a cow, a hen, a duck, a goat", id="a list"),
        pytest.param("ha ha ha", id="laughter"),
        pytest.param("哈哈哈哈哈，他笑了", id="Chinese laughter"),
        pytest.param("It was very very very very good", id="emphasis"),
        pytest.param(" ".join(map(str, range(300))), id="numbers"),
        pytest.param("0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0", id="zeros"),
        pytest.param("10 kg 12 kg 9 kg 7 kg 11 kg 30 kg 31 kg 1 kg 4 kg 8 kg", id="a column of weights"),
        pytest.param("| a | b |\n" + "| --- | --- |" + " --- |" * 20 + "\n" + "-" * 80 + "=" * 80, id="rules and tables"),
        pytest.param("Wait......................................", id="dots"),
        pytest.param("We will, we will rock you. We will, we will rock you.", id="a refrain twice"),
        pytest.param("Donaudampfschifffahrtsgesellschaftskapitän", id="a long word"),
        pytest.param("https://example.org/pictures/2024/06/07/IMG_20240607_142233.jpeg?size=large", id="an address"),
        pytest.param("On the left there is a red car. On the right there is a blue car. Behind there is a tree.", id="parallel"),
    ],
)
def test_a_text_that_says_things_in_a_row_is_none(text: str) -> None:
    assert "loop" not in marks(text, "stop", None)


@given(st.lists(st.sampled_from("abcdefghijklmn"), min_size=1, unique=True), st.integers(0, 30), st.integers(0, 30))
def test_whatever_is_said_often_enough_in_a_row_is_found(unit: list[str], before: int, after: int) -> None:
    times = 3 if len(unit) >= 4 else 9
    assert is_loop([f"w{n}" for n in range(before)] + unit * times + [f"v{n}" for n in range(after)])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("哈" * 33_000, id="one character"),
        pytest.param("- " * 50_000, id="no letters"),
        pytest.param("0 1 2 3 4 5 6 7 8 9 " * 5_000, id="a period without letters"),
        pytest.param(" ".join(map(str, range(8_000))) * 3, id="a long period without letters"),
        pytest.param(" ".join("ab"[bin(n).count("1") % 2] for n in range(50_000)), id="Thue-Morse"),
        pytest.param("".join(Random(1).choices("天地玄黄", k=33_000)), id="four characters by chance"),
        pytest.param(" " * 100_000, id="blank"),
        pytest.param("i'm sorry, but " * 7_000, id="excuses"),
        pytest.param("a" * 50_000 + "1" * 50_000, id="one word"),
    ],
)
def test_a_hostile_text_of_100_kb_takes_a_fraction_of_a_second(text: str) -> None:
    before = time.process_time()
    marks(text, "stop", None)
    assert time.process_time() - before < 2.0  # 0.1 s where it is slow; a quadratic look would take minutes


# -- refusals, stock phrases, the rest


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that.",
        "I’m sorry, I can’t help with identifying people in images.",
        "Sorry, I cannot describe this image.",
        "I apologize, but I am unable to view images.",
        "I cannot assist with this request.",
        "I'm unable to process the image.",
        "I can't see any image in your message.",
        "Unfortunately, I am not able to analyze this picture.",
        "As an AI language model, I cannot view images.",
        "As an AI, I don't have eyes.",
        "Es tut mir leid, aber ich kann dieses Bild nicht beschreiben.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Lo siento, pero no puedo ayudar con eso.",
        "Desculpe, mas não posso ajudar com isso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Извините, но я не могу описать это изображение.",
        "很抱歉，我无法协助处理这个请求。",
        "我无法识别图片中的人物。",
        "申し訳ありませんが、その画像の説明はできません。",
        "죄송하지만 이 요청은 도와드릴 수 없습니다.",
    ],
)
def test_declining_to_answer_is_a_refusal(text: str) -> None:
    assert "refused" in marks(text, "stop", None)


@pytest.mark.parametrize(
    "text",
    [
        'A sign on a door says "Sorry, we are closed".',
        "Sorry, we are closed",
        "Sorry, we can't accept cards, says a note taped to the till.",
        "\"I can't believe it's not butter\" on a yellow tub.",
        "I can't believe it's not butter, a tub of spread.",
        "I'm sorry for your loss, a card with white lilies.",
        "As an AI-generated poster, it shows a robot.",
        "I cannot wait for summer, says a postcard.",
        "A man who cannot help his friend.",
        "对不起，我们打烊了",
        "I'm sorry, but I can't tell who this is. " + "There is a man in a red coat beside a blue door. " * 10,
    ],
)
def test_a_caption_that_speaks_of_excuses_is_none(text: str) -> None:
    assert "refused" not in marks(text, "stop", None)


def test_a_filter_and_a_refusal_beside_the_text_count_as_refused() -> None:
    assert marks("A", "content_filter", None) == ("refused",)
    assert marks(None, "stop", '{"refusal":"I will not."}') == ("refused",)
    assert marks("A dog", "stop", '{"refusal":null}') == ()
    assert marks("A dog", "stop", '{"refusal":' + "[" * 5000) == ()


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("The image shows a dog.", "The image shows"),
        ("This image depicts a dog.", "This image depicts"),
        ("In this picture, we can see a dog.", "In this picture we can see"),
        ("In the photo there is a dog.", "In the photo there is"),
        ("THE PHOTO FEATURES A DOG", "The photo features"),
        ("This is a photo of a dog.", "This is a photo of"),
        ("Sure! Here's a short caption: A dog.", "Sure here's a short caption"),
        ("Caption: a dog", "Caption"),
        ("Das Bild zeigt einen Hund.", "Das bild zeigt"),
        ("这张图片显示一只狗。", "这张图片显示"),
        ("The image showsroom is empty.", None),
        ("A dog in the image shows its teeth.", None),
        ("The imagery shows", None),
        ("Surely a dog", None),
    ],
)
def test_a_stock_phrase_is_known_by_the_beginning(text: str, phrase: str | None) -> None:
    assert looked_through([text])["stock_phrases"] == ({} if phrase is None else {phrase: 1})
    assert ("stock phrase" in marks(text, "stop", None)) is (phrase is not None)


def test_the_jobs_own_openings_are_found_where_a_tenth_begins_with_them() -> None:
    own = [f"Welcome to our, {number} shop" for number in NUMBERS]
    rest = [f"{first} {second} three words" for first, second in product(NUMBERS, NUMBERS[:9])]
    assert looked_through(own + rest)["stock_phrases"] == {"Welcome to our": 10}
    assert looked_through(own + rest + ["another caption of words"])["stock_phrases"] == {}
    assert looked_through(own)["stock_phrases"] == {}, "too few to tell"


def test_the_counts_of_a_job() -> None:
    texts = ["A dog.", "a  DOG", "A dog!", "A cat", None, "", None, "I cannot assist with that.", "cut"]
    reasons: list[str | None] = ["stop"] * 8 + ["length"]
    extras: list[str | None] = [None] * 9
    extras[6] = '{"tool_calls":[{"id":"1"}]}'
    found = looked_through(texts, reasons=reasons, extras=extras)
    assert {key: found[key] for key in ("checked", "truncated", "refused", "empty", "duplicates", "loops")} == {
        **{"checked": 9, "truncated": 1, "refused": 1, "empty": 2, "duplicates": 2, "loops": 0}
    }
    assert found["duplicates_estimated"] is False
    assert found["words"] == {"p5": 1, "p50": 2, "p95": 5, "longest": 5}
    assert found["bins"] == [(1, 2, 1), (2, 3, 4), (3, 4, 0), (4, 5, 0), (5, 6, 1)]


def test_no_captions_at_all_give_zeros() -> None:
    found = looked_through([])
    assert found["words"] == {"p5": 0, "p50": 0, "p95": 0, "longest": 0}
    assert (found["checked"], found["duplicates"], found["stock_phrases"], found["bins"]) == (0, 0, {}, [])


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=200))
def test_the_bins_hold_every_caption_once_in_at_most_thirty_of_them(lengths: list[int]) -> None:
    found = looked_through([" ".join(f"w{n}" for n in range(length)) for length in lengths])
    bins = found["bins"]
    assert isinstance(bins, list)
    assert sum(count for _, _, count in bins) == len(lengths)
    assert len(bins) <= 30
    assert all(low < high for low, high, _ in bins)
    assert all(one[1] == other[0] for one, other in pairwise(bins))
    assert bins[0][0] <= min(lengths) and max(lengths) < bins[-1][1]


@given(st.lists(st.text(max_size=200) | st.text(",; :.a哈、’", max_size=30) | st.none(), max_size=10))
def test_any_text_is_looked_through(texts: list[str | None]) -> None:
    found = looked_through(texts * 50)
    assert found["checked"] == 50 * len(texts)
    assert isinstance(found["stock_phrases"], dict)
    assert "" not in found["stock_phrases"]


def test_words_are_counted_by_the_character_where_no_spaces_are_written() -> None:
    assert len(words_of("一只猫坐在垫子上。")[1]) == 8
    assert len(words_of("그 고양이는 매트 위에")[1]) == 4


# -- bounded memory


def test_repeats_are_exact_up_to_the_bound_and_estimated_past_it() -> None:
    texts = [f"caption {number % 40_000}" for number in range(50_000)]
    exact, guess = Repeats(4096, most=4096), Repeats(len(texts), most=4096)
    exact.add(texts[:4000] + texts[:96])
    assert (exact.count(), exact.estimated) == (96, False)
    guess.add(texts)
    # A binomial sample of 10,000 at one in 16: 10 standard deviations are 3,900.
    assert guess.estimated
    assert abs(guess.count() - 10_000) < 3_900
    assert sum(map(len, guess._heaps)) < 6000


@pytest.mark.parametrize("order", [range(300), reversed(range(300))], ids=["forwards", "backwards"])
def test_what_is_frequent_stays_whatever_else_comes(order: Iterable[int]) -> None:
    counted = Frequent()
    for batch in order:
        counted.add([f"{batch} {n}" for n in range(45)] + ["often"] * (batch % 10))
    [(text, count)] = counted.at_least(0.09 * 300 * 49.5)
    assert text == "often"
    assert 0.99 * 1350 <= count <= 1350
    assert len(counted._counts) <= 4 * sketches.MOST_COUNTED + 55
