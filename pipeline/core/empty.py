"""Which replies are empty: paid for, but with nothing in them that anybody asked for."""

import json

# What a reply may carry in place of text, as keys of `extra`. Usage details and the like are no answer.
SAID_INSTEAD = ("refusal", "tool_calls", "function_call", "reasoning", "content", "audio", "images")


def is_empty(text: str | None, extra: str | None) -> bool:
    """Tell whether a reply of this `completion` and `extra` (JSON text) gave nothing; one with no text but tool calls did."""
    if text or not extra:
        return not text
    try:
        carried = json.loads(extra)
    except (ValueError, RecursionError):
        return False
    return not (isinstance(carried, dict) and any(carried.get(key) for key in SAID_INSTEAD))
