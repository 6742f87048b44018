"""What makes two runs the same job: its facts by name, and what changed between two sets of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that differs. `old` or `new` is None where the fact is absent."""

    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.name}: was {_shown(self.old)}, is now {_shown(self.new)}"


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """Give the facts that differ, by name."""
    return [Change(name, old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def digest(facts: Mapping[str, str]) -> str:
    """Give a short name for a set of facts."""
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()[:16]


def _shown(value: str | None) -> str:
    if value is None:
        return "not set"
    return value if len(value) <= 80 else f"{value[:60]}… ({len(value)} characters)"
