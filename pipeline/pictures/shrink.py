"""What is done to a picture: bytes -> smaller bytes. The same bytes give the same bytes, on the same Pillow.

A picture that fits already is not decoded beyond its header. Of any other the first frame is decoded, shrunk, turned as its
orientation says, its colours brought to sRGB, and encoded anew without what else the file carried (place, camera, comments).
"""

import io
from collections.abc import Callable

from PIL import AvifImagePlugin, Image, ImageCms, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin, features
from PIL.Image import DecompressionBombError, Resampling, Transpose

from pipeline.pictures.wanted import Wanted

# No EPS, PS or PDF: Pillow hands those to Ghostscript. No format that is drawn rather than stored.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", *(("AVIF",) if features.check("avif") else ()))
_PLUGINS = (AvifImagePlugin, TiffImagePlugin, WebPImagePlugin)  # imported here, before the process may not any more

_JPEG = ("JPEG", "MPO")  # a JPEG with further pictures behind it, as many telephones write them
_ORIENTATION = 0x0112
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# The decoder halves a JPEG as often as leaves this many times the wanted side: fast, and LANCZOS hides the rest.
_GAP = 2.0
_WHITE = (255, 255, 255)


class Unreadable(Exception):
    """This is no picture that can be read. `str()` says why."""


def shrink(data: bytes, wanted: Wanted) -> bytes | None:
    """Give the picture as it is wanted, None if it is so already. Raises Unreadable, or whatever a decoder may raise."""
    # Some decoders set memory aside before the size can be asked for, and look at this themselves: at twice of it.
    Image.MAX_IMAGE_PIXELS = -(-wanted.max_pixels // 2)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > wanted.max_pixels:
                raise DecompressionBombError
            return None if _is_as_wanted(image, wanted) else _made(image, wanted)
    except UnidentifiedImageError:
        raise Unreadable(f"it cannot be read as any of {', '.join(FORMATS)}") from None
    except DecompressionBombError:
        raise Unreadable(
            f"it has more than the {wanted.max_pixels / 1e6:g} megapixels that images.max_megapixels allows"
        ) from None


def _is_as_wanted(image: Image.Image, wanted: Wanted) -> bool:
    if wanted.anew:
        return False
    fits = wanted.max_side is None or max(image.size) <= wanted.max_side
    return fits and (wanted.format is None or image.format in _JPEG)


def _made(image: Image.Image, wanted: Wanted) -> bytes:
    kind, profile = image.format or "", image.info.get("icc_profile")
    size = _size_of(image.size, wanted.max_side)
    box = None
    if size != image.size and kind in _JPEG:
        drafted = image.draft(None, (int(size[0] * _GAP), int(size[1] * _GAP)))
        box = drafted[1] if drafted else None  # what of the halved picture is picture
    image.load()
    orientation = _orientation(image)  # not before: a PNG may tell it at its very end
    made = _resizable(image)
    if made.size != size:
        made = made.resize(size, Resampling.LANCZOS, box=box, reducing_gap=_GAP)
    made = _in_srgb(made, profile)
    if orientation in _TURNS:
        made = made.transpose(_TURNS[orientation])
    return _encoded(made, kind, wanted)


def _size_of(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    longer = max(size)
    if max_side is None or longer <= max_side:
        return size
    return max(1, round(size[0] * max_side / longer)), max(1, round(size[1] * max_side / longer))


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # metadata that is damaged, in any way, costs a picture its orientation and nothing else
        return 1
    return found if isinstance(found, int) else 1


def _resizable(image: Image.Image) -> Image.Image:
    """Give it in a mode that can be averaged: L, LA, RGB, RGBA or CMYK. 16 bits are scaled to 8, not clipped."""
    match image.mode:
        case "L" if not image.has_transparency_data:
            return image
        case "LA" | "RGBA" | "CMYK":
            return image
        case "RGB" if not image.has_transparency_data:
            return image
        case "1" | "L" if not image.has_transparency_data:
            return image.convert("L")
        case "I;16" | "I;16L" | "I;16B" | "I;16N":
            return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
        case "I" | "F":
            return _stretched(image)
    return image.convert("RGBA" if image.has_transparency_data or image.mode in ("PA", "RGBa", "La") else "RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """Map 32-bit values, of which nobody says what is black and white, from their least to their greatest."""
    least, most = image.getextrema()
    assert isinstance(least, int | float) and isinstance(most, int | float)
    if not (-1e38 < least <= most < 1e38):
        raise Unreadable("its values are no numbers that could be shown")
    scale = 255 / (most - least) if most > least else 0.0
    scaled: Callable[[float], float] = lambda value: value * scale + (0.5 - least * scale)  # noqa: E731
    return image.convert("F").point(scaled).convert("L")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Bring the colours to sRGB, for models look at numbers and not at profiles. Without a usable profile: CMYK plainly."""
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        try:
            theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            done = ImageCms.profileToProfile(image, theirs, ImageCms.createProfile("sRGB"), outputMode=mode)
        except (ImageCms.PyCMSError, ImportError, OSError, ValueError):  # damaged, or of other colours than the picture's
            done = None
        if done is not None:
            return done
    return image.convert("RGB") if image.mode == "CMYK" else image


def _encoded(image: Image.Image, kind: str, wanted: Wanted) -> bytes:
    """Encode it. JPEG, PNG and WebP stay what they are, an opaque AVIF becomes a JPEG, anything else a PNG."""
    opaque = image.mode in ("L", "RGB")
    image.info = {}  # encoders would take comments and profiles from here
    out = io.BytesIO()
    if wanted.format == "jpeg" or kind in _JPEG or (kind == "AVIF" and opaque):
        (image if opaque else _on_white(image)).save(out, "JPEG", quality=wanted.quality, optimize=True)
    elif kind == "WEBP":
        image.save(out, "WEBP", quality=wanted.quality, method=4)
    else:
        image.save(out, "PNG")
    return out.getvalue()


def _on_white(image: Image.Image) -> Image.Image:
    whole = image.convert("RGBA")
    ground = Image.new("RGB", whole.size, _WHITE)
    ground.paste(whole, mask=whole.getchannel("A"))
    return ground
