import pytest

from pipeline.core.empty import is_empty


@pytest.mark.parametrize(
    ("text", "extra", "empty"),
    [
        pytest.param("a cat", None, False, id="text"),
        pytest.param("", None, True, id="no-text"),
        pytest.param(None, None, True, id="null"),
        pytest.param(None, '{"usage":{"completion_tokens_details":{"reasoning_tokens":128}}}', True, id="usage-is-no-answer"),
        pytest.param(None, '{"tool_calls":[{"id":"1"}]}', False, id="tool-calls"),
        pytest.param("", '{"refusal":"I will not."}', False, id="refusal"),
        pytest.param(None, '{"reasoning":"hm"}', False, id="reasoning"),
        pytest.param("", '{"refusal":null}', True, id="null-refusal"),
        pytest.param("", "[" * 5000, False, id="unreadable-is-not-asked-again"),
    ],
)
def test_a_reply_is_empty_if_nothing_in_it_answers(text: str | None, extra: str | None, empty: bool) -> None:
    assert is_empty(text, extra) is empty
