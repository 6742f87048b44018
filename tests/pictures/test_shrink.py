"""What is done to a picture, by its pixels."""

import io

import pytest
from PIL import Image, ImageCms, features

from pipeline.pictures.shrink import Unreadable, shrink
from pipeline.pictures.wanted import Wanted

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:Corrupt EXIF")

RED, GREEN, BLUE, YELLOW, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255)


def wanted(max_side: int | None = None, form: str | None = None, quality: int = 95, max_pixels: int = 40_000_000) -> Wanted:
    return Wanted(max_side, form, quality, max_pixels)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def quarters(width: int = 80, height: int = 40) -> Image.Image:
    """Red and green above, blue and yellow below."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(YELLOW, (width // 2, height // 2, width, height))
    return image


def made(data: bytes, want: Wanted) -> Image.Image:
    out = shrink(data, want)
    assert out is not None
    image = Image.open(io.BytesIO(out))
    image.load()
    return image


def is_like(found: object, expected: tuple[int, ...], within: int = 12) -> bool:
    assert isinstance(found, tuple)
    return len(found) == len(expected) and all(abs(a - b) <= within for a, b in zip(found, expected, strict=True))


def corners(image: Image.Image) -> list[object]:
    """Give the colours in the middle of each quarter: left and right above, left and right below."""
    width, height = image.size
    spots = [(width // 4, height // 4), (width * 3 // 4, height // 4), (width // 4, height * 3 // 4)]
    return [image.convert("RGB").getpixel(spot) for spot in [*spots, (width * 3 // 4, height * 3 // 4)]]


# -- what is left as it is


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_picture_that_fits_is_left_as_it_is(form: str) -> None:
    assert shrink(encoded(quarters(), form), wanted(max_side=80)) is None


def test_a_jpeg_that_fits_is_left_as_it_is_where_jpeg_is_wanted() -> None:
    assert shrink(encoded(quarters(), "JPEG"), wanted(80, "jpeg")) is None
    assert shrink(encoded(quarters(), "JPEG"), wanted(None, "jpeg")) is None


def test_a_jpeg_that_fits_is_not_decoded() -> None:
    half = encoded(Image.effect_noise((200, 200), 80), "JPEG")
    assert shrink(half[: len(half) // 2], wanted(200)) is None


def test_a_jpeg_with_a_second_picture_behind_it_is_a_jpeg() -> None:
    two = encoded(quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (80, 40), WHITE)])
    assert shrink(two, wanted(80, "jpeg")) is None
    small = made(two, wanted(40))
    assert (small.format, small.size) == ("JPEG", (40, 20))
    assert is_like(corners(small)[0], RED, 30)


# -- sizes and formats


@pytest.mark.parametrize(
    ("size", "max_side", "becomes"),
    [
        ((80, 40), 40, (40, 20)),
        ((40, 80), 40, (20, 40)),
        ((1001, 7), 100, (100, 1)),
        ((1000, 1), 16, (16, 1)),
        ((99, 66), 33, (33, 22)),
    ],
)
def test_the_longer_side_becomes_as_wanted(size: tuple[int, int], max_side: int, becomes: tuple[int, int]) -> None:
    for form in ("PNG", "JPEG"):
        assert made(encoded(Image.new("RGB", size, BLUE), form), wanted(max_side)).size == becomes


@pytest.mark.parametrize(
    ("form", "becomes"),
    [("JPEG", "JPEG"), ("PNG", "PNG"), ("WEBP", "WEBP"), ("GIF", "PNG"), ("BMP", "PNG"), ("TIFF", "PNG"), ("AVIF", "JPEG")],
)
def test_a_shrunk_picture_keeps_its_format_where_that_is_common(form: str, becomes: str) -> None:
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    small = made(encoded(quarters(400, 200), form), wanted(100))
    assert (small.format, small.size) == (becomes, (100, 50))
    assert all(is_like(*pair, 40) for pair in zip(corners(small), (RED, GREEN, BLUE, YELLOW), strict=True))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_jpeg_is_made_of_all_others_where_it_is_wanted(form: str) -> None:
    assert made(encoded(quarters(), form), wanted(None, "jpeg")).format == "JPEG"


def test_of_moving_pictures_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in (RED, GREEN, BLUE)]
    for form in ("GIF", "WEBP"):
        still = made(encoded(frames[0], form, save_all=True, append_images=frames[1:]), wanted(32))
        assert getattr(still, "n_frames", 1) == 1
        assert is_like(still.convert("RGB").getpixel((16, 16)), RED)


def test_a_lower_quality_is_a_smaller_picture() -> None:
    noise = encoded(Image.effect_noise((400, 300), 80).convert("RGB"), "PNG")
    sizes = [len(shrink(noise, wanted(300, "jpeg", quality)) or b"") for quality in (30, 60, 90)]
    assert sizes == sorted(set(sizes))


def test_the_same_bytes_give_the_same_bytes() -> None:
    noise = Image.effect_noise((400, 300), 80).convert("RGB")
    for form in ("JPEG", "PNG", "WEBP"):
        data = encoded(noise, form)
        assert shrink(data, wanted(100)) == shrink(data, wanted(100))


# -- orientation, colours, what else is in a file


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, (RED, GREEN, BLUE, YELLOW)),
        (2, (GREEN, RED, YELLOW, BLUE)),
        (3, (YELLOW, BLUE, GREEN, RED)),
        (4, (BLUE, YELLOW, RED, GREEN)),
        (5, (RED, BLUE, GREEN, YELLOW)),
        (6, (BLUE, RED, YELLOW, GREEN)),
        (7, (YELLOW, GREEN, BLUE, RED)),
        (8, (GREEN, YELLOW, RED, BLUE)),
    ],
)
def test_a_picture_is_turned_as_it_says(form: str, orientation: int, upright: tuple[object, ...]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    small = made(encoded(quarters(), form, exif=exif), wanted(40))
    assert small.size == ((40, 20) if orientation < 5 else (20, 40))
    assert small.getexif().get(0x0112, 1) == 1  # or it would be turned again
    assert all(is_like(*pair, 40) for pair in zip(corners(small), upright, strict=True)), corners(small)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    small = made(encoded(quarters(), "JPEG", exif=exif), wanted(40))
    assert is_like(corners(small)[0], RED, 40)


def test_metadata_that_is_damaged_costs_nothing_but_the_orientation() -> None:
    small = made(encoded(quarters(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x99" * 20), wanted(40))
    assert is_like(corners(small)[0], RED, 40)


def test_place_and_camera_are_dropped() -> None:
    exif = Image.Exif()
    exif[0x010F] = "CAMERA-canary"
    exif.get_ifd(0x8825)[1] = "PLACE-canary"
    for form in ("JPEG", "PNG", "WEBP"):
        whole = encoded(quarters(), form, exif=exif, comment=b"COMMENT-canary")
        assert b"canary" in whole
        assert b"canary" not in (shrink(whole, wanted(40)) or b"canary")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_becomes_white_in_a_jpeg(mode: str) -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (32, 0, 64, 64))
    form = "TIFF" if mode == "PA" else "PNG"
    data = encoded(image.convert("RGBA" if mode == "PA" else mode), form)
    flat = made(data, wanted(32, "jpeg"))
    assert flat.mode in ("RGB", "L")
    assert is_like(flat.convert("RGB").getpixel((6, 16)), WHITE)
    assert is_like(flat.convert("RGB").getpixel((26, 16)), (0, 0, 0))


def test_half_transparent_becomes_half_white() -> None:
    flat = made(encoded(Image.new("RGBA", (64, 64), (0, 0, 255, 128)), "PNG"), wanted(None, "jpeg"))
    assert is_like(flat.getpixel((32, 32)), (127, 127, 255))


def test_transparency_stays_in_a_png_and_bleeds_no_colour() -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))  # red that nobody sees
    image.paste((0, 0, 255, 255), (0, 0, 33, 64))
    small = made(encoded(image, "PNG"), wanted(16))
    seen = small.getpixel((8, 8))
    assert small.mode == "RGBA"
    assert isinstance(seen, tuple)
    assert seen[0] < 20 and seen[2] > 235 and 0 < seen[3] < 255
    assert small.getpixel((15, 8))[3] == 0  # type: ignore[index]  # of RGBA a pixel is a tuple


def test_a_palette_with_transparency_is_flattened_and_one_without_keeps_its_colours() -> None:
    palette = quarters().quantize(8)
    assert is_like(corners(made(encoded(palette, "PNG"), wanted(40)))[3], YELLOW)
    through = palette.getpixel((10, 10))
    flat = made(encoded(palette, "GIF", transparency=through), wanted(40, "jpeg"))
    assert is_like(corners(flat)[0], WHITE, 20)
    assert is_like(corners(flat)[3], YELLOW, 20)


def test_one_bit_becomes_grey_where_it_is_averaged() -> None:
    image = Image.new("1", (64, 64))
    for x in range(0, 64, 2):
        image.paste(1, (x, 0, x + 1, 64))
    small = made(encoded(image, "PNG"), wanted(16))
    assert 110 < small.convert("L").getpixel((8, 8)) < 145  # type: ignore[operator]  # of L a pixel is a number


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(form: str) -> None:
    row = b"".join(value.to_bytes(2, "little") * 10 for value in (0, 32768, 65535))
    image = Image.frombytes("I;16", (30, 10), row * 10)
    small = made(encoded(image, form), wanted(None, "jpeg"))
    assert [small.convert("RGB").getpixel((x, 5))[0] for x in (4, 15, 26)] == pytest.approx([0, 128, 255], abs=3)  # type: ignore[index]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_values_of_no_agreed_range_are_shown_from_their_least_to_their_greatest(mode: str) -> None:
    image = Image.new(mode, (30, 10), -1000)
    image.paste(500, (10, 0, 20, 10))
    image.paste(2000, (20, 0, 30, 10))
    small = made(encoded(image, "TIFF"), wanted(None, "jpeg"))
    assert [small.getpixel((x, 5)) for x in (4, 15, 26)] == pytest.approx([0, 128, 255], abs=3)


def test_values_that_are_no_numbers_are_no_picture() -> None:
    image = Image.new("F", (30, 10), float("nan"))
    with pytest.raises(Unreadable, match="numbers"):
        shrink(encoded(image, "TIFF"), wanted(16))


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb_the_right_way_round(form: str) -> None:
    image = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    small = made(encoded(image, form), wanted(32, "jpeg"))
    assert small.mode == "RGB"
    assert is_like(small.getpixel((16, 16)), RED)


def test_the_inverted_cmyk_that_adobe_writes_is_read_as_such() -> None:
    data = encoded(Image.new("CMYK", (64, 64), (255, 0, 0, 0)), "JPEG", quality=95)
    assert b"Adobe" in data[:200]
    assert is_like(made(data, wanted(32)).getpixel((16, 16)), (0, 255, 255))


def test_colours_of_another_profile_are_brought_to_srgb() -> None:
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at_red, at_blue = swapped.index(b"rXYZ"), swapped.index(b"bXYZ")
    # A profile that calls blue what others call red.
    swapped = bytearray(swapped)
    swapped[at_red : at_red + 4], swapped[at_blue : at_blue + 4] = b"bXYZ", b"rXYZ"
    data = encoded(Image.new("RGB", (64, 64), RED), "PNG", icc_profile=bytes(swapped))
    small = made(data, wanted(32))
    assert is_like(small.getpixel((16, 16)), BLUE)
    assert "icc_profile" not in small.info


def test_a_profile_that_is_damaged_or_of_other_colours_is_left_out() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (b"no profile", lab, lab[:200]):
        for mode, colour in (("RGB", RED), ("L", 99), ("RGBA", (*RED, 255))):
            small = made(encoded(Image.new(mode, (64, 64), colour), "PNG", icc_profile=profile), wanted(32))
            assert small.getpixel((16, 16)) == colour


# -- what is refused


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_of_too_many_pixels_is_not_decoded(form: str) -> None:
    with pytest.raises(Unreadable, match=r"more than the 0\.01 megapixels that images\.max_megapixels allows"):
        shrink(encoded(quarters(101, 100), form), wanted(16, max_pixels=10_000))
    assert shrink(encoded(quarters(100, 100), form), wanted(100, max_pixels=10_000)) is None


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "BMP"])
def test_a_truncated_picture_is_an_error_and_not_half_grey(form: str) -> None:
    whole = encoded(Image.effect_noise((200, 200), 80).convert("RGB"), form)
    with pytest.raises(Exception, match=r"truncated|broken|decoder|unrecognized|buffer|strip"):
        shrink(whole[: len(whole) // 2], wanted(50))


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n",
        b"%PDF-1.7\n%",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"P6 9 9 255 " + bytes(243),
        b"",
        b"\xff\xd8\xff" + b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"8BPS\0\1" + bytes(100),
    ],
    ids=["eps", "pdf", "svg", "ppm", "nothing", "eps-behind-jpeg-magic", "psd"],
)
def test_what_is_no_common_picture_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="cannot be read as any of JPEG, PNG"):
        shrink(data, wanted(16))
