"""Config -> the parts of a run that need no input data: endpoint, prompts, engine settings."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.checkpoint.record import Record
from pipeline.checkpoint.room import Room
from pipeline.config import Config
from pipeline.config.facts import facts_of
from pipeline.config.model import Endpoint as EndpointConfig
from pipeline.config.secrets import check_plain_http, reread, resolve
from pipeline.core.errors import ConfigError
from pipeline.core.interfaces import ReadSlice
from pipeline.core.locations import Location, is_remote
from pipeline.core.pricing import Pricing
from pipeline.core.redact import Redactor
from pipeline.core.retry import RetryPolicy
from pipeline.core.tokens import most_completion
from pipeline.engine.settings import Settings, TransportSettings
from pipeline.engine.threads import RENDER_THREADS
from pipeline.jobs.deadline import deadline_of
from pipeline.prompts import PromptSettings, Renderer, build_render
from pipeline.prompts.sandbox import MOST_BYTES
from pipeline.providers import ChatProvider, EndpointSettings, build_provider
from pipeline.sources.naming import format_of_name
from pipeline.sources.slices import slice_columns
from pipeline.version import __version__

# Rows whose pictures are fetched, read from a store or shrunk at once, beyond those that are asked: hosts and stores take
# their time.
FETCHED_AT_ONCE = 32
# Never asked: `simulated` gets its own address when the run starts its server.
NOWHERE = "http://127.0.0.1/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a job's requests go, what keeps its secrets out of sight, and how they get there.

    `rekeyed` looks whether the key's file holds another key by now, and if so has it used and hidden from then on.
    """

    provider: ChatProvider
    redactor: Redactor
    transport: TransportSettings
    facts: dict[str, str]
    rekeyed: Callable[[], bool]


def build_endpoint(config: Config, *, warn: Callable[[str], None], base_url: str | None = None) -> Endpoint:
    """Make the endpoint; `base_url` is the simulator's, once it runs. Raises ConfigError for keys, URLs and headers."""
    endpoint = config.endpoint
    secrets = resolve(endpoint, os.environ, warn=warn)
    redactor = Redactor(secrets.hidden)
    provider = build_provider(
        EndpointSettings(
            provider=endpoint.provider,
            model=endpoint.model or ("simulated" if endpoint.provider == "simulated" else ""),
            base_url=(base_url or NOWHERE) if endpoint.provider == "simulated" else endpoint.base_url,
            url=endpoint.url,
            key=secrets.key,
            headers=secrets.headers,
            params=config.request,
            detail=config.images.detail,
        ),
        redact=redactor.text,
        hide=redactor.reply,
        wall=time.time,
    )
    check_plain_http(endpoint, provider.url, secrets)
    if endpoint.ca_file is not None:
        _check_authorities(endpoint.ca_file)
    return Endpoint(
        provider,
        redactor,
        TransportSettings(
            timeout=endpoint.timeout,
            user_agent=f"rowcall/{__version__}",
            proxy=endpoint.proxy,
            ca_file=str(endpoint.ca_file) if endpoint.ca_file else None,
        ),
        facts_of(config, provider.url),
        _Rekeyed(endpoint, provider, redactor, secrets.key),
    )


class _Rekeyed:
    """Reads the key again where it may have changed: in a file. A process's environment stays as it was."""

    def __init__(self, endpoint: EndpointConfig, provider: ChatProvider, redactor: Redactor, key: str | None) -> None:
        self._endpoint = endpoint
        self._provider = provider
        self._redactor = redactor
        self._key = key

    def __call__(self) -> bool:
        try:
            key = reread(self._endpoint)
        except ConfigError:  # it is being written just now, or is gone: the old one was refused, and that is said
            return False
        if key is None or key == self._key:
            return False
        self._redactor.hide(key)
        self._provider.use_key(key)
        self._key = key
        return True


def _check_authorities(file: Path) -> None:
    import ssl  # 30 ms that jobs without such a file need not spend here

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except (OSError, ValueError) as error:
        raise ConfigError(f"endpoint.ca_file: {file} holds no authorities in PEM form ({error})") from None


def build_renderer(config: Config, schema: pa.Schema, read: ReadSlice, *, sparing: bool = False) -> Renderer:
    """Make the renderer over an input with this schema; `read` gets what lies in files. `sparing`: for a page that only shows.

    Raises ConfigError for templates and columns that do not fit.
    """
    return build_render(
        PromptSettings(
            system=config.prompt.system,
            user=config.prompt.user,
            images=config.prompt.images,
            messages=config.prompt.messages,
            root=config.images.root,
            max_bytes=most_picture_bytes(config),
            sparing=sparing,
        ),
        schema.names,
        # Without it where it is not needed: rendering that may wait for a disk costs a thread's turn a row.
        read=read if set(config.prompt.images) & set(slice_columns(schema)) else None,
    )


def room_of(config: Config, record: Record) -> Room:
    """Make what watches the disks of the record and its output."""
    least = config.checkpoint.min_free_megabytes
    return Room(record, concurrency=config.limits.concurrency, least=None if least is None else int(least * 2**20))


def most_picture_bytes(config: Config) -> int:
    return int(config.images.max_megabytes * 1e6)


def most_held(config: Config) -> int:
    """Give the most bytes that rows and bodies can take at once, each with one image of the largest size or the longest text."""
    # The row's own bytes, and the body with them in base64.
    largest = int(config.images.max_megabytes * 1e6 * 7 / 3) if config.prompt.images else 2 * MOST_BYTES
    bound = int(config.limits.megabytes_in_flight * 2**20) + _builders(config) * largest
    return min(config.limits.concurrency * largest, bound)


def _builders(config: Config) -> int:
    """Give how many rows may be taken up before it is known how large their bodies are: a text's is small beside the bound."""
    if config.images.urls == "inline" or _reads_a_store(config):
        return FETCHED_AT_ONCE
    return RENDER_THREADS if config.prompt.images or config.prompt.messages else config.limits.concurrency


def render_threads(config: Config) -> int:
    """Give how many threads render: a store takes as long for a picture as a hundred rows take here, but gives many at once."""
    return FETCHED_AT_ONCE if _reads_a_store(config) else RENDER_THREADS


def _reads_a_store(config: Config) -> bool:
    """Whether pictures lie in a store: what cells name there, or the input itself, if it is no table by its name."""
    lie_there = any(is_remote(each) and format_of_name(each) in (None, "tar") for each in config.input.path)
    return bool(config.prompt.images) and (lie_there or isinstance(config.images.root, Location))


def engine_settings(config: Config, *, deadline: float | None) -> Settings:
    """Map the config onto the engine's settings; `deadline` (epoch seconds) goes before the config's own if earlier."""
    own = deadline_of(config.stop.deadline, now=time.time()) if config.stop.deadline else None
    # Each process that asks makes some ready at once. What all of them hold may at times be held by one.
    processes = config.engine.workers if config.engine.kind == "ray" else 1
    deadlines = [each for each in (deadline, own) if each is not None]
    return Settings(
        concurrency=config.limits.concurrency,
        policy=RetryPolicy(
            None if config.retry.max_attempts == "auto" else config.retry.max_attempts,
            config.retry.base_delay_s,
            config.retry.max_delay_s,
            config.retry.max_retry_after_s,
            config.retry.max_outage_s,
        ),
        grace=config.endpoint.timeout if config.stop.grace_s is None else config.stop.grace_s,
        deadline=min(deadlines, default=None),
        adaptive=config.limits.adaptive,
        requests_per_minute=config.limits.requests_per_minute,
        tokens_per_minute=config.limits.tokens_per_minute,
        most_open_bytes=int(config.checkpoint.max_open_megabytes * 2**20),
        pricing=Pricing(**config.pricing.model_dump()),
        systematic_failures=config.stop.systematic_failures,
        max_failed=config.stop.max_failed,
        max_cost=config.stop.max_cost,
        most_completion=most_completion(config.request) or 0,
        choices=choices if isinstance(choices := config.request.get("n"), int) else 1,
        most_held_bytes=int(config.limits.megabytes_in_flight * 2**20),
        builders=_builders(config) * processes,
        ahead=_builders(config) * processes if config.prompt.images else 0,
    )
