"""Which addresses a picture may be fetched from: public ones, and no other. And which spellings of a host are believed.

Addresses in the data are anybody's. What answers on a loopback, private or link-local address (a database, a router, a cloud's
metadata service) answers because it trusts who asks.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.core.redact import harmless

PORTS = frozenset({80, 443})
MOST_HOST_CHARS = 100
# What is not for everybody, by name and not by `is_global`: that one calls multicast global, and differs between Pythons.
_NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(each)
    for each in (
        "0.0.0.0/8",  # this network; Linux takes it for loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind carrier NAT; clouds keep services there
        "127.0.0.0/8",
        "168.63.129.16/32",  # public by number, and Azure's own service on every virtual machine
        "169.254.0.0/16",  # link-local, metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Only this is given out to the public. Outside it lie loopback, local, multicast, ::a.b.c.d, ::ffff:0:a.b.c.d and 64:ff9b::/96.
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    ipaddress.IPv6Network(each)
    for each in (
        "2001::/23",  # protocols, Teredo among them, which holds an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 holds one, too
        "3fff::/20",  # documentation
    )
)
# What the last label of a name cannot be: resolvers read 0x7f.1, 0177.1 and 2130706433 as numbers.
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?", re.IGNORECASE | re.ASCII)


def is_public(address: str) -> bool:
    """Tell whether an IP address, as numbers, is one that everybody can reach. False for what is no address."""
    try:
        it = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(it, ipaddress.IPv6Address):
        if it.ipv4_mapped is None:
            return it.scope_id is None and it in _PUBLIC_6 and not any(it in each for each in _NOT_PUBLIC_6)
        it = it.ipv4_mapped  # the system connects to that
    return not any(it in each for each in _NOT_PUBLIC_4)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads, taken apart by whoever will follow it. `host` is in ASCII, without brackets."""

    scheme: str
    host: str | None
    port: int | None
    has_login: bool = False


def objection(target: Target, *, ports: frozenset[int] = PORTS) -> str | None:
    """Say why a URL is not followed, None if it may be. Of addresses only the spelling is judged; see `is_public`."""
    if target.scheme not in ("http", "https"):
        return "only http and https are fetched"
    if not target.host:
        return "the URL names no host"
    if target.has_login:
        return "the URL holds a user name or password, and none is sent"
    if target.port not in ports:
        return f"only the ports {' and '.join(map(str, sorted(ports)))} are fetched from"
    return _odd(target.host)


def _odd(host: str) -> str | None:
    """Say what is wrong with a host that is neither a plain name nor an address in its one usual spelling."""
    if ":" in host:
        return None if "%" not in host and _is_address(host) else "the host is no address that can be reached"
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return None if _is_address(host) else "the host is an address in an odd spelling"
    return None if _NAME.fullmatch(host) else "the host is no name that can be looked up"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def shown(url: str) -> str:
    """Give what may be told of a URL: scheme and host. Paths and queries hold people's tokens."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "the URL"
    return f"{harmless(parts.scheme, 10)}://{harmless(host, MOST_HOST_CHARS)}/…"
