import base64
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from pipeline.core.errors import BadRowError
from pipeline.core.types import Image
from pipeline.prompts.files import Folder
from pipeline.prompts.images import images_of, media_type_of

MOST = 100_000


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (8, 6), "teal").save(buffer, kind)
    return buffer.getvalue()


def iso(main: bytes, *compatible: bytes) -> bytes:
    brands = main + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(40)


PNG, JPEG = picture("PNG"), picture("JPEG")
PNG_URI = "data:image/png;base64," + base64.b64encode(PNG).decode()


def images(cell: object, folder: Folder | None = None) -> tuple[Image, ...]:
    return images_of(cell, "photo", folder=folder, most_bytes=MOST)


def refused(cell: object, folder: Folder | None = None) -> str:
    with pytest.raises(BadRowError) as caught:
        images(cell, folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        pytest.param(PNG, "image/png", id="png"),
        pytest.param(JPEG, "image/jpeg", id="jpeg"),
        pytest.param(picture("GIF"), "image/gif", id="gif"),
        pytest.param(picture("WEBP"), "image/webp", id="webp"),
        pytest.param(picture("BMP"), "image/bmp", id="bmp"),
        pytest.param(picture("TIFF"), "image/tiff", id="tiff"),
        pytest.param(b"MM\0*" + bytes(20), "image/tiff", id="tiff, big-endian"),
        pytest.param(iso(b"avif", b"mif1"), "image/avif", id="avif"),
        pytest.param(iso(b"mif1", b"miaf", b"avif"), "image/avif", id="avif by a compatible brand"),
        pytest.param(iso(b"heic", b"mif1"), "image/heic", id="heic"),
        pytest.param(iso(b"mif1", b"heic"), "image/heic", id="heic by a compatible brand"),
        pytest.param(iso(b"mif1"), "image/heif", id="heif"),
        pytest.param(iso(b"isom", b"mp42"), None, id="a video"),
        pytest.param(b"RIFF\0\0\0\0WAVEfmt ", None, id="a sound"),
        pytest.param(b"BM is how this text begins, and it goes on", None, id="a text that begins like a bitmap"),
        pytest.param(b"%PDF-1.7", None, id="pdf"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_the_media_type_comes_from_the_bytes(data, wanted):
    assert media_type_of(data) == wanted


@given(st.binary(max_size=300))
def test_any_bytes_have_a_media_type_or_none(data):
    assert media_type_of(data) is None or media_type_of(data).startswith("image/")  # type: ignore[union-attr]  # not None there


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        pytest.param(PNG, [Image("image/png", PNG)], id="bytes"),
        pytest.param(bytearray(PNG), [Image("image/png", PNG)], id="bytearray"),
        pytest.param(memoryview(PNG), [Image("image/png", PNG)], id="memoryview"),
        pytest.param({"bytes": PNG, "path": "a.jpg"}, [Image("image/png", PNG)], id="struct, bytes win over the path"),
        pytest.param({"bytes": PNG, "path": None}, [Image("image/png", PNG)], id="struct without a path"),
        pytest.param({"bytes": None, "path": PNG_URI}, [Image("image/png", PNG)], id="struct with a data URI"),
        pytest.param("https://example.com/a b".replace(" ", "%20"), [Image(url="https://example.com/a%20b")], id="https"),
        pytest.param("HTTP://example.com/x.svg?a=1#b", [Image(url="HTTP://example.com/x.svg?a=1#b")], id="http, as written"),
        pytest.param(PNG_URI, [Image("image/png", PNG)], id="data URI"),
        pytest.param(PNG_URI.replace("png", "jpg").replace("data", "DATA"), [Image("image/png", PNG)], id="data URI that errs"),
        pytest.param("data:;base64," + PNG_URI.split(",")[1], [Image("image/png", PNG)], id="data URI without a type"),
        pytest.param(
            "data:image/png;base64," + base64.encodebytes(PNG).decode(), [Image("image/png", PNG)], id="data URI broken in lines"
        ),
        pytest.param([PNG, JPEG], [Image("image/png", PNG), Image("image/jpeg", JPEG)], id="list"),
        pytest.param(({"bytes": PNG, "path": None}, PNG_URI), [Image("image/png", PNG)] * 2, id="mixed"),
        pytest.param([], [], id="an empty list has none"),
    ],
)
def test_a_cell_gives_its_images(cell, wanted):
    assert list(images(cell)) == wanted


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        pytest.param(None, "image is null", id="null"),
        pytest.param([PNG, None], "item 1: the image is null", id="null in a list"),
        pytest.param({"bytes": None, "path": None}, "null", id="struct of nulls"),
        pytest.param({"url": "https://example.com"}, "field bytes (binary) or path (text)", id="another struct"),
        pytest.param({"bytes": "text", "path": None}, "field bytes (binary)", id="struct with text as bytes"),
        pytest.param(b"", "image is empty", id="empty bytes"),
        pytest.param("", "empty text", id="empty text"),
        pytest.param(b"hello there", "no image in a known format", id="not an image"),
        pytest.param(b'<?xml version="1.0"?>\n<svg xmlns="x"><script/></svg>', "convert it to PNG", id="svg"),
        pytest.param(b"\n<!DOCTYPE html><html>", "web page", id="html"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(MOST), "0.1 MB is more than images.max_megabytes", id="too large"),
        pytest.param("data:image/png;base64," + "A" * 2 * MOST, "more than images.max_megabytes", id="data URI too large"),
        pytest.param("data:image/png;base64,iVBOR*", "damaged", id="data URI with a strange character"),
        pytest.param("data:image/png;base64,iVBORw0", "damaged", id="data URI cut short"),
        pytest.param("data:image/png;base64,\u00e9\ud800", "damaged", id="data URI that is not ASCII"),
        pytest.param("data:image/png,%89PNG", "not in base64", id="data URI in percent form"),
        pytest.param("data:image/png;base64", "not in base64", id="data URI without data"),
        pytest.param("data:image/png;base64,aGVsbG8=", "no image in a known format", id="data URI of a text"),
        pytest.param(
            "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode(), "convert it to PNG", id="data URI of svg"
        ),
        pytest.param("file:///etc/passwd", "'file:' addresses are not read", id="file URL"),
        pytest.param("ftp://example.com/a.png", "'ftp:' addresses are not read", id="ftp"),
        pytest.param("gopher://example.com/", "'gopher:' addresses are not read", id="gopher"),
        pytest.param("https://", "names no host", id="URL without a host"),
        pytest.param("https://[::1/a.png", "names no host", id="URL with half an address"),
        pytest.param("https://example.com/a b.png", "blanks or control", id="URL with a blank"),
        pytest.param("https://example.com/\r\nHost: x", "blanks or control", id="URL with a line break"),
        pytest.param("a.png", "images.root does not say", id="path without a root"),
        pytest.param(base64.b64encode(PNG * 9).decode(), "bare base64", id="bare base64"),
        pytest.param(7, "type int is no image", id="number"),
        pytest.param([[PNG]], "list within a list", id="nested lists"),
        pytest.param([0] * 1000, "item 0: a value of type int", id="pixels"),
    ],
)
def test_what_is_no_image_is_the_rows_fault(cell, words):
    message = refused(cell)
    assert message.startswith("image column 'photo'")
    assert words in message
    assert message.isprintable()
    assert len(message) < 300


def test_paths_are_read_below_the_root_whatever_their_suffix_says(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(PNG)
    (tmp_path / "note.png").write_bytes(b"a text")
    folder = Folder.of(tmp_path)
    wanted = (Image("image/png", PNG),)
    assert images("a.jpg", folder) == wanted
    assert images({"bytes": None, "path": "a.jpg"}, folder) == wanted
    assert images(["a.jpg", "a.jpg"], folder) == wanted * 2
    assert "no such file" in refused("absent.png", folder)
    assert "no image in a known format" in refused("note.png", folder)
    assert "leads out" in refused({"bytes": None, "path": "../a.jpg"}, folder)


def test_no_picture_enters_a_message():
    for cell in (
        PNG[4:],
        base64.b64encode(PNG * 20).decode(),
        "data:image/png;base64," + base64.b64encode(PNG[4:]).decode() + "*",
    ):
        message = refused(cell)
        assert base64.b64encode(PNG[4:]).decode()[:12] not in message
        assert "IHDR" not in message
