"""Rows in: which files an input names, what proves them the same, and their rows. CSV and JSONL are staged to Parquet once."""

from pipeline.sources.delimited import CsvOptions
from pipeline.sources.footers import footers_of
from pipeline.sources.identity import FileIdentity, identify, same, sha256_of
from pipeline.sources.joining import Joined, KnownFile, join, key_of
from pipeline.sources.listing import Found, find, list_files
from pipeline.sources.naming import SUFFIXES, format_of
from pipeline.sources.parquet import ParquetSource, count_rows, schema_of
from pipeline.sources.preview import Head, head, head_of_pictures
from pipeline.sources.schema import agreed_schema
from pipeline.sources.slices import Index
from pipeline.sources.staging import stage, staged_before, staged_ok

__all__ = [
    "CsvOptions",
    "FileIdentity",
    "Found",
    "Head",
    "Index",
    "Joined",
    "KnownFile",
    "ParquetSource",
    "SUFFIXES",
    "agreed_schema",
    "count_rows",
    "find",
    "footers_of",
    "format_of",
    "head",
    "head_of_pictures",
    "identify",
    "join",
    "key_of",
    "list_files",
    "same",
    "schema_of",
    "sha256_of",
    "stage",
    "staged_before",
    "staged_ok",
]
