"""Image cells -> images: bytes, also ones that lie in a file, structs of bytes and path, paths below the root, URLs, data URIs,
or lists of these.

Bytes are passed on undecoded. What they are is read from their first bytes, never from a name or a declared type.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import pybase64

from pipeline.core.errors import BadRowError
from pipeline.core.interfaces import ReadSlice
from pipeline.core.locations import SCHEMES, is_remote
from pipeline.core.types import Image, Slice
from pipeline.prompts.files import too_large
from pipeline.prompts.folders import AnyFolder
from pipeline.prompts.names import shown

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
# No file is called so; pictures as base64 without the head of a data URI are common.
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{256,}={0,2}\s*")
# An ISO media file (HEIF and its kin) names its main brand and those it is compatible with. The general brands say
# nothing of the coding, so the special ones are looked for first.
_ISO_BRANDS = (
    ("image/avif", frozenset({b"avif", b"avis"})),
    ("image/heic", frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})),
    ("image/heif", frozenset({b"mif1", b"msf1", b"heif"})),
)
# The sizes that the second header of a bitmap can have. "BM" alone begins many a text.
_BITMAP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def images_of(
    cell: object, column: str, *, folder: AnyFolder | None, read: ReadSlice | None = None, most_bytes: int
) -> tuple[Image, ...]:
    """Give the images of one cell; an empty list has none. Raises BadRowError that names the column.

    What a Slice says is got by `read`, and what that raises of the file as a whole passes through.
    """
    if isinstance(cell, Slice):
        return (_lying_image(cell, f"image column {shown(column)}", read, most_bytes),)
    if not isinstance(cell, list | tuple):
        return (_named_image(cell, f"image column {shown(column)}", folder, most_bytes),)
    items = enumerate(cell)
    return tuple(_named_image(item, f"image column {shown(column)}, item {at}", folder, most_bytes) for at, item in items)


def _named_image(cell: object, where: str, folder: AnyFolder | None, most_bytes: int) -> Image:
    try:
        return _image(cell, folder=folder, most_bytes=most_bytes)
    except BadRowError as error:
        raise BadRowError(f"{where}: {error}") from error


def _lying_image(cell: Slice, where: str, read: ReadSlice | None, most_bytes: int) -> Image:
    assert read is not None, "a source of slices comes with what reads them"
    try:
        return from_bytes(read(cell, most_bytes), most_bytes)
    except BadRowError as error:
        raise BadRowError(f"{where}: {error}") from error


def media_type_of(data: bytes) -> str | None:
    """Name the image format by its magic, None if it is none that a model takes."""
    head = data[:26]
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return "image/bmp"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "image/tiff"
    if head[4:8] == b"ftyp":
        return _iso_type(data)
    return None


def _iso_type(data: bytes) -> str | None:
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, length, 4))}
    for media_type, known in _ISO_BRANDS:
        if brands & known:
            return media_type
    return None


def _image(cell: object, *, folder: AnyFolder | None, most_bytes: int) -> Image:
    match cell:
        case None:
            raise BadRowError("the image is null")
        case bytes() | bytearray() | memoryview():
            return from_bytes(bytes(cell), most_bytes)
        case Mapping():
            return _from_struct(cell, folder=folder, most_bytes=most_bytes)
        case str():
            return _from_text(cell, folder=folder, most_bytes=most_bytes)
        case list() | tuple():
            raise BadRowError("a list within a list; one level of lists is read")
    raise BadRowError(f"a value of type {type(cell).__name__} is no image; bytes, a path, a URL or a data URI is")


def _from_struct(cell: Mapping[str, object], *, folder: AnyFolder | None, most_bytes: int) -> Image:
    """Read a struct as Hugging Face's datasets write it: its bytes, or else its path."""
    match cell.get("bytes"), cell.get("path"):
        case (bytes() | bytearray() | memoryview()) as data, _:
            return from_bytes(bytes(data), most_bytes)
        case None, str(path):
            return _from_text(path, folder=folder, most_bytes=most_bytes)
        case None, None if "bytes" in cell or "path" in cell:
            raise BadRowError("the image is null: neither bytes nor path")
    raise BadRowError("a struct needs the field bytes (binary) or path (text)")


def from_bytes(data: bytes, most_bytes: int) -> Image:
    """Tell what bytes are. Raises BadRowError for those that are no picture, or more than so many."""
    if not data:
        raise BadRowError("the image is empty")
    if len(data) > most_bytes:
        raise BadRowError(too_large(len(data)))
    media_type = media_type_of(data)
    if media_type is None:
        raise BadRowError(_no_image(data))
    return Image(media_type, data)


def _no_image(data: bytes) -> str:
    start = data[:1024].lower()
    if b"<svg" in start:
        return "SVG is a drawing, not a picture, and may hold scripts; convert it to PNG"
    if start.lstrip().startswith((b"<!doctype html", b"<html")):
        return "this is a web page, not an image"
    return "these bytes are no image in a known format (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC)"


def _from_text(text: str, *, folder: AnyFolder | None, most_bytes: int) -> Image:
    if not text:
        raise BadRowError("the image is empty text")
    match _SCHEME.match(text):
        case re.Match() as match if match[1].lower() in ("http", "https"):
            return _from_url(text)
        case re.Match() as match if match[1].lower() == "data":
            return from_data_uri(text, most_bytes)
        case re.Match() as match if match[1].lower() in SCHEMES and is_remote(text):
            if folder is None or not folder.in_store:
                raise BadRowError(
                    f"{shown(text)} lies in an object store; it is read if images.root is a location above it, such as"
                    " s3://bucket/photos"
                )
        case re.Match() as match:
            raise BadRowError(f"{shown(match[0])} addresses are not read; give http(s), a data URI, or a path below images.root")
    if _BASE64.match(text):
        raise BadRowError("this looks like bare base64; put data:image/png;base64, before it, or store the bytes themselves")
    if folder is None:
        raise BadRowError(f"{shown(text)} is a path, and images.root does not say which folder may be read")
    return from_bytes(folder.read(text, most_bytes), most_bytes)


def is_data_uri(text: str) -> bool:
    return text[:5].lower() == "data:"


def data_uri_of(image: Image) -> str:
    """Write an image's bytes as a data URI."""
    assert image.data is not None
    return f"data:{image.media_type};base64,{pybase64.b64encode_as_string(image.data)}"


def _from_url(text: str) -> Image:
    """Pass an address on as it is, if it can be one: the endpoint fetches it."""
    try:
        has_host = bool(urlsplit(text).hostname)
    except ValueError:  # a broken IPv6 address
        has_host = False
    if not has_host or not text.isprintable() or " " in text:
        raise BadRowError("the image's URL names no host, or holds blanks or control characters")
    return Image(url=text)


def from_data_uri(text: str, most_bytes: int) -> Image:
    """Decode a data URI. What type it declares counts for nothing: senders err, and the bytes say it themselves."""
    head, comma, body = text.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise BadRowError("the data URI is not in base64")
    if len(body) > most_bytes * 1.4 + 1000:  # base64, with line breaks at the usual 76 characters
        raise BadRowError(too_large(len(body) * 3 // 4))
    try:
        broken_in_lines = any(blank in body for blank in " \t\r\n")
        data = pybase64.b64decode("".join(body.split()) if broken_in_lines else body, validate=True)
    except ValueError as error:
        raise BadRowError("the data URI's base64 is damaged") from error
    return from_bytes(data, most_bytes)
