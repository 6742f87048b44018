"""Pictures made small: whatever their format, size and orientation, and nothing of what is no sound picture."""

import io
import struct
import zlib

import pytest
from PIL import Image

from pipeline.core.errors import BadRowError
from pipeline.prompts.thumbnail import thumbnail


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(thumbnail(data)))


def red_above(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A picture whose upper half is red, the lower blue."""
    picture = Image.new("RGB", size, (20, 20, 230))
    picture.paste((230, 20, 20), (0, 0, size[0], size[1] // 2))
    return picture.convert(mode)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
        *(("PNG", mode) for mode in ("RGB", "RGBA", "P", "L", "LA", "1", "I;16")),
        *((kind, "RGB") for kind in ("WEBP", "GIF", "BMP", "TIFF")),
    ],
)
def test_every_kind_becomes_a_small_jpeg(kind, mode):
    picture = Image.new("I;16", (900, 600)) if mode == "I;16" else red_above((900, 600), mode)
    small = opened(encoded(picture, kind))
    assert (small.format, small.size) == ("JPEG", (320, 213))


def test_a_small_picture_is_not_made_larger():
    assert opened(encoded(red_above((40, 30)), "PNG")).size == (40, 30)


def test_the_orientation_is_applied_and_nothing_else_of_the_metadata_is_kept():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    exif[0x010E] = "taken at home"
    small = opened(encoded(red_above((800, 400)), "JPEG", exif=exif))
    assert small.size == (160, 320)
    red, _, blue = small.convert("RGB").getpixel((140, 160))
    assert red > blue  # what was above is to the right
    assert b"home" not in thumbnail(encoded(red_above((800, 400)), "JPEG", exif=exif))


def test_what_is_transparent_is_white():
    assert opened(encoded(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG")).convert("L").getextrema()[0] > 250


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20), 9) * 2
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(bomb(100_000, 100_000), "pixels", id="a bomb"),
        pytest.param(bomb(7_000, 7_000), "7000 x 7000 pixels", id="just too large"),
        pytest.param(encoded(red_above((900, 600)), "JPEG")[:2000], "broken", id="cut off"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no format", id="a program to draw"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no format", id="a drawing"),
        pytest.param(b"", "no format", id="nothing"),
    ],
)
def test_what_cannot_be_shown_says_why(data, why):
    with pytest.raises(BadRowError, match=why):
        thumbnail(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_broken_pictures_raise_nothing_else(kind):
    whole = bytearray(encoded(red_above((90, 60)), kind))
    for at in range(0, len(whole), max(len(whole) // 60, 1)):
        broken = bytes(whole[:at]) + bytes([whole[at] ^ 0xFF]) + bytes(whole[at + 1 :])
        try:
            thumbnail(broken)
        except BadRowError:
            continue
