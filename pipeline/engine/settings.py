"""What a run is told: plain values, apart from the modules that need an HTTP client."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.core.pricing import Pricing
from pipeline.core.public import PORTS, is_public
from pipeline.core.retry import RetryPolicy

NO_PRICES = Pricing()
# A longer reply is not read.
MOST_BODY_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run. `grace`: seconds for which requests in flight are awaited after a stop. `deadline`: seconds since the epoch.

    `adaptive`: find out how much at once, and how fast, where no limit is set. `max_cost` is in the currency of `pricing`;
    `most_completion` the completion tokens that each of a request's `choices` may come to.

    `most_held_bytes` bounds the rows and bodies held at once, see bulk.py; at most so many `builders` take up rows meanwhile
    (None: `concurrency`). `ahead`: rows that are made ready beyond those that are asked.
    """

    concurrency: int
    policy: RetryPolicy
    grace: float
    deadline: float | None = None
    adaptive: bool = True
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    most_open_bytes: int = 4096 * 2**20
    pricing: Pricing = NO_PRICES
    systematic_failures: int | None = None
    max_failed: int | None = None
    max_cost: float | None = None
    most_completion: int = 0
    choices: int = 1
    most_held_bytes: int = 384 * 2**20
    builders: int | None = None
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """`timeout` is seconds for a whole request; `proxy` a URL; `ca_file` a PEM file of further trusted authorities."""

    timeout: float
    user_agent: str
    proxy: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """How pictures are fetched. `total` seconds for a picture with all its redirects, `connect` for each connection.

    `per_host` at once from one host. `longest_outage`: seconds for which a host that gives nobody a picture is waited for.
    `allowed` tells by an IP address, just before it is connected to, whether it may be; nothing but tests has it say more.
    """

    user_agent: str
    most_bytes: int
    per_host: int = 8
    longest_outage: float = 3600.0
    total: float = 30.0
    connect: float = 10.0
    allowed: Callable[[str], bool] = is_public
    ports: frozenset[int] = PORTS
