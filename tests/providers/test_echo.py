import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.providers.echo import Words, prompt_texts, unquoted, without

QUOTA = re.compile(r"exceeded your current quota|billing")


def says(message: str, *texts: str) -> bool:
    return Words(message, lambda: iter(texts)).say(QUOTA)


@pytest.mark.parametrize(
    ("message", "texts", "meant"),
    [
        pytest.param("You exceeded your current quota, please check", (), True, id="meant"),
        pytest.param("You Exceeded your\n current quota", (), True, id="case-and-line-breaks"),
        pytest.param(
            "invalid input: 'you exceeded your current quota'", ("you exceeded your current quota",), False, id="quoted"
        ),
        pytest.param(
            "invalid: 'Tell me why you exceeded your cur…",
            ("Tell me why you exceeded your current quota",),
            False,
            id="cut-short",
        ),
        pytest.param(
            r"invalid: \"first line\nyou exceeded your current quota\"",
            ('first line\nyou "exceeded your current quota',),
            False,
            id="escaped",
        ),
        pytest.param("bad content: billing", ("billing",), False, id="short-text-quoted-whole"),
        pytest.param("You exceeded your current quota", ("a cat on a mat",), True, id="an-innocent-prompt-hides-nothing"),
        pytest.param(
            "You exceeded your current quota. Sent: why was i told you exceeded your current quota today",
            ("why was I told you exceeded your current quota today",),
            False,
            id="what-both-say-counts-for-the-row",
        ),
        pytest.param(
            "Rate limit reached. Visit https://platform.openai.com/account/billing to add", (), False, id="a-link-is-no-meaning"
        ),
    ],
)
def test_words_of_the_prompt_are_no_words_of_the_endpoint(message: str, texts: tuple[str, ...], meant: bool) -> None:
    assert says(message, *texts) is meant


PLAIN = st.text("abc d", max_size=80)


@given(before=PLAIN, quoted=st.text("abc d", min_size=20, max_size=80), after=PLAIN, around=PLAIN)
def test_a_quotation_of_twenty_characters_is_always_cut_out(before: str, quoted: str, after: str, around: str) -> None:
    rest = without(before + "<" + quoted + ">" + after, around + quoted + around)
    assert quoted not in rest
    assert "<" in rest
    assert ">" in rest


def test_a_prompt_is_not_read_unless_something_matched() -> None:
    def never() -> object:
        raise AssertionError("the prompt was read")

    words = Words("the server is tired", never)  # type: ignore[arg-type]  # never returns
    assert not words.say(QUOTA)


def test_a_request_s_texts_are_found_wherever_they_stand() -> None:
    messages = [
        {"role": "system", "content": "one"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "two"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/three"}},
                {"type": "text", "text": "data:image/png;base64, four"},
            ],
        },
        {"role": "assistant", "content": None},
    ]
    found = set(prompt_texts(json.dumps({"messages": messages}).encode()))
    assert found == {"one", "two", "https://example.com/three", "data:image/png;base64, four"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"messages":null}', b'{"messages":[1]}', b"\xff"])
def test_a_body_of_another_shape_has_no_texts(body: bytes) -> None:
    assert list(prompt_texts(body)) == []


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("Invalid prompt: 'My name is Jana Novak,\\nborn 1990'.", "Invalid prompt: ' '."),
        ("your text my name is jana novak is odd", None),  # not its very letters
        ("Incorrect API key provided", None),
        ("It says My name is Jana Novak, bo… and more", "It says … and more"),
    ],
)
def test_what_is_said_aloud_quotes_nothing_of_the_prompt(message, wanted):
    assert unquoted(message, ["You are brief.", "My name is Jana Novak,\nborn 1990"]) == wanted
