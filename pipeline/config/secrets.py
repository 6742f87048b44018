"""Where keys come from: the environment or a file, by name. Checked before anything is sent, and shown to nobody."""

import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.config.facts import is_loopback
from pipeline.config.model import Endpoint
from pipeline.core.errors import ConfigError

_KEY = re.compile(r"[\x21-\x7e]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]+")
_MOST_KEY_BYTES = 16_384
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The endpoint's key (None: none is sent) and its headers with their variables filled in.

    `hidden` is everything that must appear nowhere: the key, what variables gave to headers, a proxy's password.
    """

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
            value = _variable(value[4:], environment, f"endpoint.headers.{name}", _HEADER_VALUE)
            hidden.append(value)
        headers[name] = value
    return Secrets(key, headers, (*hidden, *_proxy_password(endpoint.proxy)))


def reread(endpoint: Endpoint) -> str | None:
    """Read the key once more where it is in a file; None where it is not. Raises ConfigError as `resolve` does."""
    if endpoint.api_key_file is None or endpoint.provider == "simulated":
        return None
    return _from_file(endpoint.api_key_file, lambda _: None)


def check_plain_http(endpoint: Endpoint, url: str, secrets: Secrets) -> None:
    """Refuse to send a secret in clear text to another machine, unless the config says so."""
    parts = urlsplit(url)
    sent = secrets.key is not None or any(value.startswith("env:") for value in endpoint.headers.values())
    if parts.scheme != "http" or not sent or endpoint.allow_http:
        return
    # A proxy is handed a plain request as it is, wherever it goes.
    for host in (parts.hostname, urlsplit(endpoint.proxy).hostname if endpoint.proxy else None):
        if host is not None and not is_loopback(host):
            raise ConfigError(
                f"endpoint: the key would travel in clear text to {host}; use https://, or set endpoint.allow_http: true"
            )


def _key(endpoint: Endpoint, environment: Mapping[str, str], warn: Callable[[str], None]) -> str | None:
    if endpoint.api_key_file is not None:
        return _from_file(endpoint.api_key_file, warn)
    name = endpoint.key_variable
    if name is None or (name not in environment and endpoint.api_key_env is None and _is_rehearsal(endpoint)):
        return None
    return _variable(name, environment, "endpoint.api_key_env", _KEY)


def _is_rehearsal(endpoint: Endpoint) -> bool:
    """Whether a server on this machine stands in for the provider: it needs a key only if the config names one."""
    return is_loopback(urlsplit(endpoint.url or endpoint.base_url or "").hostname or "")


def _from_file(path: Path, warn: Callable[[str], None]) -> str:
    where = f"endpoint.api_key_file: {path}"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a FIFO would wait for ever
            raise ConfigError(f"{where} is not a regular file")
        with path.open("rb") as file:
            content = file.read(_MOST_KEY_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{where}: {(error.strerror or 'cannot be read').lower()}") from None
    if len(content) > _MOST_KEY_BYTES:
        raise ConfigError(f"{where} is larger than {_MOST_KEY_BYTES:,} bytes; it must hold the key and nothing else")
    if mode & 0o077:
        warn(f"the key file {path} can be read by others; chmod 600 it")
    return _checked(content.removeprefix(_BOM).decode("latin-1"), where, _KEY)


def _variable(name: str, environment: Mapping[str, str], where: str, pattern: re.Pattern[str]) -> str:
    if name not in environment:
        raise ConfigError(f"{where}: the environment variable {name} is not set; export {name}=… and run again")
    return _checked(environment[name], f"{where}: the environment variable {name}", pattern)


def _checked(value: str, where: str, pattern: re.Pattern[str]) -> str:
    value = value.strip()
    if not value:
        raise ConfigError(f"{where} is empty")
    if not pattern.fullmatch(value):
        raise ConfigError(f"{where} holds spaces, line breaks or other characters that no key has")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        # `docker run --env-file` and the like pass quotes on as part of the value.
        raise ConfigError(f"{where} has quotes around it that are part of its value; take them off")
    return value


def _proxy_password(proxy: str | None) -> tuple[str, ...]:
    password = urlsplit(proxy).password if proxy else None
    return (password, unquote(password)) if password else ()
