"""What the name of a file or object says of it: its format, and whether it is data at all."""

from pipeline.sources.pictures import PICTURE_SUFFIXES
from pipeline.storage import AnyFile

_TEXT = (".csv", ".tsv", ".jsonl")
SUFFIXES = (".parquet", ".tar", *_TEXT, *(f"{each}.gz" for each in _TEXT))
PACKED_TARS = (".tgz", ".tbz2", ".txz", ".tzst", *(f".tar.{each}" for each in ("gz", "bz2", "xz", "zst", "lz4")))


def format_of(path: AnyFile) -> str | None:
    """Give `parquet`, `tar`, `csv`, `tsv` or `jsonl` by the name, whatever its case, text also with .gz; None for others."""
    return format_of_name(path.name)


def format_of_name(name: str) -> str | None:
    name = name.lower()
    suffix = next((each for each in SUFFIXES if name.endswith(each) and len(name) > len(each)), None)
    return suffix.split(".")[1] if suffix else None


def passed_over(name: str) -> bool:
    """Whether a name below a folder is no data: `_SUCCESS`, `_manifest.json`, hidden files, a job's record."""
    return name.startswith((".", "_")) or name.endswith(".rowcall")


def unread(name: str) -> str:
    """Say why a file of this name is not read."""
    if name.lower().endswith(PACKED_TARS):
        return "a compressed tar, of which no member can be read by itself; unpack it to a .tar first"
    ends = f"{' '.join(SUFFIXES)}, or as a picture's does: {' '.join(PICTURE_SUFFIXES)}"
    return f"not a format that is read; the name must end in {ends}"
