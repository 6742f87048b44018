"""Small files that become large, slow or strange when they are decoded. Made here, so that none lies about."""

import io
import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def photo(width: int, height: int, seed: int = 1, form: str = "JPEG", quality: int = 88) -> bytes:
    """Make what has a photograph's size in bytes: soft shapes, and a camera's grain."""
    noise = Image.frombytes("RGB", (40, 30), random.Random(seed).randbytes(3600))
    grain = Image.effect_noise((width, height), 12).convert("RGB")
    whole = Image.blend(noise.resize((width, height), Image.Resampling.BICUBIC), grain, 0.3)
    return encoded(whole, form, **({"quality": quality} if form == "JPEG" else {}))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, bits: int = 1, colour: int = 0, before: bytes = b"", behind: bytes = b"") -> bytes:
    """Make a black PNG, row by row, without holding it."""
    samples = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    row = bytes(1 + (width * bits * samples + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + before + _chunk(b"IDAT", packed) + behind + _chunk(b"IEND", b"")


def _giant_profile() -> bytes:
    return png(64, 64, bits=8, colour=2, before=_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(300_000_000), 9)))


def _giant_text(where: str) -> bytes:
    texts = _chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(100_000_000), 9))
    many = _chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1_000_000), 9)) * 200
    return png(64, 64, bits=8, colour=2, **{where: texts + many})


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _jpeg_of(side: int) -> bytes:
    data = encoded(Image.new("L", (64, 64)), "JPEG")
    return _patched(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", side, side))


def _gif_frame() -> bytes:
    data = encoded(Image.new("P", (16, 16)), "GIF")
    return _patched(data, data.index(b"\x2c\0\0\0\0") + 5, struct.pack("<HH", 65535, 65535))


def _webp() -> bytes:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    return _patched(data, data.index(b"VP8X") + 12, (16_382).to_bytes(3, "little") * 2)


def _avif() -> bytes:
    data = encoded(Image.new("RGB", (64, 64)), "AVIF")
    return _patched(data, data.index(b"ispe") + 8, struct.pack(">II", 60_000, 60_000))


def _bmp() -> bytes:
    return _patched(encoded(Image.new("RGB", (8, 8)), "BMP"), 18, struct.pack("<ii", 30_000, 30_000))


def _tiff(tags: dict[int, int]) -> bytes:
    """Make a TIFF of 64 x 64 that claims these tags, compressed, so that libtiff reads it."""
    packed = zlib.compress(bytes(64 * 64))
    entries = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: 64, 279: len(packed)} | tags
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()) if value >= 0)
    count = len(listed) // 12
    return b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + struct.pack("<H", count) + listed + bytes(4)


def _many_frames(form: str, count: int) -> bytes:
    frames = [Image.new("L", (200, 200), number % 256) for number in range(count)]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:])


def bombs() -> Iterator[tuple[str, bytes, str | None]]:
    """Give each bomb's name and bytes, and what its row fails with; None: it is harmless, and comes out small."""
    pixels = "megapixels"
    yield "png of 20,000 x 20,000", png(20_000, 20_000), pixels
    yield "png of 12,000 x 12,000 at one bit", png(12_000, 12_000), pixels
    yield "png of 6,300 x 6,300 at one bit, just allowed", png(6300, 6300), None
    yield "png of 6,300 x 6,300 in RGBA, just allowed", png(6300, 6300, bits=8, colour=6), None
    yield "png of 6,300 x 6,300 at 16 bits, just allowed", png(6300, 6300, bits=16), None
    yield "png of 1 x 2,147,483,647", png(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", 1, 2**31 - 1)), "cannot"
    yield "jpeg of 65,500 x 65,500", _jpeg_of(65_500), pixels
    yield "jpeg of 6,300 x 6,300 with 64 x 64 of data", _jpeg_of(6300), None  # its decoder fills the rest with grey
    yield "gif with a frame of 65,535 x 65,535", _gif_frame(), pixels
    yield "webp of 16,383 x 16,383", _webp(), pixels
    yield "avif of 60,000 x 60,000", _avif(), ""
    yield "bmp of 30,000 x 30,000", _bmp(), pixels
    yield "tiff with a strip of 4 GB", _tiff({279: 2**32 - 2}), ""
    yield "tiff of 64 x 64 in one tile of 65,520", _tiff({322: 65_520, 323: 65_520, 324: 8, 325: 99, 273: -1, 278: -1}), ""
    yield "tiff of 60,000 x 60,000", _tiff({256: 60_000, 257: 60_000}), pixels
    yield "png with 300 MB of profile", _giant_profile(), ""
    yield "png with 100 MB of text before it", _giant_text("before"), ""
    yield "png with 100 MB of text behind it", _giant_text("behind"), ""
    yield "gif of 1,000 frames", _many_frames("GIF", 1000), None
    yield "webp of 300 frames", _many_frames("WEBP", 300), None
    yield "jpeg with a zip behind it", photo(900, 600) + b"PK\3\4" + bytes(1000), None
    yield "jpeg cut in half", photo(900, 600)[:20_000], "truncated"
    yield "png cut in half", photo(900, 600, form="PNG")[:200_000], "truncated"
    yield "postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999 9999\n", "cannot be read"
    yield "pdf", b"%PDF-1.7\n", "cannot be read"
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be read"
