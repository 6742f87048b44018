"""The type that fits every value of a JSON column, worked out value by value, and where the first misfit stands."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

_KINDS: Mapping[type, str] = {str: "text", bool: "true or false", int: "number", float: "decimal", list: "list", dict: "object"}

# Objects used as dictionaries (one key a row) would make a column of each key: the schema grew with the input.
MOST_FIELDS = 1000
MOST_DEPTH = 50
# Beyond it not every whole number is a float64.
_EXACT = 2**53


class MisfitError(ValueError):
    """A value that fits no type together with those before it. `str()` says which column and why, not on which line."""


class Shape:
    """What has been seen of one column, list element or object field, and on which line each kind was seen first."""

    __slots__ = ("_depth", "_element", "_fields", "_high", "_kinds", "_low", "_name")

    def __init__(self, name: str = "", depth: int = 0) -> None:
        self._name = name
        self._depth = depth
        self._kinds: dict[str, int] = {}
        self._low = self._high = 0
        self._element: Shape | None = None
        self._fields: dict[str, Shape] = {}

    def see(self, value: object, line: int) -> None:
        """Take one value into account; None fits everything. Raises MisfitError."""
        if value is None:
            return
        kind = _KINDS[type(value)]
        if kind not in self._kinds:
            self._admit(kind, line)
        if isinstance(value, dict):
            for key, each in value.items():
                (self._fields.get(key) or self._field(key)).see(each, line)
        elif isinstance(value, list):
            for each in value:
                self._items().see(each, line)
        elif kind == "number":
            self._see_number(value)  # type: ignore[arg-type]  # kind says it is an int

    def type(self) -> pa.DataType:
        """Give the Arrow type; null for a column that never had a value, or only objects without keys."""
        kinds = self._kinds
        if "text" in kinds:
            return pa.string()
        if "true or false" in kinds:
            return pa.bool_()
        if "decimal" in kinds:
            return pa.float64()
        if "number" in kinds:
            return pa.uint64() if self._high >= 2**63 else pa.int64()
        if "list" in kinds:
            return pa.list_(self._items().type())
        return pa.struct(self._arrow_fields()) if self._fields else pa.null()

    def schema(self) -> pa.Schema:
        """Give the fields of the objects seen, as columns. One without any value is text: that is what most likely comes."""
        fields = self._arrow_fields()
        return pa.schema([each.with_type(pa.string()) if each.type == pa.null() else each for each in fields])

    def columns(self) -> Mapping[str, "Shape"]:
        return self._fields

    @property
    def hollow(self) -> bool:
        """Whether objects without keys are in here, which Parquet has no type for."""
        inner = [*self._fields.values(), *([self._element] if self._element else [])]
        return ("object" in self._kinds and not self._fields) or any(each.hollow for each in inner)

    def fitted(self, value: Any) -> object:
        """Give the value with null where an object has no keys in any row."""
        if isinstance(value, dict):
            return {key: self._fields[key].fitted(each) for key, each in value.items()} if self._fields else None
        if isinstance(value, list):
            return [self._items().fitted(each) for each in value]
        return value

    def _arrow_fields(self) -> list["pa.Field[Any]"]:
        return [pa.field(name, each.type()) for name, each in self._fields.items()]

    def _items(self) -> "Shape":
        if self._element is None:
            self._element = self._inner(f"{self._name}[]")
        return self._element

    def _field(self, key: str) -> "Shape":
        if len(self._fields) == MOST_FIELDS:
            where = f"column {self._name!r}: " if self._name else ""
            raise MisfitError(
                f"{where}more than {MOST_FIELDS:,} different keys; write an object with free keys as text, "
                "or as a list of key and value"
            )
        if not _is_text(key):
            raise MisfitError(f"a key{f' in column {self._name!r}' if self._name else ''} holds half a surrogate pair: no name")
        self._fields[key] = self._inner(f"{self._name}.{key}" if self._name else key)
        return self._fields[key]

    def _inner(self, name: str) -> "Shape":
        if self._depth == MOST_DEPTH:
            raise MisfitError(f"column {self._name[:100]!r}: nested deeper than {MOST_DEPTH} levels")
        return Shape(name, self._depth + 1)

    def _admit(self, kind: str, line: int) -> None:
        other = next((each for each in self._kinds if {each, kind} != {"number", "decimal"}), None)
        if other is not None:
            raise MisfitError(
                f"column {self._name!r} is {kind} here and {other} on line {self._kinds[other]}; a column needs one type: "
                "write all as text"
            )
        self._kinds[kind] = line
        self._check_range()

    def _see_number(self, value: int) -> None:
        if value < self._low or value > self._high:
            self._low, self._high = min(self._low, value), max(self._high, value)
            self._check_range()

    def _check_range(self) -> None:
        if self._low < -(2**63) or self._high >= 2**64 or (self._low < 0 and self._high >= 2**63):
            raise MisfitError(f"column {self._name!r}: a whole number beyond 64 bits; write it as text")
        if "decimal" in self._kinds and max(-self._low, self._high) > _EXACT:
            raise MisfitError(
                f"column {self._name!r}: whole numbers beyond 2**53 among decimals would be rounded; write them as text"
            )


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
