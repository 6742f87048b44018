"""Rough token counts, known before anything is sent: for pacing, and for what `check` announces. Never for the output columns."""

# English prose in the usual vocabularies. Counted in UTF-8 bytes rather than characters, so that scripts of three bytes
# a character, which cost near a token each, are not taken for a quarter of one.
BYTES_PER_TOKEN = 4
# What OpenAI's published rule charges for a 1024 x 1024 picture at high detail. Others differ by a factor of three either way.
TOKENS_PER_IMAGE = 765


def estimate(*, text_bytes: int, images: int = 0, most_completion: object = None) -> int:
    """Give about how many tokens a request uses, prompt and completion together.

    `most_completion` is the request's own limit, as the config gave it; anything but a positive whole number counts as
    none given, and then only the prompt is counted.
    """
    limit = most_completion if isinstance(most_completion, int) and not isinstance(most_completion, bool) else 0
    return -(-text_bytes // BYTES_PER_TOKEN) + images * TOKENS_PER_IMAGE + max(limit, 0)
