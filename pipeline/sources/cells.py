"""Arrow arrays -> plain Python cells, whatever the type; and about how many bytes each occupies.

What a cell becomes depends on that cell alone, never on its neighbours in the batch: a row asked again is asked the same.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

# pyarrow has no Python value for some cells: years beyond 9999, unknown time zones, text that is not UTF-8, maps and
# structs with a key twice.
_NO_VALUE = (pa.ArrowException, ValueError, OverflowError, TypeError, LookupError)

_CELL_BYTES = 50  # about what a small Python object occupies


def cells_of(array: "pa.Array[Any]") -> list[object]:
    """Give one Python value a cell: dicts for structs and maps, lists, datetimes, Decimals, bytes.

    A map with a key twice stays a list of pairs; a moment Python cannot hold is text. Text that is not UTF-8 comes with
    its bad bytes as lone surrogates, which no prompt accepts: that row fails, and the others go on.
    """
    while isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        # Each value is made once and shared: a megabyte that stands in every row is still a megabyte.
        values = cells_of(array.dictionary)
        return [None if index is None else values[index] for index in array.indices.to_pylist()]
    try:
        return array.to_pylist(maps_as_pydicts="strict")
    except _NO_VALUE:
        return [_cell(scalar) for scalar in array]


def sizes_of(array: "pa.Array[Any]", cells: Sequence[object]) -> list[int]:
    """Give about how many bytes each cell occupies: exact for text and bytes, the mean for what is nested."""
    # The values of a dictionary are shared by their cells.
    mean = 0 if isinstance(array, pa.DictionaryArray) else array.nbytes // max(len(array), 1)
    return [_CELL_BYTES + (len(cell) if isinstance(cell, (str, bytes)) else mean) for cell in cells]


def _cell(scalar: Any) -> object:
    try:
        return scalar.as_py(maps_as_pydicts="strict")
    except _NO_VALUE:
        return _rescued(scalar)


def _rescued(scalar: Any) -> object:
    """Make the most of a cell that has no Python value as a whole."""
    match scalar:
        case pa.DictionaryScalar():
            return _cell(scalar.value)
        case pa.ExtensionScalar():
            return _cell(scalar.value)
        case pa.MapScalar():
            entries: Any = scalar.values
            return _mapping([(_cell(each[0]), _cell(each[1])) for each in entries])
        case pa.ListScalar():  # the large, fixed-size and view kinds too
            items: Any = scalar.values
            return [_cell(each) for each in items]
        case pa.StructScalar():
            fields: Any = scalar  # by place: two fields may share a name
            return _mapping([(field.name, _cell(fields[place])) for place, field in enumerate(scalar.type)])
        case pa.StringScalar() | pa.LargeStringScalar() | pa.StringViewScalar():
            return scalar.as_buffer().to_pybytes().decode("utf-8", "surrogateescape")
    return _text(scalar)


def _mapping(pairs: list[tuple[Any, object]]) -> object:
    try:
        made = dict(pairs)
    except TypeError:  # keys that Python cannot hash
        return pairs
    return made if len(made) == len(pairs) else pairs


def _text(scalar: Any) -> str:
    try:
        return str(scalar.cast(pa.string()).as_py())
    except pa.ArrowException:
        return str(getattr(scalar, "value", scalar.type))
