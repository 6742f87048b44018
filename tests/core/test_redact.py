"""Secrets disappear in every form in which they travel; foreign text cannot move the cursor or forge a line."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.redact import Redactor, harmless

KEY = 'k/ey+"canary=01'


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY, safe=""),
        base64.b64encode(KEY.encode()).decode(),
        f"Bearer {KEY}",
        KEY.replace("/", "\\/"),
        KEY.replace('"', '\\"'),
    ],
)
def test_a_secret_is_hidden_in_each_of_its_forms(form):
    redactor = Redactor([KEY])
    assert form not in redactor.text(f"before {form} after")
    assert form.encode() not in redactor.scrub(b"before " + form.encode())


def test_what_looks_like_a_key_is_hidden_in_messages_and_left_alone_in_replies():
    stranger = "sk-proj-0123456789abcdefghij"
    assert stranger not in Redactor().text(f"Incorrect API key provided: {stranger}")
    assert stranger.encode() in Redactor([KEY]).scrub(stranger.encode())


def test_a_body_without_secrets_is_not_copied():
    body = b"x" * 1000
    assert Redactor([KEY]).scrub(body) is body


@given(st.text(max_size=3000))
def test_harmless_text_is_one_short_line_without_controls(text):
    line = harmless(text)
    assert len(line) <= 500
    assert all(ord(char) >= 32 and not 127 <= ord(char) < 160 for char in line)
    assert not set(line) & set("\u202e\u2066\u2028")
