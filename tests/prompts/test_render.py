from pathlib import Path

import pytest

from pipeline.core.errors import BadRowError, ConfigError
from pipeline.core.types import Image, Message, Prompt, Row
from pipeline.prompts import PromptSettings, Renderer, build_render

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
PICTURE = Image("image/png", PNG)
CHAT = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]


def messages(settings: PromptSettings, **cells: object) -> tuple[Message, ...]:
    prompt = build_render(settings, list(cells))(Row(7, cells))
    assert isinstance(prompt, Prompt)
    assert prompt.row == 7
    return prompt.messages


@pytest.mark.parametrize(
    ("settings", "cells", "wanted"),
    [
        pytest.param(PromptSettings(user="Q: {{ q }}"), {"q": "x"}, [Message("user", ("Q: x",))], id="user"),
        pytest.param(
            PromptSettings(system="In {{ lang }}.", user="{{ q }}"),
            {"q": "x", "lang": "Danish"},
            [Message("system", ("In Danish.",)), Message("user", ("x",))],
            id="system is a template too",
        ),
        pytest.param(
            PromptSettings(system="{{ s or '' }}\n", user="{{ q }}"),
            {"q": "x", "s": None},
            [Message("user", ("x",))],
            id="blank system",
        ),
        pytest.param(
            PromptSettings(user="see", images=("b", "a")),
            {"a": "https://example.com/a", "b": [PNG, PNG]},
            [Message("user", ("see", PICTURE, PICTURE, Image(url="https://example.com/a")))],
            id="text first, then images in the config's order",
        ),
        pytest.param(PromptSettings(user="", images=("a",)), {"a": PNG}, [Message("user", (PICTURE,))], id="images alone"),
        pytest.param(PromptSettings(user="see", images=("a",)), {"a": []}, [Message("user", ("see",))], id="a list of no images"),
        pytest.param(
            PromptSettings(messages="m", system="S"),
            {"m": CHAT[:1]},
            [Message("system", ("S",)), Message("user", ("a",))],
            id="system before a conversation",
        ),
        pytest.param(
            PromptSettings(messages="m", system="S {{ absent_here or '' }}"),
            {"m": [{"role": "developer", "content": "D"}, *CHAT[:1]], "absent_here": None},
            [Message("developer", ("D",)), Message("user", ("a",))],
            id="a conversation keeps its own instructions",
        ),
        pytest.param(
            PromptSettings(messages="m", images=("a",)),
            {"m": [*CHAT, {"role": "assistant", "content": "d"}], "a": PNG},
            [
                Message("user", ("a",)),
                Message("assistant", ("b",)),
                Message("user", ("c", PICTURE)),
                Message("assistant", ("d",)),
            ],
            id="images join the last user message",
        ),
    ],
)
def test_a_row_asks(settings, cells, wanted):
    assert list(messages(settings, **cells)) == wanted


@pytest.mark.parametrize(
    ("settings", "cells", "words"),
    [
        pytest.param(PromptSettings(user="{{ q }}"), {"q": None}, "prompt.user: column 'q' is null", id="null in user"),
        pytest.param(
            PromptSettings(system="{{ q }}", user="x"), {"q": None}, "prompt.system: column 'q' is null", id="in system"
        ),
        pytest.param(PromptSettings(user="x", images=("q",)), {"q": None}, "image column 'q': the image is null", id="image"),
        pytest.param(PromptSettings(messages="q"), {"q": None}, "messages column 'q' is null", id="conversation"),
        pytest.param(
            PromptSettings(messages="q", images=("i",)),
            {"q": [{"role": "system", "content": "s"}], "i": PNG},
            "no user message",
            id="nobody to carry the images",
        ),
        pytest.param(PromptSettings(user="x", images=("q",)), {"q": "a.png"}, "images.root", id="path without a root"),
    ],
)
def test_a_row_that_cannot_be_asked_is_refused(settings, cells, words):
    with pytest.raises(BadRowError) as caught:
        messages(settings, **cells)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param(PromptSettings(), "either user", id="neither"),
        pytest.param(PromptSettings(user="x", messages="title"), "either user", id="both"),
        pytest.param(
            PromptSettings(user="{{ titel }}"), "prompt.user: there is no column 'titel'; did you mean 'title'?", id="user"
        ),
        pytest.param(PromptSettings(user="x", system="{{ titel }}"), "prompt.system: there is no column", id="system"),
        pytest.param(
            PromptSettings(user="x", images=("foto",)),
            "prompt.images: there is no column 'foto'; did you mean 'photo'?",
            id="image",
        ),
        pytest.param(PromptSettings(messages="chats"), "prompt.messages: there is no column 'chats'", id="messages"),
        pytest.param(PromptSettings(messages=""), "prompt.messages: there is no column ''", id="messages without a name"),
        pytest.param(PromptSettings(user="x", images=("photo",), root=Path("/nowhere/at/all")), "images.root", id="no such root"),
    ],
)
def test_what_fits_no_row_is_said_before_the_first(settings, words):
    with pytest.raises(ConfigError) as caught:
        build_render(settings, ["id", "title", "photo"])
    assert words in str(caught.value)


def built(settings: PromptSettings) -> Renderer:
    return build_render(settings, ["a", "b", "c", "d"])


def test_only_columns_that_are_needed_are_asked_for_in_the_inputs_order():
    assert built(PromptSettings(system="{{ d }}", user="{{ b }}", images=("a",))).columns == ("a", "b", "d")
    assert built(PromptSettings(messages="c")).columns == ("c",)
    assert built(PromptSettings(user="always the same")).columns == ()


def test_rendering_blocks_only_where_files_may_be_read(tmp_path):
    assert built(PromptSettings(user="x", images=("a",), root=tmp_path)).blocking
    assert not built(PromptSettings(user="x", images=("a",))).blocking
    assert not built(PromptSettings(user="x", root=tmp_path)).blocking


def test_a_row_asked_again_is_the_same_prompt(tmp_path):
    (tmp_path / "x.png").write_bytes(PNG)
    settings = PromptSettings(
        system="s", user="{{ t | tojson }}{% for k in t %}{{ k }}{% endfor %}", images=("i",), root=tmp_path
    )
    render = build_render(settings, ["t", "i"])
    row = Row(0, {"t": {"b": [1, None], "a": 2}, "i": "x.png"})
    assert render(row) == render(row)


def test_pictures_and_prompts_stay_out_of_reprs():
    prompt = build_render(PromptSettings(user="secret {{ a }}", images=("b",)), ["a", "b"])(Row(0, {"a": "word", "b": PNG}))
    assert "secret" not in repr(prompt)
    assert "PNG" not in repr(prompt)
