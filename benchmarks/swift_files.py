"""What Swift reads: configuration files and rings in a folder of ours. It starts nothing but swift-ring-builder."""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.systems import HOST, SystemFailed

DEVICES = tuple(f"device{number}" for number in (1, 2, 3, 4, 5))
REPLICAS = 3
PART_POWER = 8


@dataclass(frozen=True)
class Ports:
    """objects: one for each device."""

    proxy: int
    account: int
    container: int
    memcached: int
    objects: tuple[int, ...]


@dataclass(frozen=True)
class Server:
    """One server process: its name, its configuration file, and the section of it that it runs."""

    name: str
    configuration: Path
    section: str


_SWIFT_CONF = """[swift-hash]
swift_hash_path_suffix = {suffix}
swift_hash_path_prefix = {prefix}

[storage-policy:0]
name = default
default = yes
"""

_COMMON = """[DEFAULT]
bind_ip = {host}
bind_port = {port}
user = {user}
swift_dir = {etc}
log_level = ERROR
log_address = {log}
"""

_PROXY = """workers = auto

[pipeline:main]
pipeline = catch_errors cache proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 60
conn_timeout = 10

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:cache]
use = egg:swift#memcache
memcache_servers = {host}:{memcached}
"""

# workers = 0: the server itself serves, without a second process.
_STORAGE = """devices = {devices}
mount_check = false
workers = 0

[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
log_requests = false
{extra}
"""


def write_configuration(home: Path, ports: Ports) -> None:
    """Make the folder ready for the servers. Raises SystemFailed when the rings cannot be made."""
    etc = home / "etc"
    etc.mkdir(parents=True)
    for device in DEVICES:
        (home / "devices" / device).mkdir(parents=True)
    hashes = {"suffix": secrets.token_hex(8), "prefix": secrets.token_hex(8)}
    (etc / "swift.conf").write_text(_SWIFT_CONF.format(**hashes))
    (etc / "proxy.conf").write_text(_common(home, ports.proxy) + _PROXY.format(host=HOST, memcached=ports.memcached))
    for server, port in _storage_servers(home, ports):
        server.configuration.write_text(_common(home, port) + _storage(home, server.section.removesuffix("-server")))
    _build_ring(etc, "account", [ports.account] * len(DEVICES))
    _build_ring(etc, "container", [ports.container] * len(DEVICES))
    _build_ring(etc, "object", list(ports.objects))


def servers(home: Path, ports: Ports) -> Iterator[Server]:
    """In the order in which they are started."""
    for server, _ in _storage_servers(home, ports):
        yield server
    yield Server("proxy", home / "etc" / "proxy.conf", "proxy-server")


def _storage_servers(home: Path, ports: Ports) -> Iterator[tuple[Server, int]]:
    etc = home / "etc"
    yield Server("account", etc / "account.conf", "account-server"), ports.account
    yield Server("container", etc / "container.conf", "container-server"), ports.container
    for number, port in enumerate(ports.objects, 1):
        yield Server(f"object_{number}", etc / f"object-{number}.conf", "object-server"), port


def _common(home: Path, port: int) -> str:
    user = pwd.getpwuid(os.geteuid()).pw_name
    # No such socket: what would go to the system's log goes nowhere.
    return _COMMON.format(host=HOST, port=port, user=user, etc=home / "etc", log=home / "no-log")


def _storage(home: Path, kind: str) -> str:
    extra = f"keep_cache_size = {1 << 40}" if kind == "object" else ""
    return _STORAGE.format(devices=home / "devices", kind=kind, extra=extra)


def _build_ring(etc: Path, kind: str, ports: list[int]) -> None:
    builder = str(etc / f"{kind}.builder")
    _ring_builder(builder, "create", str(PART_POWER), str(REPLICAS), "1")
    for number, (device, port) in enumerate(zip(DEVICES, ports, strict=True), 1):
        # Every device a zone of its own: the three replicas of an object are on three of them.
        _ring_builder(builder, "add", f"r1z{number}-{HOST}:{port}/{device}", "100")
    _ring_builder(builder, "rebalance")


def _ring_builder(*arguments: str) -> None:
    done = subprocess.run(["swift-ring-builder", *arguments], capture_output=True, text=True)
    # 1 is a warning, for example that the balance is not perfect.
    if done.returncode not in (0, 1):
        raise SystemFailed(f"swift-ring-builder {' '.join(arguments)}: {done.stdout[-500:]}{done.stderr[-500:]}")
