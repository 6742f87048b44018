"""Searching files for keys that must be nowhere: in every form they may have taken, and in what files hold compressed."""

import base64
import re
import shutil
import sqlite3
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

_ESCAPED = re.compile(rb"\\+u00([2-7][0-9a-fA-F])")


class Search:
    """Looks for keys as they are, and as URLs, base64 and JSON spell them."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._forms = [form for key in keys for form in _forms(key)]

    def holds(self, path: Path) -> bool:
        """Whether a key is in the file."""
        return any(self.shows(content) for content in contents(path))

    def shows(self, content: bytes) -> bool:
        """Whether a key is in these bytes."""
        texts = [content]
        if b"\\u00" in content:  # pictures hold none, and an expression looks for it at a twentieth of the speed
            texts.append(_ESCAPED.sub(lambda escape: bytes.fromhex(escape[1].decode()), content))
        return any(form in text for text in texts for form in self._forms)

    def found(self, files: Sequence[Path]) -> list[str]:
        return [path.name for path in files if self.holds(path)]

    def blind_to(self, key: str, folder: Path) -> list[str]:
        """Plant the key as the record's and output's files would hold it; give those in which it is not found."""
        folder.mkdir(exist_ok=True)
        table = pa.table({"text": ["x" * 99 + key] * 9})
        pq.write_table(table, folder / "planted.parquet", compression="zstd")
        lz4 = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.OSFile(str(folder / "planted.arrow"), "w") as out, pa.ipc.new_stream(out, table.schema, options=lz4) as stream:
            stream.write_table(table)
        with closing(sqlite3.connect(folder / "planted.db")) as database, database:
            database.execute("create table replies (body blob)")
            # Longer than a page: no run of the file's own bytes need hold it whole.
            database.executemany("insert into replies values (?)", [(b"x" * at + key.encode(),) for at in range(4000, 4200, 5)])
        (folder / "planted.err").write_text(base64.b64encode(f"Bearer {key}".encode()).decode())
        (folder / "planted.json").write_text("".join(f"\\u{ord(char):04x}" for char in key))
        return [path.name for path in sorted(folder.iterdir()) if not self.holds(path)]


def _forms(key: str) -> Iterator[bytes]:
    raw, in_url = key.encode(), urllib.parse.quote(key, safe="")
    yield from (raw, in_url.encode(), re.sub("%..", lambda escape: escape[0].lower(), in_url).encode())
    yield key.replace("/", "\\/").encode()
    for before in range(3):  # what stands before it shifts it
        encoded = base64.b64encode(bytes(before) + raw)
        yield encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]


def contents(path: Path) -> Iterator[bytes]:
    """Give a file's bytes, and what it holds compressed or cut into pages."""
    yield path.read_bytes()
    if path.suffix == ".parquet" and path.stat().st_size < 50e6:
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError):  # torn by a kill: its bytes were read above
            return
        yield from _cells(table)
    elif path.suffix == ".arrow":
        try:
            with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
                yield from _cells(stream.read_all())
        except (pa.ArrowInvalid, OSError):
            return
    elif path.suffix == ".db":
        yield from _rows(path)


def _rows(path: Path) -> Iterator[bytes]:
    """Read every table of a copy: whoever opens a database may tidy up in it."""
    with TemporaryDirectory(prefix="rowcall-search-") as folder:
        copy = Path(folder) / path.name
        for each in (path, path.with_name(f"{path.name}-wal")):
            if each.exists():
                shutil.copy(each, copy.with_name(each.name))
        with closing(sqlite3.connect(copy)) as database:
            for (table,) in database.execute("select name from sqlite_schema where type = 'table'").fetchall():
                for row in database.execute(f'select * from "{table}"'):
                    yield b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row)


def _cells(table: pa.Table) -> Iterator[bytes]:
    yield repr(table.schema.metadata).encode()
    for column in table.columns:
        yield "\n".join(map(str, column.to_pylist())).encode("utf-8", "replace")
