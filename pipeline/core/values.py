"""`value`: how the values of types.py are made: a frozen dataclass to the type checker, so that changing one is an error.

While a program runs they are not frozen: Python's frozen classes set each field through object.__setattr__, which makes an
instance cost 0.5 us instead of 0.1, and a row passes through ten of them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> Any:
        """Decorate a class, which compares and hashes by its fields."""
        assert frozen
        return dataclass(slots=slots, unsafe_hash=True)


__all__ = ["value"]
