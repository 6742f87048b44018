"""Reading a config: YAML text and overrides -> Config, with every mistake named at once, by file and key."""

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.config import mistakes, strict_yaml
from pipeline.config.checks import GLOB
from pipeline.config.model import Config
from pipeline.core.described import describe
from pipeline.core.errors import ConfigError
from pipeline.core.locations import lacks_a_slash
from pipeline.core.redact import HIDDEN, looks_like_key, without_keys

MOST_BYTES = 1_000_000
# The keys whose values are paths, and so are read from where they were written.
PATH_KEYS = ("input.path", "images.root", "endpoint.api_key_file", "endpoint.ca_file", "output.path", "checkpoint.dir")
# Two ways to say one thing: whoever overrides one of them takes the file's other one back.
_RIVALS = (
    ("endpoint.url", "endpoint.base_url"),
    ("prompt.user", "prompt.messages"),
    ("endpoint.api_key_env", "endpoint.api_key_file"),
)
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_KEY = re.compile(r"[A-Za-z_]\w*(?:\.[^.=\s]+)*")


@dataclass(frozen=True, slots=True)
class Override:
    """One value from outside the file. `key` is dotted; `origin` is how the user wrote it, for messages."""

    key: str
    value: object
    origin: str


def parse_set(text: str) -> Override:
    """Read `KEY=VALUE` as --set takes it; VALUE is YAML."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not _KEY.fullmatch(key):
        shown = HIDDEN if looks_like_key(text) else f"{text!r:.80}"
        raise ConfigError(f"--set {shown}: write KEY=VALUE, such as limits.concurrency=8")
    return Override(key, strict_yaml.parse(value, f"--set {key}"), f"--set {key}")


def load_config(path: Path | None, overrides: Sequence[Override] = (), *, values: Mapping[str, Any] | None = None) -> Config:
    """Read the file (or take `values`), lay the overrides over it, and check the whole.

    Later overrides win. Paths in the file start from its folder, those in `values` and overrides from the working
    directory. Raises ConfigError with one line a mistake.
    """
    here = Path.cwd()
    name = str(path) if path is not None else "the job"
    raw: Any = read_yaml(path) if path is not None else _plain(values or {})
    if not isinstance(raw, dict):
        raise ConfigError(f"{name}: found {describe(raw)}, allowed: sections such as input, prompt, endpoint, output")
    _anchor(raw, path.absolute().parent if path is not None else here)
    given = {override.key for override in overrides}
    for override in overrides:
        _make_way(raw, override, given)
        _put(raw, _anchored(override, here))
    if no_text := [key for key, value in _texts(raw, ()) if not _is_text(value)]:
        raise ConfigError(f"{name}: {', '.join(no_text)}: holds bytes that are not UTF-8, or half of a surrogate pair")
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        origins = {override.key: override.origin for override in overrides}
        raise ConfigError(without_keys("\n".join(mistakes.lines(error, raw, name, origins)))) from None


def read_yaml(path: Path) -> object:
    """Read a small YAML file as plain values. Raises ConfigError that names it."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path}: larger than {MOST_BYTES:,} bytes; what is written by hand is not so long")
    return strict_yaml.parse(content, str(path))


# -- nested keys


def _plain(value: Any) -> Any:
    """Copy mappings into dicts of our own, which are then written to, and paths into text."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _texts(value: object, at: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield ".".join(at), value
        case dict():
            for key, item in value.items():
                yield from _texts(item, (*at, f"{key!s:.60}"))
        case list():
            for number, item in enumerate(value):
                yield from _texts(item, (*at, str(number)))


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _make_way(raw: dict[str, Any], override: Override, given: set[str]) -> None:
    """Drop what the override replaces under another name, unless that was given beside it."""
    gone = {rival for pair in _RIVALS if override.key in pair for rival in pair} - {override.key}
    if (override.key, override.value) == ("endpoint.provider", "simulated"):
        gone |= {"endpoint.url", "endpoint.base_url"}
    for key in gone - given if override.value is not None else ():
        section, _, last = key.rpartition(".")
        if isinstance(raw.get(section), dict):
            raw[section].pop(last, None)


def _put(raw: dict[str, Any], override: Override) -> None:
    *sections, last = override.key.split(".")
    for section in sections:
        if raw.get(section) is None:
            raw[section] = {}
        if not isinstance(raw[section], dict):
            raise ConfigError(f"{override.origin}: {section} has no keys below it")
        raw = raw[section]
    raw[last] = override.value


def _anchored(override: Override, base: Path) -> Override:
    layer: dict[str, Any] = {}
    _put(layer, replace(override, value=_plain(override.value)))
    _anchor(layer, base)
    value: Any = layer
    for name in override.key.split("."):
        value = value[name]
    return replace(override, value=value)


def _anchor(raw: dict[str, Any], base: Path) -> None:
    """Make the paths absolute: from here on nobody needs to know where they were written."""
    for key in PATH_KEYS:
        name, _, last = key.rpartition(".")
        section = raw.get(name)
        value = section.get(last) if isinstance(section, dict) else None
        if isinstance(value, list):
            raw[name][last] = [_absolute(each, base) for each in value]
        elif value is not None:
            raw[name][last] = _absolute(value, base)


def _absolute(value: Any, base: Path) -> Any:
    if not isinstance(value, str) or not value or _REMOTE.match(value) or lacks_a_slash(value):
        return value  # the model says what is wrong with it
    text = os.path.expanduser(value)  # noqa: PTH111 -- a glob is not yet a Path
    # A folder may be called `run[1]`: only what the user wrote is a pattern.
    root = glob.escape(str(base)) if any(char in text for char in GLOB) and not os.path.exists(base / text) else str(base)  # noqa: PTH110
    return os.path.normpath(os.path.join(root, text)) + ("/" if text.endswith("/") else "")  # noqa: PTH118
