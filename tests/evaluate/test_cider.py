import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocoevalcap.cider.cider import Cider as Theirs

from pipeline.evaluate.cider import cider, words_of_caption
from pipeline.evaluate.ngrams import RowCounts, ngrams_of
from tests.evaluate.texts import ODD, rows

CAPTIONS = [
    (
        "A man rides a wave on a surfboard.",
        ["A man riding a wave on top of a surfboard.", "Surfer on a big wave.", "a man surfs"],
    ),
    ("Two dogs play in the snow", ["Two dogs are playing in the snow.", "Dogs running through deep snow", "Two brown dogs play"]),
    (
        "A plate of food on a table.",
        ["A plate of food with a fork on a table.", "Dinner is served", "A plate of pasta and salad"],
    ),
    (
        "A man is standing.",
        ["A man in a red t-shirt doesn't look at the camera.", "It's a man with a hat.", "The man's hat is red"],
    ),
    ("a a a a a a a a", ["A cat sits on a mat.", "The cat is on the mat", "A cat on a mat, next to a window"]),
    ("", ["A train on the tracks.", "A train passes"]),
    ("A train on the tracks.", ["A train on the tracks.", "A long train on the tracks near a station in the city centre"]),
]

Made = list[tuple[str, list[str]]]


def assert_equals_theirs(made: Made) -> None:
    def as_tokens(text: str) -> str:
        return " ".join(words_of_caption(text))

    answers, references = [answer for answer, _ in made], [texts for _, texts in made]
    ours = cider()
    for texts in references:
        ours.learn([texts])
    scored = ours.score(answers, references)
    truths = {at: [as_tokens(text) for text in texts] for at, texts in enumerate(references)}
    score, scores = Theirs().compute_score(truths, {at: [as_tokens(answer)] for at, answer in enumerate(answers)})
    assert scored.rows == pytest.approx(scores, abs=1e-6)
    assert ours.overall(scored.statistics.sum(axis=0), np.array(len(made))) == pytest.approx(score, abs=1e-6)


def test_captions_score_as_in_pycocoevalcap() -> None:
    assert_equals_theirs(CAPTIONS)


# Without a single word in all references there the library fails.
@given(made=rows(4).map(lambda made: [*made, ("a cat", ["the cat sits"])]))
def test_every_row_and_all_of_them_score_as_in_pycocoevalcap(made: Made) -> None:
    assert_equals_theirs(made)


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_texts_score_as_in_pycocoevalcap(text: str) -> None:
    assert_equals_theirs([(text, ["a cat sits", text]), *CAPTIONS])


def test_a_row_scores_the_same_in_any_batch() -> None:
    answers, references = [answer for answer, _ in CAPTIONS], [texts for _, texts in CAPTIONS]
    ours = cider()
    ours.learn(references)
    whole = ours.score(answers, references).rows
    assert [ours.score([answer], [texts]).rows[0] for answer, texts in CAPTIONS] == pytest.approx(whole.tolist(), abs=1e-12)
    assert whole[5] == 0
    assert whole[6] == max(whole)


def test_references_that_come_too_late_are_refused() -> None:
    ours = cider()
    ours.learn([["a cat"]])
    ours.score(["a cat"], [["a cat"]])
    with pytest.raises(ValueError, match="before any row"):
        ours.learn([["a dog"]])


def test_no_rows_are_no_error_and_a_reference_without_a_word_neither() -> None:
    assert cider().score([], []).statistics.shape == (0, 1)
    ours = cider()
    ours.learn([["?"], ["!"]])
    assert ours.score(["?", "a"], [["?"], ["!"]]).rows.tolist() == [0.0, 0.0]


def test_the_signature_tells_how_many_rows_were_learned_from() -> None:
    ours = cider()
    ours.learn([["a cat"], ["a dog", "dogs"]])
    ours.learn([["a"]])
    assert "idf:3-rows" in ours.about.signature.split("|")
    assert ours.about.scale == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # As PTBTokenizer of CoreNLP 3.4.1 gives them with -lowerCase, without coco-caption's list of marks.
        pytest.param("A man's dog doesn't bark.", "a man 's dog does n't bark", id="contractions"),
        pytest.param("It’s I'm they've we'll he'd", "it 's i 'm they 've we 'll he 'd", id="curly-apostrophe"),
        pytest.param("They cannot; gonna, wanna, gotta", "they can not gon na wan na got ta", id="one-word-of-two"),
        pytest.param('the "big" one... - -- really?!', "the big one really", id="marks"),
        pytest.param("a well-lit T-shirt, black/white", "a well-lit t-shirt black/white", id="hyphens"),
        pytest.param("3.5 m, 1,000 ft, 10:30 a.m. in the U.S.", "3.5 m 1,000 ft 10:30 a.m. in the u.s.", id="numbers"),
        pytest.param("Mr. Smith & 50% of $5.00 #tag @home", "mr. smith & 50 % of $ 5.00 #tag @home", id="symbols"),
        pytest.param("kids' five o'clock toys", "kids five o'clock toys", id="apostrophes"),
        pytest.param("café “quoted” — 狗在跑", "café quoted 狗在跑", id="other-scripts"),
        pytest.param("किताब पढ़ना", "किताब पढ़ना", id="signs-of-vowels"),
    ],
)
def test_words_are_those_of_coco_caption(text: str, words: str) -> None:
    assert words_of_caption(text) == words.split(" ")


@given(made=st.lists(st.lists(st.sampled_from(["a", "b", "c", "d" * 50]), max_size=8), max_size=5))
def test_every_ngram_of_each_text_is_counted_once(made: list[list[str]]) -> None:
    found = ngrams_of(made)
    for at, words in enumerate(made):
        for order in range(4):
            ngrams = [tuple(words[start : start + order + 1]) for start in range(len(words) - order)]
            counts = found.counts[(found.texts == at) & (found.orders == order)]
            assert sorted(counts.tolist()) == sorted(ngrams.count(each) for each in set(ngrams))


def test_rows_are_counted_across_merges() -> None:
    counts = RowCounts()
    for _ in range(3):
        counts.add(np.arange(2_100_000, dtype=np.uint64), 1)
    counts.add(np.array([5], dtype=np.uint64), 1)
    counts.close()
    assert np.exp(counts.logs(np.array([5, 6, 3_000_000], dtype=np.uint64))) == pytest.approx([4, 3, 1])


def test_texts_of_200_kb_are_scored() -> None:
    ours = cider()
    references = [["a bc d e " * 22_000], ["b"]]
    ours.learn(references)
    assert ours.score(["a bc, d e " * 20_000, "'" * 200_000], references).rows.tolist() == pytest.approx([0.0, 0.0])
