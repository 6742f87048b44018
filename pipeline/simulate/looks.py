"""Looking at a picture: its size and what colours it mostly has. Decoded by Pillow, within bounds, and never kept."""

import io
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# A 20 kB file may unfold to gigabytes: its own header says how large it is, before anything is unfolded.
MOST_PIXELS = 40_000_000
# Colours are counted on a picture shrunk to this many pixels a side: enough for "mostly".
_SIDE = 32
# A second colour is named from this share of the picture on.
_NOTABLE = 0.15

COLOURS = {
    "black": (10, 10, 12),
    "charcoal": (50, 50, 52),
    "dark grey": (85, 85, 87),
    "grey": (128, 128, 128),
    "light grey": (178, 178, 178),
    "off-white": (225, 225, 222),
    "white": (252, 252, 252),
    "dark brown": (62, 40, 28),
    "brown": (115, 75, 50),
    "tan": (170, 130, 95),
    "sand": (210, 185, 145),
    "cream": (240, 225, 195),
    "dark red": (110, 20, 25),
    "red": (200, 35, 40),
    "pink": (230, 150, 165),
    "orange": (225, 120, 40),
    "yellow": (235, 210, 60),
    "olive": (105, 105, 45),
    "dark green": (30, 65, 35),
    "green": (70, 140, 65),
    "pale green": (165, 200, 150),
    "teal": (30, 120, 120),
    "dark blue": (20, 30, 85),
    "slate": (75, 95, 115),
    "blue": (45, 95, 190),
    "light blue": (150, 190, 230),
    "purple": (110, 50, 130),
    "lilac": (185, 160, 205),
}


class NotAPictureError(Exception):
    """These bytes cannot be looked at; the message says why."""


def look(data: bytes) -> str:
    """Describe a picture: `640x480 picture, mostly dark blue and sand`. Without Pillow only its bytes are counted."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        return f"picture of {len(data)} bytes (the simulator looks at pictures where rowcall[simulate] is installed)"
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            return _describe(picture)
    except UnidentifiedImageError:
        raise NotAPictureError("invalid image: none of " + ", ".join(_FORMATS)) from None
    except Image.DecompressionBombError:
        raise NotAPictureError(f"invalid image: more than {MOST_PIXELS} pixels") from None
    # What Pillow's decoders raise on broken data, by its own tests and by what fuzzing has shown.
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, ZeroDivisionError, OverflowError):
        raise NotAPictureError("invalid image: its data is broken") from None


def _describe(picture: "Image.Image") -> str:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise NotAPictureError(f"invalid image: more than {MOST_PIXELS} pixels")
    picture.draft("RGB", (_SIDE * 2, _SIDE * 2))  # a JPEG decodes straight to an eighth of its size: 20 times as fast
    return f"{width}x{height} picture, mostly {' and '.join(_main_colours(picture))}"


def _main_colours(picture: "Image.Image") -> list[str]:
    from PIL import Image

    opaque = picture.convert("RGBA").convert("RGB") if picture.mode in ("P", "PA", "LA") else picture.convert("RGB")
    small = opaque.resize((_SIDE, _SIDE), reducing_gap=2.0)
    named = small.quantize(palette=_palette(), dither=Image.Dither.NONE)
    names = tuple(COLOURS)
    counts = dict.fromkeys(names, 0)
    for index, count in enumerate(named.histogram()[:256]):
        counts[names[min(index, len(names) - 1)]] += count
    first, second = sorted(names, key=lambda name: -counts[name])[:2]
    return [first, second] if counts[second] >= _NOTABLE * _SIDE * _SIDE else [first]


@cache
def _palette() -> "Image.Image":
    """The named colours as a palette picture; unused places repeat the last colour."""
    from PIL import Image

    flat = [channel for colour in COLOURS.values() for channel in colour]
    palette = Image.new("P", (1, 1))
    palette.putpalette(flat + flat[-3:] * (256 - len(COLOURS)))
    return palette
