"""Which network addresses belong to this machine."""

from __future__ import annotations

import functools
import ipaddress
import socket
from urllib.parse import urlsplit


# Asked for every request, nearly always for the same few.
@functools.lru_cache(maxsize=256)
def is_loopback(address: str) -> bool:
    """Whether only this machine itself can be at this address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def is_own_address(address: str) -> bool:
    """Whether the address is one of this machine's: loopback, or one that a socket can be bound to here.

    Not for deciding who may come in: some hosts are set to bind any address (net.ipv4.ip_nonlocal_bind).
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if is_loopback(address):
        return True
    if parsed.is_unspecified or parsed.is_multicast:
        return False
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(parsed), 0))
        except OSError:
            return False
    return True


def is_own_name(host: str) -> bool:
    """Whether a Host header names this machine by what no stranger can give to it: an address, localhost, its name.

    A page of another site can give its own name this machine's address (DNS rebinding).
    """
    name, is_address = _parse_host(host)
    return is_address or name == "localhost" or name.endswith(".localhost") or name == socket.gethostname().lower()


@functools.lru_cache(maxsize=256)
def _parse_host(host: str) -> tuple[str, bool]:
    """The name in a Host header, without its port, and whether it is an address; "" for what is none."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return "", False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name, False
    return name, True
