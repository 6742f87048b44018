"""Bodies that come compressed although nobody asked: read where they can be, in bounded memory, and never half."""

import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.types import Fault, Reply, Response
from pipeline.engine.encodings import TooLong, Undecodable, undo, zstd
from pipeline.engine.transport import MOST_BODY_BYTES
from tests.engine.raw import HEAD, decoded, posts, saying

PLAIN = b'{"choices":[{"message":{"content":"paid for"},"finish_reason":"stop"}]}'
MOST = 2**20


def bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def brotli_at_some_speed(body: bytes) -> bytes:
    packed: bytes = brotli.compress(body, quality=3)
    return packed


ENCODINGS = [
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("X-GZIP", gzip.compress, id="x-gzip"),
    pytest.param("deflate", zlib.compress, id="deflate"),
    pytest.param("deflate", bare_deflate, id="bare-deflate"),
    pytest.param("br", brotli_at_some_speed, id="brotli"),
    pytest.param("zstd", zstd.compress, id="zstd"),
]
Pack = Callable[[bytes], bytes]


@pytest.mark.parametrize(("name", "pack"), ENCODINGS)
def test_a_packed_body_is_unpacked(name: str, pack: Pack) -> None:
    assert undo(name, pack(PLAIN), most=MOST) == PLAIN
    assert undo(name, pack(b"x" * MOST), most=MOST) == b"x" * MOST


@pytest.mark.parametrize(("name", "pack"), ENCODINGS)
def test_a_packed_body_cut_at_any_byte_is_refused(name: str, pack: Pack) -> None:
    packed = pack(PLAIN)
    for cut in range(1, len(packed)):
        with pytest.raises(Undecodable):
            undo(name, packed[:cut], most=MOST)


@pytest.mark.parametrize(("name", "pack"), ENCODINGS)
def test_of_an_error_what_can_be_read_is_enough(name: str, pack: Pack) -> None:
    packed = pack(b"no credits, " * 1000)
    assert undo(name, packed, most=11, cut=True) == b"no credits,"
    assert undo(name, packed, most=MOST, cut=True) == b"no credits, " * 1000


@pytest.mark.parametrize(("name", "pack"), ENCODINGS)
def test_a_bomb_stops_at_the_bound(name: str, pack: Pack) -> None:
    bomb = pack(b" " * (100 * MOST))
    assert len(bomb) < MOST
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            undo(name, bomb, most=MOST)
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST
    finally:
        tracemalloc.stop()


def test_a_window_of_a_gigabyte_is_not_taken() -> None:
    greedy = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    with pytest.raises(Undecodable):
        undo("zstd", greedy.compress(PLAIN * 10) + greedy.flush(), most=MOST)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "snappy", "gzip, br", "none", "\x1b[31m"])
def test_a_body_that_is_plain_json_is_taken_whatever_the_header_claims(name: str) -> None:
    assert undo(name, PLAIN, most=MOST) == PLAIN


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "snappy"])
def test_a_body_that_is_neither_is_refused(name: str) -> None:
    with pytest.raises(Undecodable):
        undo(name, b"\xff\xff not packed at all", most=MOST)


@given(name=st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "what"]), body=st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything_else(name: str, body: bytes) -> None:
    for cut in (False, True):
        with contextlib.suppress(Undecodable):
            assert len(undo(name, body, most=50, cut=cut)) <= max(len(body), 50)


@pytest.mark.network
@pytest.mark.parametrize(("name", "pack"), ENCODINGS)
def test_a_packed_reply_is_read_off_the_wire_and_a_bomb_is_not(name: str, pack: Pack) -> None:
    def packed(body: bytes) -> bytes:
        return HEAD + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (name.encode(), len(body)) + body

    (reply,) = posts(saying(packed(pack(PLAIN))))
    found = decoded(reply)
    assert isinstance(found, Reply)
    assert found.text == "paid for"
    (bomb,) = posts(saying(packed(pack(b" " * (MOST_BODY_BYTES + 1)))))
    (cut,) = posts(saying(packed(pack(PLAIN)[:-6])))
    (unclosed,) = posts(saying(HEAD + b"Content-Encoding: %s\r\n\r\n" % name.encode() + pack(PLAIN)[:-6]))
    for lost in (bomb, cut, unclosed):
        assert isinstance(lost, Fault)
        assert (lost.error_kind, lost.ambiguous, lost.resends) == ("bad_response", True, 1)
    (refused,) = posts(saying(packed(pack(b'{"error":"Unauthorized"}')).replace(b"200 OK", b"401 No")))
    assert refused == Response(401, refused.headers, b'{"error":"Unauthorized"}')
