"""What this machine and its environment allow or surprise a run with, seen to before anything is sent."""

import os
import resource
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from pipeline.config import Config
from pipeline.core.errors import ConfigError
from pipeline.core.extras import missing_extra
from pipeline.engine.settings import MOST_BODY_BYTES

# Files and sockets a run has open besides its requests: journal, parts, input, streams, the simulator's own.
OTHER_DESCRIPTORS = 64
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def make_room_for(concurrency: int, *, embedded: bool = False) -> None:
    """Raise this process's limit of open files as far as the run needs, cron's 1,024 often being too few.

    Raises ConfigError that names the most the machine allows. `embedded`: the server's side of each connection is here, too.
    """
    needed = concurrency * (2 if embedded else 1) + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"limits.concurrency: found {concurrency}, but this process may open {hard} files at most (ulimit -Hn);"
            f" allowed: {max(1, (hard - OTHER_DESCRIPTORS) // (2 if embedded else 1))}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def check_ray(config: Config, *, find: Callable[[str], object] = find_spec) -> None:
    """Raise ConfigError if a cluster is to do the work that cannot, or Ray is not installed. Does not import it."""
    if config.engine.kind != "ray":
        return
    if find("ray") is None:
        raise ConfigError(f"engine.kind: ray is not installed: {missing_extra('ray')}")
    if "://" in config.engine.address:
        raise ConfigError(
            f"engine.address: found {config.engine.address}, allowed: auto, or the head's host:6379; run rowcall on a machine of"
            " the cluster, with `ray job submit` if need be: it cannot hold workers through Ray Client"
        )


def tell_of_memory(concurrency: int, most_held: int, notice: Callable[[str], None], *, memory: int | None = None) -> None:
    """Warn if `most_held` bytes of requests in flight, all answered at full length, would not fit.

    `memory` is in bytes; None: what this machine has.
    """
    memory = memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    worst = most_held + concurrency * MOST_BODY_BYTES
    if worst > memory:
        notice(
            f"limits.concurrency: {concurrency:,} requests at once could take {worst / 1e9:,.1f} GB at worst, if every reply is"
            f" as long as is read ({MOST_BODY_BYTES // 2**20} MB); this machine has {memory / 1e9:,.1f} GB"
        )


def tell_of_proxies(proxy: str | None, environment: Mapping[str, str], notice: Callable[[str], None]) -> None:
    """Say once that a proxy in the environment is not used: requests carry a key, so their way is the config's to say."""
    found = next((name for name in _PROXIES if environment.get(name)), None)
    if found is not None and proxy is None:
        notice(f"{found} is set and not used; requests go straight to the endpoint (endpoint.proxy would change that)")
