"""What pydantic found wrong with a config -> one line a mistake: where, what was found, what is allowed, what was meant."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.config.checks import Mistakes, is_probably_a_key
from pipeline.config.model import Config
from pipeline.config.section import ABOUT_SECTION
from pipeline.core.described import describe
from pipeline.core.redact import harmless, looks_like_key

_MOST_CHARS = 1000

# pydantic's error types in the user's words; {…} are the error's own figures.
_WORDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "text, or a list of texts",
    "dict_type": "keys with values",
    "mapping_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "path_type": "a path",
    "is_instance_of": "a path",
    "invalid_key": "text as a key; put it in quotes",
    "finite_number": "a finite number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "string_too_short": "at least {min_length} character",
    "string_too_long": "at most {max_length} character",
    "too_short": "at least {min_length} of them",
}


def lines(error: ValidationError, raw: Mapping[str, Any], name: str, origins: Mapping[str, str]) -> list[str]:
    """Give one line a mistake. `origins` tells which keys came from the command line, and how the user wrote them."""
    found = [line for each in error.errors(include_url=False) for line in _of(each, raw, name, origins)]
    return list(dict.fromkeys(harmless(line, _MOST_CHARS) for line in found))


def _of(each: Any, raw: Mapping[str, Any], name: str, origins: Mapping[str, str]) -> Iterator[str]:
    # A key that is no text gets the name of pydantic's own check appended.
    location = [str(part) for part in each["loc"] if part != "[key]"]
    if each["type"] == ABOUT_SECTION and len(location) > 1:
        location = location[:-1]
    several = each["ctx"]["error"] if each["type"] == "value_error" else None
    if isinstance(several, Mistakes):
        for key, problem in several.found:
            yield f"{_where([*location, key], name, origins)}: {problem}"
    else:
        yield f"{_where(location, name, origins)}: {_problem(each, location, raw)}"


def _where(location: Sequence[str], name: str, origins: Mapping[str, str]) -> str:
    """Name the option that the value came from, else the file; and the key, unless the option says it already."""
    key = ".".join(location)
    option = next((option for option in origins if (key + ".").startswith(option + ".")), None)
    if option is None:
        # A section is wrong as a whole: name the options that had a part in it.
        option = next((option for option in origins if option.startswith(key + ".")), None)
    origin = origins[option] if option else name
    if not key or (key == option and (origin.endswith(key) or origin.startswith("--"))):
        return origin
    return f"{origin}: {key}"


def _problem(each: Any, location: list[str], raw: Mapping[str, Any]) -> str:
    match each["type"]:
        case "extra_forbidden":
            return _unknown(location)
        case "missing":
            return f"is required{_meaning(location)}"
        case "value_error":
            return str(each["ctx"]["error"])
        case kind if kind == ABOUT_SECTION:
            return str(each["ctx"]["text"])
        case "literal_error":
            allowed = each["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
        case kind:
            allowed = _WORDS[kind].format_map(each.get("ctx", {})) if kind in _WORDS else each["msg"]
    return f"found {_shown(location, raw)}, allowed: {allowed}"


def _unknown(location: list[str]) -> str:
    keys = list(_fields(location[:-1]))
    name = location[-1].replace("-", "_")
    near = difflib.get_close_matches(name, keys, 1, 0.5)
    if deeper := [path for path in _everywhere() if path.rpartition(".")[2] == name]:
        near = near if near and near[0] == name else deeper[:1]
    return f"unknown key{f'; did you mean {near[0]}' if near else ''}; allowed here: {', '.join(keys)}"


def _meaning(location: list[str]) -> str:
    field = _fields(location[:-1]).get(location[-1])
    return f": {field.description}" if field and field.description else ""


def _fields(location: Sequence[str]) -> Mapping[str, Any]:
    """Give the fields of the section at this place; none where there is no section."""
    model: type[BaseModel] = Config
    for name in location:
        field = model.model_fields.get(name)
        if field is None or not _is_section(field.annotation):
            return {}
        model = field.annotation  # type: ignore[assignment]  # _is_section said so
    return model.model_fields


def _everywhere(section: Sequence[str] = ()) -> Iterator[str]:
    """Give the dotted path of every key: `concurrency` at the top means limits.concurrency."""
    for name, field in _fields(section).items():
        yield ".".join((*section, name))
        if _is_section(field.annotation):
            yield from _everywhere((*section, name))


def _is_section(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _shown(location: list[str], raw: object) -> str:
    value = raw
    for part in location:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping):
            return f"the key {part}"  # one that is no text
    # A key pasted into the wrong place must not come back on the screen.
    hidden = location[0] == "endpoint" and location[-1] not in ("provider", "model")
    if isinstance(value, str) and (hidden or looks_like_key(value) or is_probably_a_key(value)):
        return "text"
    return describe(value)
