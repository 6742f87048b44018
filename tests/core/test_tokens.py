import pytest

from pipeline.core.tokens import TOKENS_PER_IMAGE, estimate


@pytest.mark.parametrize(
    ("text_bytes", "images", "limit", "tokens"),
    [
        pytest.param(0, 0, None, 0, id="nothing"),
        pytest.param(1, 0, None, 1, id="rounded-up"),
        pytest.param(400, 0, None, 100, id="text"),
        pytest.param(400, 2, None, 100 + 2 * TOKENS_PER_IMAGE, id="images"),
        pytest.param(400, 0, 128, 228, id="limit"),
        pytest.param(400, 0, "many", 100, id="odd-limit"),
        pytest.param(400, 0, True, 100, id="a-bool-is-no-limit"),
        pytest.param(400, 0, -5, 100, id="negative-limit"),
    ],
)
def test_an_estimate_counts_text_images_and_the_reply_s_limit(text_bytes: int, images: int, limit: object, tokens: int) -> None:
    assert estimate(text_bytes=text_bytes, images=images, most_completion=limit) == tokens
