"""Pictures in content blocks as whole conversations bring them: where the address stands, and another put in its place."""

from collections.abc import Mapping


def address_of(block: Mapping[str, object]) -> str | None:
    """Give the address or data URI of a picture's block, None for any other block."""
    match block:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return url
        case {"type": "image_url" | "input_image", "image_url": str(url)}:
            return url
    return None


def with_address(block: Mapping[str, object], url: str) -> Mapping[str, object]:
    """Give a picture's block with this address instead of its own, all else as it was."""
    match block["image_url"]:
        case Mapping() as picture:
            return {**block, "image_url": {**picture, "url": url}}
    return {**block, "image_url": url}
