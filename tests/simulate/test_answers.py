"""What the simulator says: sums, facts, digests; wrong as often as asked; never at a loss."""

import base64
import csv
import hashlib
import io
import json
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.simulate import facts, sums
from pipeline.simulate.answers import answer
from pipeline.simulate.asked import TOKENS_PER_IMAGE, Asked, RefusedError, count_tokens, cut_tokens, read
from pipeline.simulate.looks import NotAPictureError, look

DATA = Path(__file__).parents[2] / "data"


def asked(text: str, *images: bytes | str, most: int | None = None) -> Asked:
    return Asked("m", text, text, images, most)


def say(text: str, *images: bytes | str, wrong: float = 0.0, seed: int = 0, most: int | None = None) -> str:
    return answer(asked(text, *images, most=most), seed=seed, wrong=wrong).text


def picture(size: tuple[int, int], colour: tuple[int, int, int], kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("question", "result"),
    [
        ("What is 17 + 25?", "42"),
        ("what's 17+25", "42"),
        ("What is 1,250 minus 375?", "875"),
        ("What is 12 × 8?", "96"),
        ("What is 12 x 8?", "96"),
        ("What is 3 + 4 * 5?", "23"),
        ("What is (3 + 4) * 5?", "35"),
        ("What is 1 divided by 3?", "0.3333"),
        ("What is 0.1 + 0.2?", "0.3"),
        ("What is -3 - 4?", "-7"),
        ("What is 15% of 240?", "36"),
        ("What is the sum of 8, 13, and 21?", "42"),
        ("What is the average of 1 and 2?", "1.5"),
        ("What is the remainder when 47 is divided by 5?", "2"),
        ("What is the square root of 169?", "13"),
        ("What is 2 to the power of 10?", "1024"),
        ("Calculate 7 * 6.", "42"),
    ],
)
def test_sums_are_worked_out(question, result):
    assert say(question) == result


@pytest.mark.parametrize(
    "question",
    [
        pytest.param("What is 7 / 0?", id="division by zero"),
        pytest.param("What is 9 ** 9 ** 9?", id="tower"),
        pytest.param("What is ((((1/999999)**16)**16)**16)**16?", id="small tower"),
        pytest.param("What is the square root of 2?", id="irrational"),
        pytest.param("What is " + "(" * 90 + "1" + ")" * 90 + " + 1?", id="nested"),
        pytest.param("What is " + "9*" * 900 + "9?", id="long"),
        pytest.param("What is the product of " + "999999999, " * 150 + "and 3?", id="huge product"),
        pytest.param("What is __import__('os').getpid() + 1?", id="code"),
        pytest.param("What happened on 2024-10-12?", id="date"),
        pytest.param("What is the remainder when 7 is divided by 0?", id="remainder of nothing"),
    ],
)
def test_what_is_no_sum_is_not_worked_out(question):
    assert say(question) == "I do not know: I am a simulator."


@given(st.text(max_size=300))
def test_any_prompt_gets_an_answer(text):
    assert say(text)
    assert say(f"What is {text}?", wrong=1.0)


@given(st.text(alphabet="0123456789.+-*/() ,%", max_size=80))
def test_any_row_of_digits_and_signs_is_survived(text):
    value = sums.solve(f"what is {text}")
    assert value is None or sums.say(value)


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6))
def test_numbers_are_said_within_half_of_their_last_decimal(top, bottom):
    value = Fraction(top, bottom)
    assert abs(Fraction(sums.say(value)) - value) <= Fraction(1, 20_000)


@pytest.mark.parametrize(
    ("question", "result"),
    [
        ("What is the capital of Norway?", "Oslo"),
        ("Answer briefly.\n\nWhat is the capital of  NEW ZEALAND ?", "Wellington"),
        ('Who wrote "The Lion, the Witch and the Wardrobe"?', "C. S. Lewis"),
        ("Who wrote A Room of One's Own?", "Virginia Woolf"),
        ("Question: In which year did the Titanic sink?\nAnswer:", "1912"),
        ("Name the capital of Peru", "Lima"),
        ("What is the capital of Perusia?", "I do not know: I am a simulator."),
    ],
)
def test_facts_are_looked_up_whatever_stands_around_the_question(question, result):
    assert say(question) == result


def test_no_two_facts_are_asked_alike():
    assert len(facts._FACTS) == sum(len(answers) for _, answers in facts.FAMILIES.values())


@pytest.mark.parametrize("question", ["What is 17 + 25?", "What is the capital of Norway?"])
def test_wrong_answers_are_wrong_repeatable_and_of_the_right_sort(question):
    right = say(question)
    wrong = say(question, wrong=1.0)
    assert wrong != right
    assert wrong == say(question, wrong=1.0)
    assert wrong.lstrip("-").isdigit() if right.isdigit() else wrong in facts.FAMILIES["capital"][1].values()


def test_as_many_answers_are_wrong_as_asked_and_others_with_another_seed():
    first = [say(f"What is {n} + 1?", wrong=0.2) != str(n + 1) for n in range(1000)]
    second = [say(f"What is {n} + 1?", wrong=0.2, seed=1) != str(n + 1) for n in range(1000)]
    assert abs(sum(first) / 1000 - 0.2) < 0.05
    assert first != second


def test_a_digest_comes_back_with_the_answer():
    said = answer(asked("digest:00ff12ab What is 1 + 1?\ndigest:beef"), seed=0, wrong=0)
    assert said.text == "2 digest:00ff12ab digest:beef"
    assert said.digests == ("digest:00ff12ab", "digest:beef")


def test_a_digest_in_a_system_message_comes_back_too():
    body = {"messages": [{"role": "system", "content": "digest:abcd"}, {"role": "user", "content": "hello"}]}
    assert answer(read(json.dumps(body).encode()), seed=0, wrong=0).text.endswith("digest:abcd")


def test_an_image_is_echoed_as_its_hash_when_the_prompt_says_so():
    data = picture((8, 8), (0, 0, 0))
    assert say("echo image", data).endswith(f"image:{hashlib.sha256(data).hexdigest()[:16]}")
    assert "image:" not in say("describe", data)


def test_an_answer_longer_than_max_tokens_is_cut_and_says_so():
    said = answer(asked("hello there digest:abcd", most=3), seed=0, wrong=0)
    assert (said.text, said.finish_reason, said.completion_tokens, said.digests) == ("The simulator read", "length", 3, ())


def test_tokens_are_counted_for_text_and_images():
    assert asked("Hello, world", b"x", "http://x/y.png").tokens() == 3 + 2 * TOKENS_PER_IMAGE


@given(st.text(max_size=200), st.integers(1, 50))
def test_a_cut_text_has_the_tokens_asked_for(text, most):
    assert count_tokens(cut_tokens(text, most)) == min(most, count_tokens(text))


def test_the_sample_questions_are_answered_but_for_five():
    with (DATA / "questions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    missed = [row["id"] for row in rows if say(f"Answer with the answer alone.\n\n{row['question']}") != row["answer"]]
    assert missed == ["029", "030", "068", "069", "070"]


# Looking


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        pytest.param(picture((40, 30), (252, 252, 252)), "40x30 picture, mostly white", id="png"),
        pytest.param(picture((64, 64), (200, 35, 40), "JPEG"), "64x64 picture, mostly red", id="jpeg"),
        pytest.param(picture((5, 7), (20, 30, 85), "WEBP"), "5x7 picture, mostly dark blue", id="webp"),
        pytest.param(picture((9, 9), (10, 10, 12), "GIF"), "9x9 picture, mostly black", id="gif"),
        pytest.param(picture((9, 9), (45, 95, 190), "BMP"), "9x9 picture, mostly blue", id="bmp"),
        pytest.param(picture((9, 9), (70, 140, 65), "TIFF"), "9x9 picture, mostly green", id="tiff"),
    ],
)
def test_a_picture_is_described_by_size_and_colour(data, seen):
    assert look(data) == seen


def test_two_colours_are_named_when_both_are_large():
    canvas = Image.new("RGB", (60, 40), (252, 252, 252))
    canvas.paste((200, 35, 40), (0, 0, 20, 40))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    assert look(buffer.getvalue()) == "60x40 picture, mostly white and red"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_colour_mode_can_be_looked_at(mode):
    buffer = io.BytesIO()
    Image.new(mode, (20, 10)).save(buffer, "TIFF" if mode in ("CMYK", "F", "I") else "PNG")
    assert look(buffer.getvalue()).startswith("20x10 picture, mostly ")


def test_the_sample_photographs_can_all_be_looked_at():
    seen = [look(path.read_bytes()) for path in sorted((DATA / "photos").glob("*.jpg"))]
    assert len(seen) >= 12
    assert len(set(seen)) > len(seen) // 2


def huge_png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b""))
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not a picture", id="text"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", id="postscript"),
        pytest.param(picture((64, 64), (9, 9, 9))[:60], id="cut png"),
        pytest.param(picture((640, 640), (9, 9, 9), "JPEG")[:400], id="cut jpeg"),
        pytest.param(huge_png(), id="bomb"),
    ],
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(NotAPictureError, match="invalid image"):
        look(data)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_is_looked_at_or_refused_and_never_a_crash(at, flip):
    data = bytearray(FLIPPED)
    data[at % len(data)] ^= flip
    try:
        look(bytes(data))
    except NotAPictureError:
        return


FLIPPED = (DATA / "photos" / "blurred-clock.jpg").read_bytes()


def test_several_pictures_are_told_apart_and_addresses_are_not_opened():
    said = say("describe", picture((4, 4), (252, 252, 252)), "http://127.0.0.1:9/x.png")
    assert (
        said == "Picture 1: a 4x4 picture, mostly white. Picture 2: a picture at an address, which the simulator does not open."
    )


# Reading


def conversation(*content: object, **more: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": each} for each in content], **more}).encode()


def test_text_and_images_are_read_from_blocks():
    uri = "data:image/png;base64," + base64.b64encode(b"bytes").decode()
    found = read(
        conversation([{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": uri, "detail": "low"}}])
    )
    assert (found.question, found.images, found.model) == ("hi", (b"bytes",), "m")


def test_the_question_is_the_last_users_and_the_text_everybodys():
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": None},
    ]
    found = read(json.dumps({"messages": [*messages, {"role": "user", "content": "two"}]}).encode())
    assert (found.question, found.text, found.model) == ("two", "be brief\none\ntwo", None)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"{", "not JSON", id="cut"),
        pytest.param(b"[" * 5000, "not JSON", id="nesting bomb"),
        pytest.param(b'{"messages": NaN}', "not JSON", id="nan"),
        pytest.param(b'"hi"', "must be a JSON object", id="string"),
        pytest.param(b"{}", "`messages`", id="no messages"),
        pytest.param(b'{"messages": []}', "`messages`", id="empty messages"),
        pytest.param(b'{"messages": ["hi"]}', "`role`", id="message no object"),
        pytest.param(b'{"messages": [{"content": "hi"}]}', "`role`", id="no role"),
        pytest.param(b'{"messages": [{"role": "user"}]}', "`content`", id="no content"),
        pytest.param(conversation(7), "`content`", id="number as content"),
        pytest.param(conversation([{"type": "video"}]), "content block", id="unknown block"),
        pytest.param(conversation([{"type": "text"}]), "content block", id="text block without text"),
        pytest.param(
            conversation([{"type": "image_url", "image_url": {"url": "data:text/plain,x"}}]), "data URI", id="no image uri"
        ),
        pytest.param(
            conversation([{"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}]), "not base64", id="no base64"
        ),
        pytest.param(conversation("hi", max_tokens=0), "`max_tokens`", id="no tokens"),
        pytest.param(conversation("hi", max_tokens=True), "`max_tokens`", id="true tokens"),
        pytest.param(conversation("hi", stream=True), "`stream`", id="stream"),
    ],
)
def test_a_request_that_is_none_is_refused_with_the_reason(body, says):
    with pytest.raises(RefusedError, match=says):
        read(body)
