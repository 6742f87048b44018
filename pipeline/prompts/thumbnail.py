"""A picture made small enough for a page: the first frame as a JPEG without what else the file carried.

Pictures come from strangers: their format is one of a few, their size is known before anything is decoded.
"""

import io
import struct
from typing import TYPE_CHECKING

from pipeline.core.errors import BadRowError

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 320
MOST_PIXELS = 40_000_000
_QUALITY = 70
# No EPS, PS or PDF, which Pillow hands to Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# What Pillow's decoders raise on broken data, by its own tests and by what fuzzing has shown.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, MemoryError, struct.error)
_BLANK = (255, 255, 255)


def thumbnail(data: bytes) -> bytes:
    """Shrink a picture to SIDE pixels along its longer side. Raises BadRowError that says why it cannot be shown."""
    from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise BadRowError(_too_many(picture))
            # A JPEG decodes straight to less than twice what is wanted: a sixteenth of the work of a photograph's full size.
            picture.draft(None, (SIDE, SIDE))
            picture.load()
            picture.thumbnail((SIDE, SIDE), reducing_gap=2.0)
            # Not before: a PNG may tell its orientation at its very end.
            return _encoded(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        raise BadRowError("the picture is in no format that can be shown here") from None
    except Image.DecompressionBombError:
        raise BadRowError("the picture has too many pixels to be shown") from None
    except _BROKEN:
        raise BadRowError("the picture's data is broken") from None


def _too_many(picture: "Image") -> str:
    return f"the picture's {picture.width} x {picture.height} pixels are too many to be shown"


def _encoded(picture: "Image") -> bytes:
    from PIL import Image

    if picture.has_transparency_data:
        whole = picture.convert("RGBA")
        picture = Image.new("RGB", whole.size, _BLANK)
        picture.paste(whole, mask=whole.getchannel("A"))
    elif picture.mode.startswith("I;16"):
        picture = picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    out = io.BytesIO()
    (picture if picture.mode == "L" else picture.convert("RGB")).save(out, "JPEG", quality=_QUALITY, exif=b"")
    return out.getvalue()
