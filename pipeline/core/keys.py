"""What makes two runs the same job: its facts by name, and what changed between two sets of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

# Prompts run to pages: of a longer value only the place of the change is shown.
_MOST_SHOWN = 80
_BEFORE_CHANGE = 20


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that differs. `old` or `new` is None where the fact is absent."""

    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        start = max(0, _shared(self.old or "", self.new or "") - _BEFORE_CHANGE)
        return f"{self.name}: was {_shown(self.old, start)}, is now {_shown(self.new, start)}"


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """Give the facts that differ, by name."""
    return [Change(name, old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def digest(facts: Mapping[str, str]) -> str:
    """Give a short name for a set of facts."""
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()[:16]


def _shared(old: str, new: str) -> int:
    """Count the characters in which both begin."""
    return next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new)))


def _shown(value: str | None, start: int) -> str:
    if value is None:
        return "not set"
    if len(value) <= _MOST_SHOWN:
        return value
    window = value[start : start + _MOST_SHOWN]
    before, after = "…" if start else "", "…" if start + _MOST_SHOWN < len(value) else ""
    return f"{before}{window}{after} ({len(value)} characters)"
