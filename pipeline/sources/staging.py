"""Text files made into Parquet once, so that everything behind the source knows one format.

The copy carries its original's identity and how it was parsed; if either differs it is made again.
"""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.errors import InputChangedError, SourceError, StoppedError
from pipeline.sources.identity import FileIdentity, identify
from pipeline.sources.listing import format_of
from pipeline.sources.text import CsvOptions, batches

_KEY = b"rowcall.staged"


def stage(path: Path, target: Path, options: CsvOptions) -> None:
    """Write the rows of a CSV, TSV or JSONL file to `target` as Parquet, durably, in bounded memory.

    Raises SourceError with the line at fault, StoppedError if the disk is full, InputChangedError if the file was
    being written meanwhile.
    """
    before = identify(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        _write(path, temporary, options, before)
        if (after := path.stat()).st_size != before.size or after.st_mtime_ns != before.mtime_ns:
            raise InputChangedError(f"{path}: changed while it was being read; run again when it is complete")
        temporary.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)


def staged_ok(target: Path, identity: FileIdentity, options: CsvOptions) -> bool:
    """Tell whether `target` is a whole copy of the file of this identity, parsed with these options."""
    try:
        metadata = pq.read_metadata(target).metadata or {}
    except (pa.ArrowException, OSError):
        return False
    return bool(metadata.get(_KEY) == _label(identity, options))


def text_schema(path: Path, options: CsvOptions) -> pa.Schema:
    """Give the schema of a whole text file: CSV by its header, JSONL by reading all of it."""
    schema: pa.Schema | None = None
    for batch in batches(path, options):
        schema = batch.schema
        if format_of(path) != ".jsonl":
            break
    if schema is None or not schema.names:
        raise SourceError(f"{path}: holds no rows, and so no columns")
    return _storable(schema)


def _write(path: Path, temporary: Path, options: CsvOptions, identity: FileIdentity) -> None:
    schema = text_schema(path, options).with_metadata({_KEY: _label(identity, options)})
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
                for batch in _conformed(batches(path, options), schema):
                    writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoppedError(
            f"{temporary.parent}: {path.name} cannot be staged there ({(error.strerror or error)}); free space"
        ) from error
    except pa.ArrowNotImplementedError as error:
        raise SourceError(f"{path}: holds a kind of value that cannot be stored: {str(error).splitlines()[0]}") from None


def _conformed(found: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Give each batch the whole file's schema: columns it did not know yet are null."""
    for batch in found:
        if batch.schema.equals(schema, check_metadata=False):
            yield batch.replace_schema_metadata(schema.metadata)
        else:
            yield pa.RecordBatch.from_pylist(batch.to_pylist(), schema=schema)


def _storable(schema: pa.Schema) -> pa.Schema:
    """A column of nothing but nulls is text: another file may fill it, and Parquet would have no type for it."""
    return pa.schema([each.with_type(pa.string()) if pa.types.is_null(each.type) else each for each in schema])


def _label(identity: FileIdentity, options: CsvOptions) -> bytes:
    parsed = [options.delimiter, options.encoding, sorted(options.types.items())]
    return json.dumps([identity.size, identity.sha256, parsed]).encode()
