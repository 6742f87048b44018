"""Rough token counts, known before anything is sent: for pacing, and for what `check` announces. Never for the output columns."""

from collections.abc import Mapping
from typing import Any

# English prose in the usual vocabularies. Counted in UTF-8 bytes rather than characters, so that scripts of three bytes
# a character, which cost near a token each, are not taken for a quarter of one.
BYTES_PER_TOKEN = 4
# What OpenAI's published rule charges for a 1024 x 1024 picture at high detail. Others differ by a factor of three either way.
TOKENS_PER_IMAGE = 765


def most_completion(request: Mapping[str, Any]) -> int | None:
    """Give how many completion tokens a reply may have by the request's own limit, None if it sets none."""
    most = request.get("max_completion_tokens", request.get("max_tokens"))
    return most if isinstance(most, int) and not isinstance(most, bool) and most > 0 else None


def estimate(*, text_bytes: int, images: int = 0, most_completion: int | None = None) -> int:
    """Give about how many tokens a request uses, prompt and completion together; without a limit of the completion, only
    the prompt's."""
    return -(-text_bytes // BYTES_PER_TOKEN) + images * TOKENS_PER_IMAGE + (most_completion or 0)
