"""Where keys come from: the environment or a file, by name. Checked before anything is sent, and shown to nobody."""

import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.config.facts import is_loopback
from pipeline.config.model import Endpoint
from pipeline.core.errors import ConfigError

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_MOST_KEY_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Secrets:
    """The endpoint's key (None: none is sent) and its headers with their variables filled in."""

    key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)


def resolve(endpoint: Endpoint, environment: Mapping[str, str], *, warn: Callable[[str], None]) -> Secrets:
    """Read the key and the header variables.

    Raises ConfigError that names the variable or file, and never what was found there.
    """
    key = _key(endpoint, environment, warn) if endpoint.provider != "simulated" else None
    headers, hidden = {}, [key] if key else []
    for name, value in endpoint.headers.items():
        if value.startswith("env:"):
            value = _variable(value[4:], environment, f"endpoint.headers.{name}")
            hidden.append(value)
        headers[name] = value
    return Secrets(key, headers, tuple(hidden))


def check_plain_http(endpoint: Endpoint, url: str, secrets: Secrets) -> None:
    """Refuse to send a secret in clear text to another machine, unless the config says so."""
    parts = urlsplit(url)
    if parts.scheme == "http" and secrets.hidden and not is_loopback(parts.hostname or "") and not endpoint.allow_http:
        raise ConfigError(
            f"endpoint: the key would travel in clear text to {parts.hostname}; use https://, or set endpoint.allow_http: true"
        )


def _key(endpoint: Endpoint, environment: Mapping[str, str], warn: Callable[[str], None]) -> str | None:
    if endpoint.key_variable is not None:
        return _variable(endpoint.key_variable, environment, "endpoint.api_key_env")
    if endpoint.api_key_file is None:
        return None
    path = endpoint.api_key_file
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"endpoint.api_key_file: {path} is not a regular file")
        with path.open("rb") as file:
            content = file.read(_MOST_KEY_BYTES)
    except OSError as error:
        raise ConfigError(f"endpoint.api_key_file: {path}: {(error.strerror or 'cannot be read').lower()}") from None
    if mode & 0o077:
        warn(f"the key file {path} can be read by others; chmod 600 it")
    return _checked(content.decode("latin-1"), f"endpoint.api_key_file: {path}")


def _variable(name: str, environment: Mapping[str, str], where: str) -> str:
    if name not in environment:
        raise ConfigError(f"{where}: the environment variable {name} is not set; export {name}=… and run again")
    return _checked(environment[name], f"{where}: the environment variable {name}")


def _checked(value: str, where: str) -> str:
    value = value.strip()
    if not value:
        raise ConfigError(f"{where} is empty")
    if not _PRINTABLE.fullmatch(value):
        raise ConfigError(f"{where} holds spaces, line breaks or other characters that no key has")
    return value
