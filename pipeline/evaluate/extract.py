"""Finding the answer in a completion, as `--extract` says: by a pattern, the last number, the chosen letter, a JSON field."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.core.errors import ConfigError
from pipeline.evaluate.choices import chosen_letter
from pipeline.evaluate.jsons import field_of
from pipeline.evaluate.numbers import last_number

Find = Callable[[str], str | None]

# A pattern that takes this long for one text is stopped; after so many such texts it is the pattern's fault.
_MOST_SECONDS = 0.5
_MOST_STOPPED = 20


@dataclass(frozen=True, slots=True)
class Extractor:
    """Finds answers. `says` is how the evaluation calls it."""

    says: str
    find: Find


def extractor(spec: str, *, seconds: float = _MOST_SECONDS) -> Extractor:
    """Make the extractor that a `--extract` names: `number`, `choice`, `json`, `json:FIELD.FIELD`, or a regular expression.

    Of an expression the last match counts, where a text comes to its end: its group `answer`, else its first group, else
    all of it. It gets so many `seconds` a text. Raises ConfigError for one that is wrong.
    """
    if not spec.strip() or spec == "json:":
        raise ConfigError(f"--extract {spec!r}: give number, choice, json, json:FIELD, or a regular expression")
    match spec.partition(":"):
        case ("number", "", ""):
            return Extractor(spec, last_number)
        case ("choice", "", ""):
            return Extractor(spec, chosen_letter)
        case ("json", _, field):
            return Extractor(spec, partial(_field, tuple(field.split(".")) if field else ()))
    return Extractor(spec, _Pattern(spec, seconds))


def _field(path: Sequence[str], text: str) -> str | None:
    return field_of(text, path)


class _Pattern:
    """A regular expression by the library `regex`, which can be told to give up: completions are anybody's."""

    def __init__(self, spec: str, seconds: float) -> None:
        import regex

        try:
            self._pattern = regex.compile(spec)
        except regex.error as error:
            raise ConfigError(f"--extract {spec!r}: {error}") from None
        names = self._pattern.groupindex
        self._group = names["answer"] if "answer" in names else min(self._pattern.groups, 1)
        self._spec, self._seconds = spec, seconds
        self._stopped = 0

    def __call__(self, text: str) -> str | None:
        found = None
        try:
            for match in self._pattern.finditer(text, timeout=self._seconds):
                found = match
        except TimeoutError:
            self._stopped += 1
            if self._stopped >= _MOST_STOPPED:
                raise ConfigError(
                    f"--extract {self._spec!r}: takes more than {self._seconds} s for a text, {_MOST_STOPPED} times by now;"
                    " write it without nested repeats"
                ) from None
            return None
        answer = None if found is None else found.group(self._group)
        return None if answer is None else str(answer).strip() or None
