"""What a system under test must offer: to be started in a folder, its addresses, its processes, its files on disk."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from benchmarks.disk import drop_from_cache

HOST = "127.0.0.1"


class SystemFailed(Exception):
    """A system under test cannot be started or does not do what it must; the message is for the user."""


class System(Protocol):
    """Stores files over HTTP: PUT, GET (with Range) and DELETE of `prefix` + name on one port of 127.0.0.1.

    delete_suffix: what makes a DELETE free the space. form_path: where a form is posted; empty: no forms.
    front: the service that clients talk to.
    notes: what a reader must know of how it was set up.
    """

    name: str
    port: int
    prefix: str
    delete_suffix: str
    form_path: str
    front: str
    replicas: int
    notes: tuple[str, ...]

    def start(self) -> None:
        """Returns when it serves. Raises SystemFailed, with nothing left running."""

    def stop(self) -> None:
        """End exactly what was started; safe to call twice."""

    def services(self) -> Mapping[str, int]:
        """Each service's name and its process."""

    def stored_files(self) -> Iterable[Path]:
        """The files on disk that hold what was stored."""

    def memory_bound_bytes(self) -> int | None:
        """The most memory that the service in front says at its start it will use; None: it says nothing."""

    def without_checksums(self) -> contextlib.AbstractContextManager[System | None]:
        """The same system making no checksums of whole files, for as long as the block; None: it has no such choice."""


def stored_bytes(system: System) -> int:
    """How much lies on its disks; files that vanish meanwhile do not count."""
    total = 0
    for path in system.stored_files():
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def drop_caches(system: System) -> None:
    """Let the next read come from the disk."""
    for path in system.stored_files():
        with contextlib.suppress(FileNotFoundError):
            drop_from_cache(path)


def wait_until_freed(system: System, at_most_bytes: int, seconds: float = 120.0) -> None:
    """Wait until deleted files have left the disk. Raises SystemFailed."""
    give_up_at = time.monotonic() + seconds
    while (present := stored_bytes(system)) > at_most_bytes:
        if time.monotonic() > give_up_at:
            raise SystemFailed(
                f"{system.name} still keeps {present:,} bytes {seconds:g} s after everything was deleted"
            )
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, below those that the system gives to outgoing connections."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(12000, 32000)
        if port in found:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            found.append(port)
    return found
