"""Undoing a content-encoding that nobody asked for: the reply is paid for, and may yet be a bomb.

Every decoder here stops at a bound of what it gives out, and needs no more memory than that.
"""

import sys
import zlib
from collections.abc import Callable, Mapping

import brotli  # type: ignore[import-untyped]  # it ships no types

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# zstd allocates the window that the body asks for, which may be two gigabytes: 32 MB are more than any server's default.
MOST_WINDOW_LOG = 25


class Undecodable(Exception):
    """The bytes are not what the encoding's name says, end too early, or come to more than allowed. Stays in the engine."""


class TooLong(Undecodable):
    """What was packed comes to more than allowed."""


def undo(encoding: str, body: bytes, *, most: int, cut: bool = False) -> bytes:
    """Give the plain body. With `cut` it need not be whole: what can be read of at most `most` bytes is enough.

    `encoding` is the header as it came. A body that is JSON already, whatever the header claims, is left as it is. Raises
    Undecodable, whose text says why.
    """
    name = encoding.strip().lower()
    if name in ("", "identity") or not body:
        return body
    decode = _DECODERS.get(name)
    try:
        if decode is None:
            # Not quoted: an endpoint may write anything there, our key too.
            raise Undecodable("the reply came in a content-encoding that nobody knows and nobody asked for")
        plain, whole = decode(body, most + 1)
    except (zlib.error, brotli.error, zstd.ZstdError, EOFError, Undecodable) as error:
        if body.lstrip()[:1] == b"{":
            return body
        raise error if isinstance(error, Undecodable) else Undecodable("the reply's compressed body is damaged") from None
    if cut:
        return plain[:most]
    if len(plain) > most:
        raise TooLong
    if not whole:
        raise Undecodable("the reply's compressed body is cut short")
    return plain


def _gzip(body: bytes, most: int) -> tuple[bytes, bool]:
    decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    return decoder.decompress(body, most), decoder.eof


def _deflate(body: bytes, most: int) -> tuple[bytes, bool]:
    """Read zlib's format, which the name stands for, or the bare one, which some servers send under it."""
    for wbits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        decoder = zlib.decompressobj(wbits)
        try:
            return decoder.decompress(body, most), decoder.eof
        except zlib.error:
            continue
    raise Undecodable("the reply's compressed body is damaged")


def _brotli(body: bytes, most: int) -> tuple[bytes, bool]:
    decoder = brotli.Decompressor()
    return decoder.process(body, output_buffer_limit=most), decoder.is_finished()


def _zstd(body: bytes, most: int) -> tuple[bytes, bool]:
    decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MOST_WINDOW_LOG})
    return decoder.decompress(body, most), decoder.eof


_DECODERS: Mapping[str, Callable[[bytes, int], tuple[bytes, bool]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
