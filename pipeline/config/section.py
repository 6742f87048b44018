"""What all sections of a config share: strictness, and the types of their values."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pipeline.config import checks
from pipeline.core.locations import Location, is_remote

# The type of an error that is about its whole section, although one field's check found it.
ABOUT_SECTION = "section"


def _tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _path(value: object) -> object:
    return Path(value) if isinstance(value, str) else value


def place_of(path: str) -> Path | Location:
    """Give what a checked path names: a path on a local disk, or a location in an object store."""
    return Location.parse(path) if is_remote(path) else Path(path)


def _checked_path(check: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: _path(check(os.fspath(value)) if isinstance(value, str | os.PathLike) else value))


def _frozen(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


def section_error(text: str) -> PydanticCustomError:
    """Give an error that is about a whole section."""
    return PydanticCustomError(ABOUT_SECTION, "{text}", {"text": text})


# One text stands for a list of one. The schema for editors must say so, too.
_TEXTS = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_tuple), _TEXTS]
AnyPathText = Annotated[str, Field(min_length=1), AfterValidator(checks.any_path)]
AnyPathTexts = Annotated[tuple[AnyPathText, ...], BeforeValidator(_tuple), Field(min_length=1), _TEXTS]
LocalPath = Annotated[Path, _checked_path(checks.local_path)]
# A path on a local disk, or a location in an object store.
AnyPlace = Annotated[
    Path | Location,
    PlainValidator(lambda value: place_of(checks.any_path(os.fspath(value)))),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
KeyFile = Annotated[Path, _checked_path(checks.key_file)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FrozenMap = Annotated[Mapping[str, Any], AfterValidator(_frozen), PlainSerializer(dict, return_type=dict)]


class Section(BaseModel):
    """What all sections share: no unknown key, no wrong type taken for a right one (`true` is not 1, `"3"` is not 3)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        """A section or list whose lines are all commented out reads as null, and means that nothing is set in it."""
        if not isinstance(value, Mapping):
            return value
        return {name: item for name, item in value.items() if item is not None or not cls._holds_several(name)}

    @classmethod
    def _holds_several(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        if field is None:
            return False
        empty = field.get_default(call_default_factory=True)
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        return is_section or isinstance(empty, tuple | Mapping)
