"""Archives to test with: plain ones, and headers that no honest writer makes."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], *, format: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as archive:
        for name, data in members:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return path


def header(name: bytes, size: int | bytes, kind: bytes = b"0") -> bytes:
    """Give a header block with a right checksum, whatever its fields say. A size of bytes is written as it is."""
    written = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:136] = b"0000644\0" + b"0000000\0" * 2 + written
    block[136:148] = b"%011o\0" % 0
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def member(name: bytes, data: bytes, kind: bytes = b"0") -> bytes:
    return header(name, len(data), kind) + padded(data)


END = bytes(1024)
