"""Good files of every kind that a job reads, and seeded ways of spoiling them. The same number is the same mutant, always."""

import base64
import csv
import gzip
import io
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROWS = 40
TEXTS = ("plain", "007", "NA", "", 'a "quoted", word', "two\nlines", "žluť ☃", "{{ 7*7 }}", "=1+1", "x" * 300)
CONFIG = """\
# What a careful user writes.
input: {path: rows.csv, csv: {delimiter: null, encoding: utf-8, types: {number: int64}}}
prompt:
  system: "You are brief."
  user: "Say {{ text }} {{ number }}"
endpoint: {provider: simulated, timeout_s: 60, headers: {x-team: vision}}
request: {temperature: 0, max_tokens: 16, stop: ["a", "b"]}
limits:
  concurrency: 8
retry: {max_attempts: auto, base_delay_s: 1, max_delay_s: 60}
stop: {systematic_failures: 20, max_failed: null}
pricing: {prompt_per_million: 0.5, completion_per_million: 1.5}
output: {path: out.parquet, columns: null, prefix: ""}
checkpoint: {part_rows: 16}
"""


@dataclass(frozen=True)
class Mutant:
    """A job whose file `name` was spoilt: the arguments that `run` and `check` take, and what was done to the file."""

    kind: str
    name: str
    arguments: tuple[str, ...]
    done: str


def make(number: int | None, folder: Path) -> Mutant:
    """Write the files of mutant `number` into the folder; of None the CSV file stays good."""
    write_good(folder)
    if number is None:
        return Mutant("csv", "rows.csv", KINDS["csv"][1], "nothing")
    kind = list(KINDS)[number % len(KINDS)]
    name, arguments, spoil = KINDS[kind]
    chance = random.Random(f"mutant {number}")
    good = (folder / name).read_bytes()
    bad, done = good, []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        way = chance.choice([*WAYS, *spoil])
        bad = way(bad, chance)
        done.append(way.__name__)
    (folder / name).write_bytes(bad)
    return Mutant(kind, name, arguments, f"{kind}: {', '.join(done)}, {len(good)} -> {len(bad)} bytes")


# -- good files


def write_good(folder: Path) -> None:
    """Write one good file of each kind."""
    (folder / "photos").mkdir()
    rows = [{"text": TEXTS[row % len(TEXTS)], "number": row, "photo": f"{row % 4}.png"} for row in range(ROWS)]
    _write_csv(folder / "rows.csv", rows, ",")
    _write_csv(folder / "rows.tsv", rows, "\t")
    (folder / "rows.csv.gz").write_bytes(gzip.compress((folder / "rows.csv").read_bytes(), mtime=0))
    (folder / "wide.csv").write_bytes((folder / "rows.csv").read_text(encoding="utf-8").encode("utf-16"))
    lines = [
        json.dumps({**row, "deep": {"list": [{"a": 1.5}, {"a": None}]}}, ensure_ascii=row["number"] % 2 == 0) for row in rows
    ]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress((folder / "rows.jsonl").read_bytes(), mtime=0))
    table = pa.Table.from_pylist([{**row, "deep": {"list": [{"a": row["number"]}]}} for row in rows])
    table = table.append_column("word", table["text"].dictionary_encode())
    pq.write_table(table, folder / "rows.parquet", row_group_size=16, compression="snappy")
    pq.write_table(table, folder / "plain.parquet", row_group_size=7, compression="none", write_page_checksum=True)
    pictures = [picture(row) for row in range(4)]
    for row, data in enumerate(pictures):
        (folder / "photos" / f"{row}.png").write_bytes(data)
    pq.write_table(pa.table({"photo": [pictures[row % 4] for row in range(ROWS)]}), folder / "photos.parquet")
    uris = [{"photo": f"data:image/png;base64,{base64.b64encode(pictures[row % 4]).decode()}"} for row in range(ROWS)]
    _write_csv(folder / "uris.csv", uris, ",")
    (folder / "job.yaml").write_text(CONFIG)


def _write_csv(path: Path, rows: list[dict[str, object]], delimiter: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def picture(row: int) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (8, 8), (row * 60, 9, 9)).save(made, ("PNG", "JPEG", "GIF", "WEBP")[row])
    return made.getvalue()


# -- ways that spoil any bytes

Way = Callable[[bytes, random.Random], bytes]


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(chance.randint(1, 12) if data else 0):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def behead(data: bytes, chance: random.Random) -> bytes:
    return data[chance.randint(0, len(data)) :]


def insert_garbage(data: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.randbytes(chance.randint(1, 300)) + data[at:]


def cut_out(data: bytes, chance: random.Random) -> bytes:
    first = chance.randint(0, len(data))
    return data[:first] + data[first + chance.randint(1, 400) :]


def repeat_chunk(data: bytes, chance: random.Random) -> bytes:
    first = chance.randint(0, len(data))
    stop = first + chance.randint(1, 2000)
    return data[:stop] + data[first:stop] * chance.choice((1, 2, 50)) + data[stop:]


def zero_out(data: bytes, chance: random.Random) -> bytes:
    first = chance.randint(0, len(data))
    stop = min(first + chance.randint(1, 64), len(data))
    return data[:first] + bytes(stop - first) + data[stop:]


def huge_binary_number(data: bytes, chance: random.Random) -> bytes:
    number = chance.choice(
        (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01")
    )
    first = chance.randint(0, len(data))
    return data[:first] + number + data[first + len(number) :]


def another_format(data: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        (b"", b"\0" * 4096, gzip.compress(data), b"PAR1" + data + b"PAR1", b"\x7fELF" + data, chance.randbytes(5000))
    )


WAYS: tuple[Way, ...] = (
    *(flip_bits, truncate, behead, insert_garbage, cut_out, repeat_chunk),
    *(zero_out, huge_binary_number, another_format),
)


# -- ways that spoil text


def huge_number(data: bytes, chance: random.Random) -> bytes:
    digits = list(re.finditer(rb"\d+", data))
    if not digits:
        return data
    found = chance.choice(digits)
    number = chance.choice((b"9" * 25, b"9" * 5000, b"1e400", b"-1", b"NaN", b"0x7fffffffffffffff", b"1" + b"_000" * 30))
    return data[: found.start()] + number + data[found.end() :]


def recode(data: bytes, chance: random.Random) -> bytes:
    text = data.decode("utf-8", "replace")
    return text.encode(chance.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "cp037", "utf-7")), "replace")


def stray_sign(data: bytes, chance: random.Random) -> bytes:
    sign = chance.choice(
        (
            b'"',
            b"'",
            b",",
            b"\t",
            b"\n",
            b"\r",
            b"\0",
            b"\\",
            b"{",
            b"[",
            b"\x1b]0;pwn\x07",
            "\u202e\u2028".encode(),
            b"\xc2\x9b31m",
        )
    )
    at = chance.randint(0, len(data))
    return data[:at] + sign * chance.choice((1, 1, 3)) + data[at:]


def other_line_ends(data: bytes, chance: random.Random) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", chance.choice((b"\r", b"\r\n", b"\n\n", b"\n\r", b"\x85")))


def swap_lines(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def deep_nesting(data: bytes, chance: random.Random) -> bytes:
    at, deep = chance.randint(0, len(data)), chance.choice((200, 100_000))
    return data[:at] + chance.choice((b"[", b'{"a":', b"- ", b"{{ (", b"(")) * deep + data[at:]


def endless_line(data: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + b"long " * 400_000 + data[at:]


TEXT: tuple[Way, ...] = (huge_number, recode, stray_sign, other_line_ends, swap_lines, deep_nesting, endless_line)


# -- ways that spoil one format


def yaml_attack(data: bytes, chance: random.Random) -> bytes:
    attacks = (
        b"a: !!python/object/apply:os.system ['touch pwned']\n",
        b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        b"request: &r {x: *r}\n",
        b"limits: {concurrency: 3}\nlimits: {concurrency: 4}\n",
        b"? [a, b]\n: c\n",
        b"%YAML 9.9\n---\n",
        b"--- !<tag:yaml.org,2002:python/name:os.system> x\n",
        b"<<: {a: 1}\n",
        b"request: {temperature: .nan, a: .inf, b: 0o17, c: 1:30}\n",
    )
    lines = data.split(b"\n")
    return b"\n".join([*lines[: (at := chance.randint(0, len(lines)))], chance.choice(attacks), *lines[at:]])


def gzip_bomb(data: bytes, chance: random.Random) -> bytes:
    unit = chance.choice((b"x", b"\n", b'"', b"a,b,c\n"))
    return data + gzip.compress(unit * (20_000_000 // len(unit)), 1)


def second_member(data: bytes, chance: random.Random) -> bytes:
    return data + chance.choice((gzip.compress(b"a,b,c\n"), b"garbage", data[:20], b"\0" * 100))


def footer_number(data: bytes, chance: random.Random) -> bytes:
    """Put a number into the footer, where sizes, counts and offsets stand."""
    first = max(len(data) - chance.randint(1, 1500), 0)
    number = chance.choice(
        (b"\xff\xff\xff\xff\x0f", b"\xfc\xff\xff\xff\xff\x0f", b"\x80" * 9 + b"\x01", b"\x00", b"\xfe", b"\x1c" * 200)
    )
    return data[:first] + number + data[first + len(number) :]


def footer_length(data: bytes, chance: random.Random) -> bytes:
    length = chance.choice((0, 1, len(data), len(data) - 8, 2**31 - 1, 2**32 - 1))
    return data[:-8] + length.to_bytes(4, "little") + data[-4:]


def flip_footer(data: bytes, chance: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(chance.randint(1, 4) if data else 0):
        flipped[-1 - chance.randrange(min(len(flipped), 1500))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


PARQUET: tuple[Way, ...] = (footer_number, footer_length, flip_footer, flip_footer)
ASKED = ("-p", "Say {{ text }}", "--provider", "simulated", "-o", "out.parquet", "-c", "8")
SHOWN = ("-p", "See", "--image", "photo", *ASKED[2:])
# Kind -> the file that is spoilt, the arguments of its job, and the ways beside those for any bytes.
KINDS: dict[str, tuple[str, tuple[str, ...], tuple[Way, ...]]] = {
    "csv": ("rows.csv", ("-i", "rows.csv", *ASKED), TEXT),
    "parquet": ("rows.parquet", ("-i", "rows.parquet", *ASKED), PARQUET),
    "yaml": ("job.yaml", ("job.yaml", "--provider", "simulated", "-o", "out.parquet"), (*TEXT, yaml_attack, yaml_attack)),
    "picture": ("photos/1.png", ("-i", "rows.csv", "--set", "images.root=photos", *SHOWN), ()),
    "jsonl": ("rows.jsonl", ("-i", "rows.jsonl", *ASKED), TEXT),
    "pictures in Parquet": ("photos.parquet", ("-i", "photos.parquet", *SHOWN), PARQUET),
    "csv.gz": ("rows.csv.gz", ("-i", "rows.csv.gz", *ASKED), (gzip_bomb, second_member)),
    "tsv": ("rows.tsv", ("-i", "rows.tsv", *ASKED), TEXT),
    "plain Parquet": ("plain.parquet", ("-i", "plain.parquet", *ASKED), PARQUET),
    "typed csv": ("rows.csv", ("-i", "rows.csv", "--set", "input.csv.types={number: int64}", *ASKED), TEXT),
    "jsonl.gz": ("rows.jsonl.gz", ("-i", "rows.jsonl.gz", *ASKED), (gzip_bomb, second_member)),
    "data URIs": ("uris.csv", ("-i", "uris.csv", *SHOWN), TEXT),
    "UTF-16 csv": ("wide.csv", ("-i", "wide.csv", "--set", "input.csv.encoding=utf-16", *ASKED), TEXT),
}
