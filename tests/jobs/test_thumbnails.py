"""Pictures small enough for a page. What becomes of each kind of picture, and of bombs, is tested in tests/pictures."""

import io
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from pipeline.core.errors import BadRowError
from pipeline.jobs.pictures import thumbnails

Small = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def small() -> Iterator[Small]:
    with thumbnails() as made:
        yield made


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(("size", "becomes"), [((900, 600), (320, 213)), ((40, 30), (40, 30))])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_every_picture_becomes_a_small_jpeg(small: Small, kind: str, size: tuple[int, int], becomes: tuple[int, int]) -> None:
    made = Image.open(io.BytesIO(small(encoded(Image.new("RGB", size, (200, 30, 30)), kind))))
    assert (made.format, made.size) == ("JPEG", becomes)


@pytest.mark.parametrize("size", [(800, 400), (80, 40)])
def test_nothing_else_of_a_file_gets_into_a_page(small: Small, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    data = encoded(Image.new("RGB", size), "JPEG", exif=exif) + b"and behind its end: a diary"
    assert b"home" in data
    assert not any(each in small(data) for each in (b"home", b"diary"))


@pytest.mark.parametrize("data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_says_so(small: Small, data: bytes) -> None:
    with pytest.raises(BadRowError, match="cannot be read as any of"):
        small(data)
