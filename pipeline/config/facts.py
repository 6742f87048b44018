"""Which parts of a config make the job what it is. What is left out here may be changed between two runs of a job."""

import ipaddress
import json
from urllib.parse import urlsplit

from pipeline.config.model import Config


def facts_of(config: Config, url: str) -> dict[str, str]:
    """Give the job's facts as JSON text by config key. `url` is where requests are posted.

    Free to change, so absent: keys, limits, retry, stop, pricing, time-outs, image root, part size, and the host of an
    address on this machine or a private network. Contents of input files are compared on their own.
    """
    stated = {
        "endpoint.provider": config.endpoint.provider,
        "endpoint.model": config.endpoint.model,
        "endpoint.url": _where(url, simulated=config.endpoint.provider == "simulated"),
        "endpoint.headers": sorted(
            name.lower() for name, value in config.endpoint.headers.items() if not value.startswith("env:")
        ),
        "prompt.system": config.prompt.system,
        "prompt.user": config.prompt.user,
        "prompt.messages": config.prompt.messages,
        "prompt.images": list(config.prompt.images),
        "images.urls": config.images.urls,
        "request": dict(config.request),
        "output.columns": None if config.output.columns is None else list(config.output.columns),
        "output.prefix": config.output.prefix,
        "input.csv": config.input.csv.model_dump(mode="json"),
    }
    # What a job recorded before these keys were known did not do, it does not do now: unset they are no facts.
    made = {f"images.{key}": getattr(config.images, key) for key in ("max_side", "format", "quality", "detail")}
    stated |= {name: value for name, value in made.items() if value is not None}
    return {name: json.dumps(value, sort_keys=True, ensure_ascii=False, default=str) for name, value in stated.items()}


def redacted(config: Config) -> dict[str, object]:
    """Give the config as JSON values, fit to be kept: it names secrets and holds none, but for what a URL may carry."""
    kept = config.model_dump(mode="json")
    for key in ("url", "base_url", "proxy"):
        if kept["endpoint"][key]:
            kept["endpoint"][key] = _without_secrets(kept["endpoint"][key])
    return kept


def _where(url: str, *, simulated: bool) -> str:
    parts = urlsplit(url)
    if simulated or _is_near(parts.hostname or ""):
        return parts.path
    return f"{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _is_near(host: str) -> bool:
    """Tell whether a host is this machine or on a private network, where addresses come and go."""
    if (
        host == "localhost"
        or host.endswith((".local", ".internal", ".localhost"))
        or (host and "." not in host and ":" not in host)
    ):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="***" if parts.query else "").geturl()


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
