"""Rows in: files found in a stable order, known again by their content, and read as numbered rows in bounded memory.

listing   paths, folders, globs -> files         identity   is this the file that joined the job?
staging   CSV, JSONL -> Parquet, once            parquet    Parquet files -> rows and columns
text      delimited and JSON lines, parsed       preview    the first rows, for `check`, nothing written
"""

from pipeline.sources.identity import FileIdentity, Joined, KnownFile, identify, join, key_of, sha256_of
from pipeline.sources.listing import is_parquet, list_files
from pipeline.sources.parquet import ParquetSource, count_rows
from pipeline.sources.preview import Head, head
from pipeline.sources.staging import stage, staged_ok
from pipeline.sources.text import CsvOptions

__all__ = [
    "CsvOptions",
    "FileIdentity",
    "Head",
    "Joined",
    "KnownFile",
    "ParquetSource",
    "count_rows",
    "head",
    "identify",
    "is_parquet",
    "join",
    "key_of",
    "list_files",
    "sha256_of",
    "stage",
    "staged_ok",
]
