"""Faults of the wire: no answer, half of one, too much of one, or one that is no HTTP. Pure: what is written, and how."""

import zlib
from collections.abc import Iterator
from dataclasses import replace

from pipeline.simulate import reading
from pipeline.simulate.acts import Act, Bill, End, Fault, Flood, Given, Hang, Scene, Shut, Write, head, wire
from pipeline.simulate.shapes import Reply

_LONGEST_S = 86_400.0
# How long nobody listens where neither `for_s` nor the end of the episode says.
SHUT_S = 10.0
MEGABYTE = 2**20
# A bomb is to be survived by whoever is tested, not to fill the disk of one who stores it.
_MOST_MEGABYTES = 1_000
_MEGABYTES = 300


def _hang(scene: Scene, given: Given) -> Act:
    return Hang(given.get("for_s", 3600.0))


def _refuse(scene: Scene, given: Given) -> Act:
    return Shut(given.get("for_s", SHUT_S))


def _slow(scene: Scene, given: Given) -> Act:
    return Write(wire(scene, scene.completion()), delay=given.get("by_s", 5.0))


def _drip(scene: Scene, given: Given) -> Act:
    return Write(wire(scene, scene.completion()), piece=given.get("bytes", 1), pause=given.get("every_s", 0.3))


def _cut(scene: Scene, given: Given) -> Act:
    reply = scene.completion()
    at = given.get("at", scene.draw)
    size = int(at * len(reply.body)) if isinstance(at, float) else at
    end = End.RESET if given.get("reset") else End.CLOSE
    return Write(head(scene, reply) + reply.body[: min(size, len(reply.body) - 1)], end)


def _cut_head(scene: Scene, given: Given) -> Act:
    whole = head(scene, scene.completion())
    return Write(whole[: given.get("at", len(whole) // 2)], End.CLOSE)


def _cut_silently(scene: Scene, given: Given) -> Act:
    reply = scene.completion()
    top = head(scene, reply, more=(("Connection", "close"),), length=False)
    return Write(top + reply.body[: len(reply.body) // 2], End.CLOSE)


def _reset_after(scene: Scene, given: Given) -> Act:
    return Write(wire(scene, scene.completion()), End.RESET)


def _close_after_reply(scene: Scene, given: Given) -> Act:
    return Write(wire(scene, scene.completion()), End.CLOSE)


def _trailing_bytes(scene: Scene, given: Given) -> Act:
    return Write(wire(scene, scene.completion()) + b"and a few bytes more", End.CLOSE)


def _interim(scene: Scene, given: Given) -> Act:
    return Write(b"HTTP/1.1 102 Processing\r\n\r\n" * given.get("times", 1000) + wire(scene, scene.completion()))


def _duplicate_headers(scene: Scene, given: Given) -> Act:
    return Write(wire(scene, scene.completion(), more=(("Content-Length", "7"),)), End.CLOSE)


def _big_header(scene: Scene, given: Given) -> Act:
    return Write(wire(scene, scene.completion(), more=(("X-Long", "x" * given.get("bytes", 20_000)),)), End.CLOSE)


def _many_headers(scene: Scene, given: Given) -> Act:
    more = tuple((f"X-{number}", "x") for number in range(given.get("count", 1000)))
    return Write(wire(scene, scene.completion(), more=more), End.CLOSE)


def _cookie(scene: Scene, given: Given) -> Act:
    return Write(wire(scene, scene.completion(), more=(("Set-Cookie", "simulated=1; Path=/"),)))


def _bad_chunks(scene: Scene, given: Given) -> Act:
    top = head(scene, scene.completion(), more=(("Transfer-Encoding", "chunked"),), length=False)
    return Write(top + b"zz\r\nno size\r\n", End.CLOSE)


def _cut_chunks(scene: Scene, given: Given) -> Act:
    reply = scene.completion()
    top = head(scene, reply, more=(("Transfer-Encoding", "chunked"),), length=False)
    return Write(top + b"%x\r\n%b\r\n" % (len(reply.body), reply.body), End.CLOSE)  # all of it but the last chunk, of size 0


def _gzip(scene: Scene, given: Given) -> Act:
    return Write(_packed(scene))


def _gzip_cut(scene: Scene, given: Given) -> Act:
    return Write(_packed(scene, upto=-12))


def _gzip_damaged(scene: Scene, given: Given) -> Act:
    reply = Reply(200, b"\x1f\x8b" + b"this is no gzip")
    return Write(wire(scene, reply, more=(("Content-Encoding", "gzip"),)))


def _packed(scene: Scene, *, upto: int | None = None) -> bytes:
    reply = scene.completion()
    packed = replace(reply, body=zlib.compress(reply.body, wbits=zlib.MAX_WBITS | 16)[:upto])
    return wire(scene, packed, more=(("Content-Encoding", "gzip"),))


def _false_encoding(scene: Scene, given: Given) -> Act:
    return Write(wire(scene, scene.completion(), more=(("Content-Encoding", given.get("encoding", "br")),)))


def _gzip_bomb(scene: Scene, given: Given) -> Act:
    megabytes = given.get("megabytes", _MEGABYTES)
    more = (("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked"))
    return Flood(head(scene, _JSON, more=more, length=False), lambda: _bomb(megabytes))


def _bomb(megabytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    blanks = b" " * MEGABYTE
    for _ in range(megabytes):
        yield packer.compress(blanks)
    yield packer.flush()


def _endless(scene: Scene, given: Given) -> Act:
    megabytes = given.get("megabytes", _MEGABYTES)
    top = head(scene, _JSON, more=(("Transfer-Encoding", "chunked"),), length=False)
    return Flood(top, lambda: (b" " * (MEGABYTE // 16) for _ in range(megabytes * 16)))


def _huge_length(scene: Scene, given: Given) -> Act:
    return Write(head(scene, _JSON, more=(("Content-Length", "9999999999"),), length=False) + b"{", End.CLOSE)


_JSON = Reply(200, b"{")


def _garbage(scene: Scene, given: Given) -> Act:
    return Write(b"SSH-2.0-OpenSSH_9.2\r\n\x00\xff\x7f", End.CLOSE)


def _raw(scene: Scene, given: Given) -> Act:
    return Write(given["bytes"], End(given.get("end", "close")))


_SECONDS = reading.number(0, _LONGEST_S)
_SIZE = {"megabytes": reading.whole(1, _MOST_MEGABYTES)}

FAULTS: tuple[Fault, ...] = (
    Fault("hang", "no reply, the connection stays open", _hang, {"for_s": _SECONDS}),
    Fault("close", "the connection is closed without a byte", lambda *_: Write(b"", End.CLOSE)),
    Fault("reset", "the connection is reset without a byte", lambda *_: Write(b"", End.RESET)),
    Fault("reset_after", "reset as soon as the reply is sent", _reset_after, bill=Bill.SERVED),
    Fault(
        "stale",
        "a connection used before is reset, as if kept alive too long; a new one is served",
        lambda *_: Write(b"", End.RESET),
        at_once=True,
        reused_only=True,
    ),
    Fault("close_after_reply", "closed after the reply, without saying so in it", _close_after_reply, bill=Bill.SERVED),
    Fault("refuse", "everybody is cut off and nobody listens for a while", _refuse, {"for_s": _SECONDS}, at_once=True),
    Fault(
        "cut",
        "the body is cut short of its length, anywhere unless `at` says",
        _cut,
        {"at": reading.part, "reset": reading.truth},
        bill=Bill.LOST,
    ),
    Fault("cut_head", "the headers are cut short", _cut_head, {"at": reading.whole(0)}, bill=Bill.LOST),
    Fault("cut_chunks", "a chunked body without its end", _cut_chunks, bill=Bill.LOST),
    Fault("cut_silently", "half a body, with no length to tell", _cut_silently, bill=Bill.LOST),
    Fault("slow", "the reply comes later than the others", _slow, {"by_s": _SECONDS}, bill=Bill.SERVED),
    Fault(
        "drip",
        "the reply comes byte by byte",
        _drip,
        {"bytes": reading.whole(1), "every_s": reading.number(0, 60)},
        bill=Bill.SERVED,
    ),
    Fault("garbage", "bytes that are no HTTP", _garbage),
    Fault(
        "raw", "literal bytes", _raw, {"bytes": reading.wire_bytes, "end": reading.choice("close", "reset", "stay")}, ("bytes",)
    ),
    Fault("trailing_bytes", "bytes after the end of the body", _trailing_bytes, bill=Bill.LOST),
    Fault("interim", "a thousand 102s before the reply", _interim, {"times": reading.whole(1, 100_000)}, bill=Bill.SERVED),
    Fault("duplicate_headers", "two lengths that contradict", _duplicate_headers, bill=Bill.LOST),
    Fault("big_header", "a header of 20,000 bytes", _big_header, {"bytes": reading.whole(1, MEGABYTE)}, bill=Bill.LOST),
    Fault("many_headers", "a thousand headers", _many_headers, {"count": reading.whole(1, 100_000)}, bill=Bill.LOST),
    Fault("cookie", "a cookie to be stored", _cookie, bill=Bill.SERVED),
    Fault("bad_chunks", "a chunk whose size is no number", _bad_chunks, bill=Bill.LOST),
    Fault("gzip", "a gzip body, unasked", _gzip, bill=Bill.SERVED),
    Fault("gzip_cut", "a gzip body cut short", _gzip_cut, bill=Bill.LOST),
    Fault("gzip_damaged", "a gzip body that is none", _gzip_damaged),
    Fault(
        "false_encoding",
        "a plain body that is called compressed, br unless another is named",
        _false_encoding,
        {"encoding": reading.choice("br", "zstd", "compress", "snappy", "gzip")},
        bill=Bill.SERVED,
    ),
    Fault("gzip_bomb", "300 kB that unpack to 300 MB", _gzip_bomb, _SIZE),
    Fault("endless", "300 MB of blanks", _endless, _SIZE),
    Fault("huge_length", "a body said to be 10 GB", _huge_length),
)
