"""Arrow arrays from lists of Python values, of the types that result columns have.

Not by pyarrow.array(), which imports pandas to ask whether the list is one of pandas' own: 0.2 s and 47 MB for every run.
"""

from collections.abc import Sequence
from itertools import accumulate
from struct import pack
from typing import Any

import pyarrow as pa

# What pack() lays out as Arrow does.
_CODES = {pa.int64(): "q", pa.int32(): "i", pa.float64(): "d"}


def build(values: Sequence[Any], kind: pa.DataType) -> "pa.Array[Any]":
    """Give these values, None where there is none, as an array of strings, int32, int64 or float64."""
    size, missing = len(values), values.count(None)
    if missing == size:
        return pa.nulls(size, kind)  # type: ignore[call-overload,no-any-return]  # the stubs name each type, not what they have in common
    code = _CODES.get(kind)
    blank: Any = "" if code is None else 0
    given = [blank if value is None else value for value in values] if missing else values
    data = _strings(given) if code is None else [_packed(code, given)]
    return pa.Array.from_buffers(kind, size, [_valid(values) if missing else None, *data])


def _strings(values: Sequence[str]) -> list[pa.Buffer]:
    text = "".join(values)
    lengths = map(len, values) if text.isascii() else (len(value.encode()) for value in values)
    return [_packed("i", list(accumulate(lengths, initial=0))), pa.py_buffer(text.encode())]


def _packed(code: str, values: Sequence[float]) -> pa.Buffer:
    return pa.py_buffer(pack(f"={len(values)}{code}", *values))


def _valid(values: Sequence[object]) -> pa.Buffer | None:
    flags = pa.py_buffer(bytes([value is not None for value in values]))
    # Arrow packs them into bits.
    return pa.Array.from_buffers(pa.uint8(), len(values), [None, flags]).cast(pa.bool_()).buffers()[1]
