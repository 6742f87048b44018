"""Where requests go and with which headers: settings of one endpoint -> URL and headers, checked before anything is sent."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit, urlunsplit

from pipeline.core.errors import ConfigError
from pipeline.providers.policy import Rule

COMPLETIONS = "/chat/completions"
# Set by the endpoint's key alone; a second value beside it would be sent, too, or instead.
_AUTH_HEADERS = frozenset({"authorization", "x-api-key"})

_SLUG = re.compile(r"[A-Za-z0-9._:/-]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """One endpoint as the config describes it, environment variables resolved.

    `url` is posted to exactly as written; else the address is made of `base_url` (None: the provider's own) and, for
    Segmind, `model`. `key` None: no authentication is sent. `params` are merged into every body as they are. `detail` is said
    with every picture that does not say it itself.
    """

    provider: str
    model: str = ""
    base_url: str | None = None
    url: str | None = None
    key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, object] = field(default_factory=dict)
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of endpoint differs from the others: a new provider is one of these.

    `base_url` None: the config must say. `path` gives what follows it for a model; `auth` the headers that carry a
    key. `takes_detail`: a picture's block may say how closely to look. `rules` are asked before the common table;
    `credits` reads off an answer's headers what is left on the account.
    """

    name: str
    base_url: str | None
    path: Callable[[str], str]
    auth: Callable[[str], Mapping[str, str]]
    model_in_body: bool
    takes_detail: bool = False
    rules: Sequence[Rule] = ()
    credits: Callable[[Mapping[str, str]], float | None] = field(default=lambda _: None)


def url_of(dialect: Dialect, settings: EndpointSettings) -> str:
    """Give the address that every request is posted to."""
    if settings.url is not None:
        _check_url("endpoint.url", settings.url)
        return settings.url
    base = settings.base_url or dialect.base_url
    if base is None:
        raise ConfigError(f"endpoint.base_url: missing; provider {dialect.name} has no address of its own")
    _check_url("endpoint.base_url", base)
    scheme, host, path, query, _ = urlsplit(base)
    if path.rstrip("/").endswith(COMPLETIONS):
        raise ConfigError(
            f"endpoint.base_url: it ends in {COMPLETIONS}; give the whole address as endpoint.url, or leave that off here"
        )
    return urlunsplit((scheme, host, path.rstrip("/") + dialect.path(settings.model), query, ""))


def origin_of(url: str) -> str:
    """Give scheme, host and port: what a key is bound to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def headers_of(dialect: Dialect, settings: EndpointSettings) -> Mapping[str, str]:
    """Give the headers of every request, names in lower case. The user's may replace any but those of the key."""
    headers = {"content-type": "application/json", "accept": "application/json"}
    for name, value in settings.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigError(f"endpoint.headers: {name!r}: name or value holds characters that no header may have")
        if name.lower() in _AUTH_HEADERS:
            raise ConfigError(f"endpoint.headers: {name!r}: keys are given by endpoint.api_key_env or endpoint.api_key_file")
        headers[name.lower()] = value
    if settings.key is not None:
        if not _PRINTABLE.fullmatch(settings.key):
            raise ConfigError("the endpoint's key is empty or holds blanks, control or non-ASCII characters")
        headers |= dialect.auth(settings.key)
    return headers


def slug(model: str) -> str:
    """Give a model's name as it may stand in a URL's path; it must not lead anywhere else."""
    segments = model.split("/")
    if not _SLUG.fullmatch(model) or ".." in model or any(segment in ("", ".") for segment in segments):
        raise ConfigError(f"endpoint.model: {model[:100]!r} is no model name; it is the last part of the model page's URL")
    return quote(model, safe="/:")


def _check_url(key: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        usable = False
    if not usable or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise ConfigError(f"{key}: not an http or https address: {_masked(url)!r}")
    if "@" in parts.netloc:
        raise ConfigError(f"{key}: a name or password in an address would be shown; give keys by endpoint.api_key_env")
    if parts.fragment or url.endswith("#"):
        raise ConfigError(f"{key}: what follows # is never sent; leave it off")


def _masked(url: str) -> str:
    return re.sub(r"//.*@", "//***@", url)[:100]
