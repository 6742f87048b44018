"""Secrets disappear in every form in which they travel; foreign text cannot move the cursor or forge a line."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.redact import Redactor, harmless, looks_like_key

KEY = 'k/ey+"canary=01'
KEYS = st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], min_size=16, max_size=60)


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY, safe=""),
        quote(KEY, safe="/"),
        quote(KEY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%22", "%22").replace("%3D", "%3d"),
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(f"Bearer {KEY}".encode()).decode(),
        f"Bearer {KEY}",
        KEY.replace("/", "\\/"),
        KEY.replace('"', '\\"'),
    ],
)
def test_a_secret_is_hidden_in_each_of_its_forms(form):
    redactor = Redactor([KEY])
    assert form not in redactor.text(f"before {form} after")
    assert form.encode() not in redactor.scrub(b"before " + form.encode())


@given(KEYS, st.text(max_size=40), st.text(max_size=40))
def test_no_key_survives_whatever_stands_around_it(key, before, after):
    redactor = Redactor([key])
    # Text around a key may happen to hold a part of it that closes up when the key has gone.
    if key not in before + "***" + after:
        assert key not in redactor.text(before + key + after)
        reply = json.dumps({"error": before + key + after}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        assert key.encode() not in redactor.scrub(reply)


@pytest.mark.parametrize("before", ["", "u:", "user:", "Bearer "])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_a_secret_is_hidden_wherever_it_begins_in_it(before, encode):
    form = encode(f"{before}{KEY}>> and more".encode()).decode()
    shown = Redactor([KEY]).text(form)
    assert "***" in shown
    # What is left decodes to what stood around the key, and a few bits of its ends.
    assert all(KEY[2:-2].encode() not in base64.b64decode(rest + "===", altchars=b"-_") for rest in shown.split("***"))


def escaped(text: str, every: int) -> str:
    return "".join(f"\\u{ord(char):04X}" if at % every == 0 else char for at, char in enumerate(text))


@pytest.mark.parametrize("every", [1, 2, 7])
@pytest.mark.parametrize("form", [KEY, quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode()[:20]])
def test_a_secret_spelled_in_json_escapes_is_hidden(form, every):
    redactor, spelled = Redactor([KEY]), escaped(form, every)
    assert redactor.scrub(f'{{"detail":"{spelled}"}}'.encode()) == b'{"detail":"***"}'
    assert redactor.text(f"quoted: {spelled}") == "quoted: ***"
    within = json.dumps({"detail": spelled})  # JSON as text in JSON
    assert "***" in redactor.scrub(within.encode()).decode()


def test_a_body_of_backslashes_is_searched_in_a_moment():
    body = b"\\" * 3_000_000 + b"\\u0041"
    assert Redactor([KEY]).scrub(body) == body


def test_a_reply_keeps_all_but_our_secrets():
    redactor = Redactor([KEY])
    rest = "\nand sk-proj-0123456789abcdefghij \u202e"
    assert redactor.reply(f"say {KEY}{rest}") == f"say ***{rest}"


def test_a_reply_that_held_a_key_is_still_json():
    reply = json.dumps({"choices": [{"message": {"content": f"your key is {KEY}!"}}]}).encode()
    scrubbed = json.loads(Redactor([KEY]).scrub(reply))
    assert scrubbed["choices"][0]["message"]["content"] == "your key is ***!"


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-0123456789abcdefghij",
        "SG_0123456789abcdef",
        "hf_abcdefghijklmnopqrst",
        "AIza" + "x" * 35,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.sig",
        "Bearer abc123def456",
        "authorization: bearer abc123def456",
    ],
)
def test_what_looks_like_a_key_is_hidden_in_messages_and_left_alone_in_replies(text):
    assert looks_like_key(text)
    assert "***" in Redactor().text(f"Incorrect API key provided: {text}")
    assert Redactor([KEY]).scrub(text.encode()) == text.encode()


@pytest.mark.parametrize(
    "text",
    [
        "Missing bearer authentication in header",
        "Basic validation failed",
        "risk-management-for-everybody",
        "sk-short",
        "task_list_of_the_day",
    ],
)
def test_ordinary_words_are_no_keys(text):
    assert not looks_like_key(text)
    assert Redactor().text(text) == text


@pytest.mark.parametrize("key", ["EMPTY", "none", "dummy", "12345678", "abc"])
def test_a_key_that_is_a_mere_word_is_left_in_paid_replies(key):
    body = json.dumps({"content": f"The set is {key}."}).encode()
    assert Redactor([key]).scrub(body) is body


@pytest.mark.parametrize("key", ["sk-1234", "token-abc123", "averylongkeyofletters"])
def test_a_short_key_that_is_no_word_is_hidden_in_replies(key):
    assert key.encode() not in Redactor([key]).scrub(f"<{key}>".encode())


def test_a_body_without_secrets_is_not_copied():
    body = b"x" * 1000
    assert Redactor([KEY]).scrub(body) is body


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=3000))
def test_harmless_text_is_one_short_line_without_controls(text):
    line = harmless(text)
    assert len(line) <= 500
    assert all(ord(char) >= 32 and not 127 <= ord(char) < 160 for char in line)
    assert not set(line) & set("\u202e\u2066\u2028")
    line.encode()  # no half of a surrogate pair is left, on which files and databases choke


def test_harmless_text_is_left_as_it_is():
    assert harmless("Größe: 3 µm, 図") == "Größe: 3 µm, 図"


def test_a_secret_that_comes_later_is_hidden_like_the_first() -> None:
    redactor = Redactor(["sk-first-0123456789"])
    redactor.hide("sk-second-0123456789")
    assert redactor.text("sk-first-0123456789 and sk-second-0123456789") == "*** and ***"
    assert redactor.scrub(b"sk-first-0123456789 sk-second-0123456789") == b"*** ***"
