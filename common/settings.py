"""Every setting of the system: name, default, unit, rule and meaning, in one place.

A field `name` of section `gateway` is `"gateway": {"name": ...}` in config.json and `DFS_GATEWAY_NAME` in the
environment, unless the field names its variable. `python3 -m common.settings` prints `.env.example`, which a test
compares with the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from common.checksums import BLOCK_SIZE_BYTES

MIB = 1024 * 1024
MAX_REPLICATION_FACTOR = 16


@dataclass(frozen=True)
class Rule:
    """What a value must satisfy, and how it is explained to people."""

    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    multiple_of: int | None = None
    variable: str = ""
    is_secret: bool = False
    is_file_key: bool = True


def setting(default: Any, meaning: str, **rule: Any) -> Any:
    """A dataclass field that carries its rule; a secret one does not show in a repr."""
    return field(default=default, repr=not rule.get("is_secret", False), metadata={"rule": Rule(meaning, **rule)})


@dataclass(frozen=True)
class ClusterSettings:
    """What all services share."""

    secret: str = setting(
        "",
        "the cluster's secret, at least 16 characters; the run script makes a random one",
        variable="DFS_CLUSTER_SECRET",
        is_secret=True,
        is_file_key=False,
    )
    secret_previous: str = setting(
        "",
        "the secret before, accepted besides while the services are restarted with a new one",
        variable="DFS_CLUSTER_SECRET_PREVIOUS",
        is_secret=True,
        is_file_key=False,
    )
    mongo_uri: str = setting(
        "",
        "MongoDB for the masters' metadata; empty: SQLite under databases/",
        variable="MONGO_URI",
        is_secret=True,
    )
    mongo_database: str = setting("dfs", "name of the MongoDB database", variable="MONGO_DATABASE")
    metrics_token: str = setting(
        "",
        "bearer token with which /metrics may be read; empty: masters and workers show it to their own machine only",
        variable="DFS_METRICS_TOKEN",
        is_secret=True,
        is_file_key=False,
    )
    chunk_size_bytes: int = setting(
        4 * MIB,
        "size of a chunk; for new versions only",
        minimum=BLOCK_SIZE_BYTES,
        maximum=64 * MIB,
        multiple_of=BLOCK_SIZE_BYTES,
    )
    replication_factor: int = setting(3, "replicas of every chunk", minimum=1, maximum=MAX_REPLICATION_FACTOR)
    write_quorum: int = setting(
        2, "replicas that must be on disk before a write is acknowledged", minimum=1, maximum=16
    )
    listen_address: str = setting(
        "0.0.0.0",  # noqa: S104 - internal routes need the cluster's secret, the gateway has its own rule
        "address that every service listens on",
        variable="DFS_LISTEN_ADDRESS",
    )
    server: str = setting(
        "auto",
        "what runs the server loop; auto: gunicorn, on Windows standalone",
        choices=("auto", "gunicorn", "standalone"),
        variable="DFS_SERVER",
    )
    tls_certificate: str = setting(
        "", "certificate of this host's masters and workers (PEM, relative to DFS_HOME); empty: no TLS between services"
    )
    tls_key: str = setting("", "its private key (PEM)")
    tls_ca: str = setting(
        "",
        "certificates (PEM) that those of the other services must come from, as client and as server (mutual TLS);"
        " empty: servers must be trusted by the system, clients need no certificate",
    )
    silence_seconds: float = setting(
        60.0, "a client that neither sends nor takes anything for this long is cut off", minimum=1.0
    )
    head_seconds: float = setting(
        30.0, "time in which the head of a request must have come, and TLS be agreed on", minimum=0.1, maximum=3600.0
    )
    least_bytes_per_second: int = setting(
        128,
        "a client that, waited for, sends or takes less over silence_seconds is cut off; 0: silence alone counts",
        minimum=0,
        maximum=2**30,
    )
    log_level: str = setting(
        "INFO", "least level that is logged", choices=("DEBUG", "INFO", "WARNING", "ERROR"), variable="DFS_LOG_LEVEL"
    )
    log_dir: str = setting(
        "", "folder below which each node has its own for its logs; empty: logs/ under DFS_HOME", variable="DFS_LOG_DIR"
    )
    log_max_bytes: int = setting(
        10 * MIB, "size at which a log file is rotated", minimum=4096, variable="DFS_LOG_MAX_BYTES"
    )
    log_backups: int = setting(
        5, "rotated log files that are kept", minimum=1, maximum=1000, variable="DFS_LOG_BACKUPS"
    )


@dataclass(frozen=True)
class GatewaySettings:
    """The API gateway."""

    ip: str = setting("127.0.0.1", "address at which others reach the gateway")
    port: int = setting(5000, "port", minimum=1, maximum=65535)
    api_key: str = setting(
        "",
        "the operator's own key, with all rights; without it and without any other, only this machine is served",
        is_secret=True,
        is_file_key=False,
    )
    tls_certificate: str = setting(
        "", "the gateway's certificate (PEM, relative to DFS_HOME), with which it speaks TLS; empty: plain HTTP"
    )
    tls_key: str = setting("", "its private key (PEM)")
    max_connections: int = setting(
        1024, "connections served at once, each by a thread; more wait, then get 503", minimum=8, maximum=20000
    )
    max_uploads: int = setting(
        768,
        "requests with files received at once; more wait for gateway.buffer_wait_seconds, then get 503",
        minimum=1,
        maximum=20000,
    )
    file_checksum: str = setting(
        "sha256",
        "checksum of every whole file, made while it is received; none: uploads cost less, and that of a file is made"
        " when somebody asks for it",
        choices=("sha256", "none"),
    )
    max_archives: int = setting(
        4,
        "ZIP archives made at once; more wait for gateway.buffer_wait_seconds, then get 503",
        minimum=1,
        maximum=1000,
    )
    max_file_bytes: int = setting(
        0, "size of the largest file; a larger one gets 413; 0: as large as there is room", minimum=0, maximum=2**60
    )
    buffer_count: int = setting(
        32, "chunk buffers of all transfers together; bounds the gateway's memory", minimum=4, maximum=4096
    )
    small_chunk_bytes: int = setting(
        32 * MIB, "memory for chunks of up to 32 KiB that were read lately; 0: none is kept", minimum=0, maximum=2**40
    )
    window_chunks: int = setting(4, "chunks of one transfer under way at once", minimum=1, maximum=64)
    buffer_wait_seconds: float = setting(
        30.0, "how long a transfer waits for a buffer before it is answered 503", minimum=0.1
    )
    worker_timeout_seconds: float = setting(10.0, "silence after which a worker's call is given up", minimum=0.1)
    straggler_seconds: float = setting(
        0.5, "how long replicas that are late may go on once their write is acknowledged", minimum=0.0
    )
    avoid_seconds: float = setting(10.0, "how long a worker that failed a call is asked last", minimum=0.0)
    master_deadline_seconds: float = setting(15.0, "time in which some master must answer", minimum=0.5)
    master_timeout_seconds: float = setting(3.0, "silence after which the next master is asked", minimum=0.1)
    drain_seconds: float = setting(
        120.0,
        "how long transfers may go on in a gateway process that another one replaces under systemd",
        minimum=0.0,
        maximum=3500.0,
    )
    max_files_per_request: int = setting(100, "files in one form", minimum=1, maximum=10000)
    key_cache_seconds: float = setting(5.0, "how long a revoked key may still be taken", minimum=0.0, maximum=3600.0)
    session_seconds: int = setting(43200, "how long a sign-in in a browser counts", minimum=60, maximum=31536000)
    max_link_seconds: int = setting(604800, "longest life of a presigned link", minimum=1, maximum=31536000)
    failed_sign_ins_per_minute: int = setting(
        30, "wrong keys that one address may show before it is answered 429", minimum=1, maximum=1000000
    )
    cors_origins: str = setting(
        "",
        "other origins whose pages may use /uploads with an API key, such as https://app.example, separated by commas;"
        " *: any",
    )
    audit_reads: bool = setting(True, "whether audit.log has reads, too, and not only changes and refusals")


@dataclass(frozen=True)
class MasterSettings:
    """The masters."""

    max_connections: int = setting(
        512, "connections served at once, each by a thread; more wait, then get 503", minimum=8, maximum=20000
    )
    lease_seconds: float = setting(3.0, "a leader that has not renewed for this long may be replaced", minimum=0.2)
    suspect_seconds: float = setting(6.0, "silence after which a worker is asked last", minimum=0.1)
    dead_seconds: float = setting(15.0, "silence after which a worker counts as dead", minimum=0.2)
    repair_grace_seconds: float = setting(
        30.0, "how long a dead worker may come back before its replicas are made again elsewhere", minimum=0.0
    )
    maintenance_seconds: float = setting(
        1800.0, "how long a worker that was stopped on purpose may be away before it counts as dead", minimum=0.0
    )
    repair_bytes_per_second: int = setting(
        256 * MIB, "most that repair and draining copy in the whole cluster", minimum=MIB, maximum=2**40
    )
    rebalance_bytes_per_second: int = setting(
        32 * MIB, "most that rebalancing copies in the whole cluster; 0: no rebalancing", minimum=0, maximum=2**40
    )
    copies_per_worker: int = setting(
        2, "copies that one worker sends, and that it receives, at once", minimum=1, maximum=64
    )
    inventory_seconds: float = setting(
        21600.0, "how often what a worker holds is compared with the records, besides after its starts", minimum=1.0
    )
    orphan_grace_seconds: float = setting(
        3600.0, "age from which a chunk file that no record names is put into quarantine", minimum=0.0
    )
    trash_retention_seconds: float = setting(
        86400.0, "how long deleted files and old versions can be restored", minimum=0.0
    )
    upload_idle_seconds: float = setting(
        3600.0, "an open upload without progress for this long is collected", minimum=1.0
    )
    resumable_idle_seconds: float = setting(
        86400.0,
        "a resumable upload without progress for this long is collected, and one that is done is forgotten",
        minimum=1.0,
    )
    max_versions: int = setting(
        100, "old versions kept per file; older ones are freed before their time", minimum=1, maximum=1000
    )
    job_interval_seconds: float = setting(1.0, "pause between two looks for background work", minimum=0.01)
    sqlite_path: str = setting("databases/metadata.sqlite3", "the embedded database, relative to DFS_HOME")


@dataclass(frozen=True)
class WorkerSettings:
    """The workers."""

    max_connections: int = setting(
        512, "connections served at once, each by a thread; more wait, then get 503", minimum=8, maximum=20000
    )
    data_dir: str = setting("", "folder below which each worker has its own; empty: storage/<worker_id>/data")
    reserve_bytes: int = setting(512 * MIB, "free space that is never used; at it the worker answers 507", minimum=0)
    capacity_bytes: int = setting(0, "most bytes of chunks to keep; 0: what the disk has", minimum=0)
    heartbeat_seconds: float = setting(2.0, "pause between two heartbeats", minimum=0.05)
    window_count: int = setting(
        16,
        "chunks written at once, each through a buffer of 1 MiB; bounds the worker's memory",
        minimum=1,
        maximum=1024,
    )
    scrub_period_seconds: float = setting(604800.0, "time in which every chunk is re-read and verified", minimum=1.0)
    scrub_bytes_per_second: int = setting(
        64 * MIB,
        "most that the scrub reads, also where its period asks for more; 0: no scrub",
        minimum=0,
        maximum=2**40,
    )
    quarantine_seconds: float = setting(
        86400.0, "how long damaged and unknown chunk files are kept in quarantine before they are freed", minimum=0.0
    )
    direct_io: bool = setting(True, "whether large chunks are written past the page cache, where the disk allows it")
    fsync: bool = setting(True, "whether a chunk is on the disk, not only in its cache, before it is acknowledged")


SECTIONS: dict[str, type] = {
    "cluster": ClusterSettings,
    "gateway": GatewaySettings,
    "master": MasterSettings,
    "worker": WorkerSettings,
}


@dataclass(frozen=True)
class SettingEntry:
    """One setting with all its names."""

    section: str
    name: str
    variable: str
    default: Any
    rule: Rule

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"


def all_settings() -> Iterator[SettingEntry]:
    """Every setting, section by section."""
    for section, settings_class in SECTIONS.items():
        for item in fields(settings_class):
            if item.default is MISSING:
                raise TypeError(f"{section}.{item.name} has no default")
            rule: Rule = item.metadata["rule"]
            variable = rule.variable or f"DFS_{section}_{item.name}".upper()
            yield SettingEntry(section, item.name, variable, item.default, rule)


# Variables that are not a single setting of a section.
EXTRA_VARIABLES = {
    "DFS_HOME": "folder of config.json, .env, databases/, logs/, storage/; environment only; default: the project's",
    "DFS_MASTERS": "the masters as name=ip:port,...; default: those of config.json",
    "DFS_WORKERS": "the workers as name=ip:port,...; default: those of config.json",
    "DFS_URL": "the gateway that the command line calls; environment only; default: http://127.0.0.1:5000",
    "DFS_KEY": "the key that the command line shows; environment only; default: the text of ~/.config/dfs/key",
    "DFS_CA": "certificates that the command line trusts, a file; environment only; default: the system's",
}


def render_env_example() -> str:
    """The text of `.env.example`."""
    lines = [
        "# Settings of the Distributed File System. Copy to .env and change what you need.",
        "# Precedence: environment, then .env, then config.json, then the default shown here.",
        "# An empty value means the default.",
    ]
    for variable, meaning in EXTRA_VARIABLES.items():
        lines += ["", f"# {meaning}", f"# {variable}="]
    for entry in all_settings():
        lines += ["", f"# {entry.key}: {entry.rule.meaning}", f"{variable_line(entry)}"]
    return "\n".join(lines) + "\n"


def variable_line(entry: SettingEntry) -> str:
    """`NAME=default` as it stands in a `.env` file; commented out so that config.json is not hidden by it."""
    text = str(entry.default).lower() if isinstance(entry.default, bool) else str(entry.default)
    return f"# {entry.variable}={text}"


if __name__ == "__main__":
    print(render_env_example(), end="")
