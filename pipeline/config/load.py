"""Reading a config: YAML text and overrides -> Config, with every mistake named at once, by file and key."""

import difflib
import os
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.config.model import Config
from pipeline.core.errors import ConfigError

MOST_BYTES = 1_000_000
# The keys whose values are paths, and so are read from where they were written.
PATH_KEYS = ("input.path", "images.root", "endpoint.api_key_file", "endpoint.ca_file", "output.path", "checkpoint.dir")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class Override:
    """One value from outside the file. `key` is dotted; `origin` is how the user wrote it, for messages."""

    key: str
    value: object
    origin: str


def parse_set(text: str) -> Override:
    """Read `KEY=VALUE` as --set takes it; VALUE is YAML."""
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_]\w*(\.[^.=]+)*", key.strip()):
        raise ConfigError(f"--set {text!r}: write KEY=VALUE, such as limits.concurrency=8")
    return Override(key.strip(), _parse(value, f"--set {key.strip()}"), f"--set {key.strip()}")


def load_config(path: Path | None, overrides: Sequence[Override] = (), *, values: Mapping[str, Any] | None = None) -> Config:
    """Read the file (or take `values`), lay the overrides over it, and check the whole.

    Paths in the file start from its folder, those in `values` and overrides from the working directory. Raises
    ConfigError with one line a mistake.
    """
    here = Path.cwd()
    name = str(path) if path is not None else "the job"
    raw: Any = _read(path) if path is not None else _copy(dict(values or {}))
    if not isinstance(raw, dict):
        raise ConfigError(f"{name}: found {_kind(raw)}, allowed: sections such as input, prompt, endpoint, output")
    _anchor(raw, path.absolute().parent if path is not None else here, name)
    origins: dict[str, str] = {}
    for override in overrides:
        layer: dict[str, Any] = {}
        _put(layer, override)
        _anchor(layer, here, override.origin)
        value = _get(layer, override.key)
        _put(raw, Override(override.key, value, override.origin))
        origins[override.key] = override.origin
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_messages(error, raw, name, origins))) from None


# -- YAML


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (a few lines of them can fill the memory) and without a key given twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> object:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path}: larger than {MOST_BYTES:,} bytes; a config holds no data")
    return _parse(content, str(path))


def _parse(content: str | bytes, name: str) -> object:
    try:
        return yaml.load(content, _Loader)  # noqa: S506 -- a SafeLoader, made stricter
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{name}{where}: not valid YAML: {problem}") from None
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"{name}: not valid YAML: {type(error).__name__}") from None


# -- nested keys


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _put(raw: dict[str, Any], override: Override) -> None:
    *sections, last = override.key.split(".")
    for section in sections:
        below = raw.get(section)
        if below is None:
            below = raw[section] = {}
        if not isinstance(below, dict):
            raise ConfigError(f"{override.origin}: {section} has no keys below it")
        raw = below
    raw[last] = override.value


def _get(raw: Any, key: str) -> Any:
    for name in key.split("."):
        if not isinstance(raw, Mapping) or name not in raw:
            return None
        raw = raw[name]
    return raw


def _anchor(raw: dict[str, Any], base: Path, name: str) -> None:
    """Make the paths absolute: from here on nobody needs to know where they were written."""
    for key in PATH_KEYS:
        section = _get(raw, key.rpartition(".")[0])
        last = key.rpartition(".")[2]
        if not isinstance(section, dict) or section.get(last) is None:
            continue
        value = section[last]
        many = isinstance(value, (list, tuple))
        absolute = [_absolute(each, base, f"{name}: {key}") for each in (value if many else [value])]
        section[last] = absolute if many else absolute[0]


def _absolute(value: Any, base: Path, where: str) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or not value:
        return value  # pydantic says what is wrong with it
    if "\0" in value:
        raise ConfigError(f"{where}: a path cannot hold a NUL character")
    if _REMOTE.match(value):
        raise ConfigError(f"{where}: found {value!r}; remote paths are not supported, copy the data to a local disk")
    slash = "/" if value.endswith("/") else ""
    return os.path.normpath(base / os.path.expanduser(value)) + slash  # noqa: PTH111 -- a glob is not yet a Path


# -- messages


def _messages(error: ValidationError, raw: dict[str, Any], name: str, origins: Mapping[str, str]) -> list[str]:
    lines = []
    for each in error.errors(include_url=False):
        location = [str(part) for part in each["loc"] if not str(part).startswith(("function-", "lax-or", "tuple["))]
        key = ".".join(location)
        origin = next((origins[k] for k in origins if key == k or key.startswith(k + ".") or k.startswith(key + ".")), name)
        where = origin if key in origins else f"{origin}: {key}" if key else origin
        lines.append(f"{where}: {_problem(each, location, raw)}")
    return list(dict.fromkeys(lines))


def _problem(each: Any, location: list[str], raw: dict[str, Any]) -> str:
    match each["type"]:
        case "extra_forbidden":
            keys = _keys_beside(location)
            near = difflib.get_close_matches(location[-1], keys, 1, 0.5) or _elsewhere(location[-1])
            hint = f"; did you mean {near[0]}?" if near else ""
            return (
                f"unknown key{hint} Allowed here: {', '.join(keys)}" if hint else f"unknown key; allowed here: {', '.join(keys)}"
            )
        case "missing":
            return "is required"
        case "value_error":
            return str(each["ctx"]["error"])
        case "literal_error":
            return f"found {_shown(location, raw)}, allowed: {each['ctx']['expected'].replace(' or ', ', ')}"
    wanted = each["msg"].removeprefix("Input should be ").removeprefix("Value ")
    return f"found {_shown(location, raw)}, allowed: {wanted}"


def _shown(location: list[str], raw: dict[str, Any]) -> str:
    value = _get(raw, ".".join(part for part in location if not part.isdigit()))
    if isinstance(value, (list, tuple)) and location[-1].isdigit() and int(location[-1]) < len(value):
        value = value[int(location[-1])]
    # A key pasted into the wrong place must not come back on the screen.
    if location[0] == "endpoint" and isinstance(value, str) and location[-1] not in ("provider", "model"):
        return "text"
    return _kind(value) if isinstance(value, (Mapping, list, tuple)) else f"{value!r:.60}"


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return {dict: "a mapping", list: "a list", tuple: "a list", str: "text", bool: "true or false"}.get(
        type(value), f"{value!r:.40}"
    )


def _keys_beside(location: list[str]) -> list[str]:
    model: type[BaseModel] = Config
    for name in location[:-1]:
        field = model.model_fields.get(name)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)


def _elsewhere(name: str) -> list[str]:
    """Find the key one section deeper or beside: `concurrency` at the top means limits.concurrency."""
    return [
        f"{section}.{name}"
        for section, field in Config.model_fields.items()
        if isinstance(field.annotation, type)
        and issubclass(field.annotation, BaseModel)
        and name in field.annotation.model_fields
    ]
