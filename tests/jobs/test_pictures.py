"""What is done to a prompt's pictures between rendering and sending."""

import asyncio
from collections.abc import Callable
from functools import partial

import pybase64
import pytest

from pipeline.core.errors import BadRowError
from pipeline.core.types import Image, Message, Prompt
from pipeline.jobs.pictures import Pictures
from pipeline.prompts.images import from_bytes

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
URL = "https://pictures.example/cat.png"


async def fetched(url: str) -> bytes:
    return f"fetched {url}".encode()


async def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def read(data: bytes) -> Image:
    if not data:
        raise BadRowError("the image is empty")
    return Image("image/png", data)


def prepared(pictures: Pictures, *parts: object) -> tuple[object, ...]:
    prompt = Prompt(3, (Message("system", ("Say what you see.",)), Message("user", parts)))  # type: ignore[arg-type]
    done = asyncio.run(pictures(prompt))  # type: ignore[arg-type]
    assert (done.row, done.messages[0]) == (3, prompt.messages[0])
    return done.messages[1].parts


def test_an_address_is_fetched_and_then_shrunk() -> None:
    parts = prepared(Pictures(read, fetch=fetched, shrink=halved), "Describe:", Image(url=URL))
    assert parts == ("Describe:", Image("image/png", f"fetched {URL}".encode()[: (8 + len(URL)) // 2]))


def test_an_address_is_passed_on_where_nothing_fetches() -> None:
    assert prepared(Pictures(read, shrink=halved), Image(url=URL)) == (Image(url=URL),)


def test_what_is_fetched_but_is_no_picture_fails_its_row() -> None:
    async def nothing(url: str) -> bytes:
        return b""

    with pytest.raises(BadRowError, match="empty"):
        prepared(Pictures(read, fetch=nothing), Image(url=URL))


def test_a_block_of_the_users_own_is_passed_on_unread() -> None:
    block = {"type": "image_file", "image_file": {"url": URL}}
    assert prepared(Pictures(read, fetch=fetched, shrink=halved), block) == (block,)


def test_an_address_in_a_block_is_fetched_where_something_fetches_and_all_else_it_says_stays() -> None:
    block = {"type": "image_url", "image_url": {"url": URL, "detail": "high"}}
    embedded = f"data:image/png;base64,{pybase64.b64encode_as_string(f'fetched {URL}'.encode())}"
    assert prepared(Pictures(read, fetch=fetched), block) == ({**block, "image_url": {"url": embedded, "detail": "high"}},)
    assert prepared(Pictures(read, shrink=halved), block) == (block,)


def test_what_is_no_picture_names_the_host_and_nothing_else_of_its_address() -> None:
    with pytest.raises(BadRowError) as raised:
        prepared(Pictures(partial(from_bytes, most_bytes=1000), fetch=fetched), Image(url=f"{URL}?token=secret"))
    assert str(raised.value).startswith("https://pictures.example/…: these bytes are no image")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><p>", "web page"),
        (b"<?xml?><svg>", "SVG"),
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 1000, "max_megabytes"),
    ],
    ids=["web-page", "svg", "empty", "large"],
)
def test_what_magic_says_counts_and_no_declared_type(body: bytes, words: str) -> None:
    async def fetch(url: str) -> bytes:
        return body

    with pytest.raises(BadRowError, match=words):
        prepared(Pictures(partial(from_bytes, most_bytes=1000), fetch=fetch), Image(url=URL))


@pytest.mark.parametrize("wrap", [lambda url: {"url": url, "detail": "high"}, lambda url: url], ids=["object", "text"])
def test_a_data_uri_in_a_block_is_shrunk_and_all_else_it_says_stays(wrap: Callable[[str], object]) -> None:
    uri, half = (f"data:image/png;base64,{pybase64.b64encode_as_string(data)}" for data in (PNG, PNG[: len(PNG) // 2]))
    block = {"type": "image_url", "image_url": wrap(uri), "cache": True}
    assert prepared(Pictures(read, shrink=halved), block) == ({**block, "image_url": wrap(half)},)
    assert prepared(Pictures(read), block) == (block,)


def test_a_block_whose_picture_fits_is_the_same_block() -> None:
    async def fits(data: bytes) -> bytes:
        return data

    block = {"type": "image_url", "image_url": {"url": f"data:text/plain;base64,{pybase64.b64encode_as_string(PNG)}"}}
    (part,) = prepared(Pictures(read, shrink=fits), block)
    assert part is block


def test_a_block_with_a_damaged_or_too_large_data_uri_fails_its_row() -> None:
    for uri, why in (("data:image/png;base64,iVBOR!", "damaged"), ("data:image/png;base64," + "A" * 4000, "max_megabytes")):
        with pytest.raises(BadRowError, match=why):
            prepared(Pictures(read, shrink=halved, most_bytes=1000), {"type": "image_url", "image_url": {"url": uri}})
