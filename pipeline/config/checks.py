"""What single values of a config must look like. Each check gives the value back, or raises ValueError with words for the user.

Nothing here repeats a value that may be a secret pasted into the wrong place.
"""

import codecs
import fnmatch
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pipeline.core.locations import Location, is_remote, lacks_a_slash
from pipeline.core.redact import looks_like_key

CSV_TYPES = ("string", "int64", "float64", "bool", "date", "timestamp")
GLOB = "*?["
_LONGEST_OUTPUT = 200

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)", re.ASCII)
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_KEY_HEADERS = ("authorization", "x-api-key", "proxy-authorization")
_OWN_HEADERS = ("content-length", "transfer-encoding", "host", "content-type", "accept-encoding", "connection")
# `token` but not `tokens`: X-Max-Tokens is a limit.
_SECRET_NAME = re.compile(r"auth|api[-_]?key|token(?!s)|secret|passw|cookie|credential", re.IGNORECASE)
# Narrower than for headers: a body has max_tokens, logit_bias and whatever else a model takes. Only at its top: a schema
# of wanted answers may well have a property `key`.
_SECRET_PARAMETERS = frozenset(
    ("api_key", "apikey", "api-key", "key", "authorization", "access_token", "password", "secret", "x-api-key")
)
# How a key looks as a variable's name, when it has no telling prefix: long, with digits, not all in capitals.
_LONG_NAME = 20


class Mistakes(ValueError):
    """Several mistakes in one mapping, each with the key below it that it is about."""

    def __init__(self, found: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {problem}" for key, problem in found))
        self.found = tuple(found)


def local_path(path: str) -> str:
    if remote := _REMOTE.match(path):
        raise ValueError(f"found {remote.group()}…, allowed: a path on a local disk")
    if "\0" in path:
        raise ValueError("a path cannot hold a NUL character")
    return path


def any_path(path: str) -> str:
    """Take a local path, or a location in an object store."""
    if is_remote(path):
        Location.parse(path)  # raises what it says to whoever wrote it
        return path
    if lacks_a_slash(path):
        raise ValueError(
            f"found {path.partition('/')[0]}/ with one slash, allowed: a local path, or s3://bucket/key and the like"
        )
    return local_path(path)


def output_path(path: str) -> str:
    suffix = PurePath(path).suffix
    if not path.endswith("/") and suffix not in ("", ".parquet"):
        raise ValueError(
            f"found the suffix {suffix!r}, allowed: .parquet for one file, or no suffix or a trailing / for a folder;"
            " for CSV or JSON Lines run the job and then `rowcall export`"
        )
    if not PurePath(path).name:
        raise ValueError("found the root folder; give one below it")
    if len(os.fsencode(PurePath(path).name)) > _LONGEST_OUTPUT:
        raise ValueError(f"too long a name: at most {_LONGEST_OUTPUT} bytes, so that what lies beside it can be named after it")
    if is_remote(path) and not Location.parse(path).key.strip("/"):
        raise ValueError("found a whole bucket; give a key below it")
    return any_path(path)


def encoding(name: str) -> str:
    try:
        known = codecs.lookup(name)
        known.decode(b"a", "ignore")  # idna and the like do only parts of what is asked of them
    except (LookupError, ValueError):  # a NUL in the name is a ValueError
        known = None
    # hex, zip and the like turn bytes into bytes. codecs has no public word for that; io.open asks the same attribute.
    if known is None or not getattr(known, "_is_text_encoding", True):
        raise ValueError(f"found {name!r}, allowed: an encoding Python knows, such as utf-8, utf-16 or latin-1")
    return name


def csv_types(types: Mapping[str, Any]) -> Mapping[str, Any]:
    allowed = ", ".join(CSV_TYPES)
    wrong = [(column, f"found {type_!r:.60}, allowed: {allowed}") for column, type_ in types.items() if type_ not in CSV_TYPES]
    return _without(wrong, types)


def deadline(value: object) -> object:
    text = value.strip() if isinstance(value, str) else ""
    if value is not None and not (_DURATION.fullmatch(text) or _TIME.fullmatch(text)):
        raise ValueError(f"found {value!r:.60}, allowed: a duration such as 2h or 90m, or a time of day such as 06:00")
    return text or None


def url(text: str) -> str:
    """Check an address that keys are sent to: it must not hold one itself."""
    parts = _parts(text, ("http", "https"))
    if "@" in parts.netloc:
        raise ValueError("a name or password in an address would be shown; the key is named by api_key_env or api_key_file")
    names = [pair.partition("=")[0].lower() for pair in parts.query.split("&")]
    if looks_like_key(text) or any(name in _SECRET_PARAMETERS for name in names):
        raise ValueError("a key in an address would be shown; name it by api_key_env or api_key_file")
    if parts.fragment or text.endswith("#"):
        raise ValueError("what follows # is never sent; leave it off")
    return text


def proxy(text: str) -> str:
    """Check a proxy's address, which alone may hold a name and password."""
    parts = _parts(text, ("http", "https"))
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("nothing may follow the host and port, such as http://proxy.example:3128")
    return text


def _parts(text: str, schemes: tuple[str, ...]) -> SplitResult:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        usable = False
    if not usable or not _PRINTABLE.fullmatch(text) or "\\" in text:
        raise ValueError("found no address, allowed: one such as http://localhost:8000/v1 or https://api.example/v1")
    return parts


def variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name) or is_probably_a_key(name):
        raise ValueError("takes the name of an environment variable, such as SEGMIND_API_KEY, never the key itself")
    return name


def key_file(path: str) -> str:
    if is_probably_a_key(PurePath(path).name):
        raise ValueError("takes the path of a file that holds the key, never the key itself")
    return local_path(path)


def is_probably_a_key(name: str) -> bool:
    """Tell whether what should be a name is more likely a key: the message about it must not show it."""
    if not any(char.isdigit() for char in name):
        return False
    unbroken = "_" not in name.strip("_") and not re.search("[-. ]", name)
    return looks_like_key(name) or (len(name) >= _LONG_NAME and unbroken and any(char.islower() for char in name))


def headers(values: Mapping[str, Any]) -> Mapping[str, Any]:
    wrong = [(name, problem) for name, value in values.items() if (problem := _header_problem(name, value))]
    again = sorted({name.lower() for name in values if sum(name.lower() == other.lower() for other in values) > 1})
    return _without([*wrong, *((name, "given twice") for name in again)], values)


def _header_problem(name: str, value: object) -> str | None:
    if name.lower() in _KEY_HEADERS:
        return "refused: the key belongs in api_key_env or api_key_file"
    if name.lower() in _OWN_HEADERS:
        return "refused: the request sets it itself"
    if not isinstance(value, str):
        return "allowed: text (put it in quotes), or env:NAME"
    if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
        return "holds characters that no header may have"
    if value.startswith("env:"):
        name_is_good = _VARIABLE.fullmatch(value[4:]) and not is_probably_a_key(value[4:])
        return None if name_is_good else "env: takes the name of an environment variable, never the secret itself"
    if _SECRET_NAME.search(name) or looks_like_key(value):
        return "looks like a secret: put it in an environment variable and write env:NAME"
    return None


def request(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check what is merged into every body: JSON, and nothing that rowcall sets or that ought to be secret."""
    own = [(name, "refused: rowcall sets it") for name in ("messages", "stream") if values.get(name, False) is not False]
    keys = [
        (name, "refused: a key belongs in endpoint.api_key_env or api_key_file")
        for name in values
        if name.lower() in _SECRET_PARAMETERS
    ]
    return _without([*own, *keys, *_json_problems(values, ())], values)


def _json_problems(value: object, at: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    match value:
        case Mapping():
            for name, item in value.items():
                if isinstance(name, str):
                    yield from _json_problems(item, (*at, name))
                else:
                    yield ".".join((*at, f"{name!r:.60}")), "a key must be text; put it in quotes"
        case list() | tuple():
            for position, item in enumerate(value):
                yield from _json_problems(item, (*at, str(position)))
        case float() if not math.isfinite(value):
            yield ".".join(at), "not a finite number, which JSON cannot hold"
        case str() if looks_like_key(value) and not re.search(r"\s", value):
            yield ".".join(at), "looks like a secret; a key belongs in endpoint.api_key_env or api_key_file"
        case str() | bool() | int() | float() | None:
            pass
        case _:
            yield ".".join(at), f"found {type(value).__name__}, allowed: what JSON can hold"


def _without(wrong: Sequence[tuple[str, str]], values: Mapping[str, Any]) -> Mapping[str, Any]:
    if wrong:
        raise Mistakes(wrong)
    return values


def reads_itself(inputs: tuple[str, ...], output: str) -> str | None:
    """Give the input path that would take the job's own output for new rows on the next run, or None."""
    made = [PurePath(output)]
    if output.endswith("/") or made[0].suffix != ".parquet":
        made.append(made[0] / "part-000000.parquet")
    return next((path for path in inputs if any(_reads(path, each) for each in made)), None)


def reads_record(inputs: tuple[str, ...], folder: str) -> str | None:
    """Give the input path that would take the files of the record `folder` for input, or None.

    What starts with a dot or underscore or ends with .rowcall is passed over below a folder, and so may lie there.
    """
    kept = PurePath(folder)
    if any((each.startswith((".", "_")) and each != "..") or each.endswith(".rowcall") for each in kept.parts):
        return None
    return next((path for path in inputs if _reads(path, kept / "staged" / "file-000000.parquet")), None)


def _reads(path: str, file: PurePath) -> bool:
    below = file.is_relative_to(path)
    if any(char in path for char in GLOB):
        return below or _matches(file.parts, PurePath(path).parts)
    return below


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Match a path by a glob, part by part: ** stands for any number of parts."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
