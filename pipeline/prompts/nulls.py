"""Values inside a template that must not become text unnoticed: missing ones, and bytes that lie in a file.

A null is falsy and may be tested. Jinja2 by itself prints None as the word "None", also from within `{{ title | upper }}` or
`{{ "by " ~ author }}`. Here a null knows where it came from and refuses to become text, whatever asks for it. NaN counts as
null: files written by pandas mean "missing" by it, and `{{ price or '' }}` should cover both.
"""

from collections.abc import Iterator, Mapping
from typing import NoReturn

from pipeline.core.errors import BadRowError
from pipeline.core.types import Slice
from pipeline.prompts.names import shown

_Place = tuple[str | int, ...]
# What can be no null and hold none; most cells are one of these.
PLAIN = frozenset({str, int, bool, bytes})


class Null:
    """A missing value. Fields of a missing struct are missing too, so that `{{ author.name or '' }}` works."""

    __slots__ = ("_place", "_what")

    def __init__(self, place: _Place, what: str = "null") -> None:
        self._place = place
        self._what = what

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Null)

    def __hash__(self) -> int:
        return hash(None)

    def __getitem__(self, key: object) -> "Null":
        if not isinstance(key, str):
            self._refuse()
        return Null((*self._place, key), self._what)

    def __str__(self) -> str:
        self._refuse()

    def __repr__(self) -> str:
        self._refuse()

    def __format__(self, spec: str) -> str:
        self._refuse()

    def __iter__(self) -> Iterator[object]:
        self._refuse()

    def __len__(self) -> int:
        self._refuse()

    def __contains__(self, item: object) -> bool:
        self._refuse()

    # `{{ age | int }}` would print 0 for it.
    def __int__(self) -> int:
        self._refuse()

    def __float__(self) -> float:
        self._refuse()

    def _operate(self, other: object) -> NoReturn:
        self._refuse()

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _operate
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __lt__ = __le__ = __gt__ = __ge__ = _operate

    def _refuse(self) -> NoReturn:
        raise BadRowError(f"{self.reason}; if that is meant, say what to print instead: {{{{ … or '' }}}}")

    @property
    def reason(self) -> str:
        """Say what is missing where, in one clause."""
        column, *inner = self._place
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in inner)
        field = f"{shown(f'{column}{steps}')} in " if inner else ""
        return f"{field}column {shown(str(column))} is {self._what}"


class Apart:
    """Bytes that lie in a file. A template may ask whether there are any; they are not read for it, nor is their place shown."""

    __slots__ = ("_column",)

    def __init__(self, column: str) -> None:
        self._column = column

    def __str__(self) -> str:
        self._refuse()

    def __repr__(self) -> str:
        self._refuse()

    def __format__(self, spec: str) -> str:
        self._refuse()

    def __len__(self) -> int:
        self._refuse()

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[object]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise BadRowError(f"column {shown(self._column)} holds bytes, which are no text; images belong in prompt.images")


def opened(value: object, *place: str | int) -> object:
    """Give a cell as a template sees it: nulls at any depth know their place. The cell itself is left as it is."""
    match value:
        case None:
            return Null(place)
        case Slice():
            return Apart(str(place[0]))
        case float() if value != value:
            return Null(place, "NaN, which counts as null")
        case list() | tuple():
            inner = [item if type(item) in PLAIN else opened(item, *place, at) for at, item in enumerate(value)]
            return inner if isinstance(value, list) else tuple(inner)
        case Mapping():
            return {key: item if type(item) in PLAIN else opened(item, *place, str(key)) for key, item in value.items()}
    return value
