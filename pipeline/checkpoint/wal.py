"""SQLite's write-ahead log read by hand: whether it is damaged in its middle, and what is still good behind the damage.

SQLite ends its reading at the first frame that fails its checksum and throws the rest away, at the next opening and
without a word. But each frame's checksum continues that of the frame before, whose own is stored beside it: so the frames
behind a damaged one can still be proven. The format is that of https://sqlite.org/fileformat2.html#walformat.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

_HEADER = struct.Struct(">8I")  # magic, version, page size, sequence, salt, salt, checksum, checksum
_FRAME = struct.Struct(">6I")  # page, pages of the database after a commit or 0, salt, salt, checksum, checksum
_MAGIC = 0x377F0682  # its last bit tells the byte order of the checksums
_VERSION = 3007000
_MASK = 0xFFFFFFFF

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """One page in the log. `live`: written since the log was last begun anew; `good`: proven by its checksum."""

    page: int
    commit: int
    body: bytes
    live: bool
    good: bool


@dataclass(frozen=True, slots=True)
class Log:
    """What a log holds. `header_good` False: SQLite would throw all of it away."""

    page_size: int
    big_endian: bool
    header_good: bool
    frames: Sequence[Frame]

    @property
    def sound(self) -> bool:
        """Whether SQLite will read all that was ever committed to it.

        A last transaction that is torn is no damage: it was being written when the power went, and nobody was told that
        it is on disk. With another commit behind the torn place it is, for each is synced before the next is written.
        """
        bad = next((at for at, frame in enumerate(self.frames) if frame.live and not frame.good), None)
        if not self.header_good:
            return not self.commits
        if bad is None:
            return True
        behind = sum(1 for frame in self.frames[bad + 1 :] if frame.good and frame.commit)
        return behind < (1 if self.frames[bad].commit else 2)

    @property
    def commits(self) -> int:
        """How many commits can be proven."""
        return sum(1 for frame in self.frames if frame.good and frame.commit)

    @property
    def dropped(self) -> int:
        """How many live frames cannot be proven."""
        return sum(1 for frame in self.frames if frame.live and not frame.good)


def read(log: bytes, page_size: int) -> Log:
    """Read a log; `page_size` is the database's own, should the log's header be damaged."""
    header = _HEADER.unpack_from(log) if len(log) >= _HEADER.size else (0,) * 8
    big = bool(header[0] & 1)
    good = header[0] & ~1 == _MAGIC and header[1] == _VERSION and header[2] == page_size
    good = good and _sum(log[:24], (0, 0), big=big) == header[6:8]
    if good:
        salts: Pair = header[4:6]
    else:
        big, salts = False, _FRAME.unpack_from(log, _HEADER.size)[2:4] if len(log) >= _HEADER.size + _FRAME.size else (0, 0)
    return Log(page_size, big, good, list(_frames(log, page_size, salts, (header[6:8], _sum(log[:24], (0, 0), big=big)), big)))


def apply(log: Log, database: BinaryIO) -> None:
    """Write the newest good image of each page into a database, up to the last commit. One whose image is lost stays as it is."""
    last = max((at for at, frame in enumerate(log.frames) if frame.good and frame.commit), default=-1)
    for frame in log.frames[: last + 1]:
        if frame.good:
            database.seek((frame.page - 1) * log.page_size)
            database.write(frame.body)


def _frames(log: bytes, page_size: int, salts: Pair, begun: tuple[Pair, Pair], big: bool) -> Iterator[Frame]:
    # The checksum before a frame: as it is stored there, and as it ought to be. They differ where it was itself harmed.
    (stored, counted), previous = begun, True
    for at in range(_HEADER.size, len(log) - _FRAME.size - page_size + 1, _FRAME.size + page_size):
        page, commit, *salt, first, second = _FRAME.unpack_from(log, at)
        body = log[at + _FRAME.size : at + _FRAME.size + page_size]
        summed = log[at : at + 8] + body
        sums = {_sum(summed, seed, big=big) for seed in {stored, counted}}
        proven = (first, second) in sums
        ours = tuple(salt) == salts
        good = proven and (ours or previous)
        yield Frame(page, commit, body, ours or good, good)
        counted = _sum(summed, counted, big=big)
        stored, previous = (first, second), good


def _sum(block: bytes, seed: Pair, *, big: bool) -> Pair:
    one, two = seed
    words = struct.unpack(f"{'>' if big else '<'}{len(block) // 4}I", block)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return one, two
