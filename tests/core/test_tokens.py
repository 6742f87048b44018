import pytest

from pipeline.core.tokens import TOKENS_PER_IMAGE, estimate, most_completion


@pytest.mark.parametrize(
    ("text_bytes", "images", "limit", "tokens"),
    [
        pytest.param(0, 0, None, 0, id="nothing"),
        pytest.param(1, 0, None, 1, id="rounded-up"),
        pytest.param(400, 0, None, 100, id="text"),
        pytest.param(400, 2, None, 100 + 2 * TOKENS_PER_IMAGE, id="images"),
        pytest.param(400, 0, 128, 228, id="limit"),
    ],
)
def test_an_estimate_counts_text_images_and_the_reply_s_limit(
    text_bytes: int, images: int, limit: int | None, tokens: int
) -> None:
    assert estimate(text_bytes=text_bytes, images=images, most_completion=limit) == tokens


@pytest.mark.parametrize(
    ("request_", "most"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"max_tokens": 128}, 128, id="max_tokens"),
        pytest.param({"max_tokens": 128, "max_completion_tokens": 64}, 64, id="the-newer-name-wins"),
        pytest.param({"max_tokens": "many"}, None, id="odd"),
        pytest.param({"max_tokens": True}, None, id="a-bool-is-no-limit"),
        pytest.param({"max_tokens": -5}, None, id="negative"),
    ],
)
def test_the_request_s_own_limit_of_a_reply(request_: dict[str, object], most: int | None) -> None:
    assert most_completion(request_) == most
