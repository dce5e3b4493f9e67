"""Load the configuration as one frozen tree, or report everything that is wrong with it at once.

Precedence: environment, then `.env`, then `config.json`, then defaults.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from common.environment import home_directory, read_environment
from common.settings import (
    EXTRA_VARIABLES,
    SECTIONS,
    ClusterSettings,
    GatewaySettings,
    MasterSettings,
    SettingEntry,
    WorkerSettings,
    all_settings,
)

_NODE_KEYS = ("ip", "port", "zone", "data_dir")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
MIN_SECRET_LENGTH = 16
_SECRET_RULE = f"at least {MIN_SECRET_LENGTH} printable ASCII characters, without a space at either end"


@dataclass(frozen=True)
class Node:
    """A master or a worker, as the others reach it."""

    node_id: str
    ip: str
    port: int
    zone: str = ""
    data_dir: str = ""
    is_secure: bool = False
    """Whether it speaks TLS."""

    @property
    def url(self) -> str:
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{'https' if self.is_secure else 'http'}://{host}:{self.port}"


DEFAULT_MASTERS = {f"master_{n}": Node(f"master_{n}", "127.0.0.1", 5099 + n) for n in (1, 2, 3)}
DEFAULT_WORKERS = {f"worker_{n}": Node(f"worker_{n}", "127.0.0.1", 5000 + n) for n in (1, 2, 3, 4, 5)}


@dataclass(frozen=True)
class Config:
    """The whole configuration."""

    home: Path
    masters: Mapping[str, Node]
    workers: Mapping[str, Node]
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    master: MasterSettings = field(default_factory=MasterSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)

    def master_urls(self) -> dict[str, str]:
        return {name: node.url for name, node in self.masters.items()}

    def gateway_url(self) -> str:
        return Node("gateway", self.gateway.ip, self.gateway.port, is_secure=bool(self.gateway.tls_certificate)).url

    def data_dir(self, worker_id: str) -> Path:
        """The folder of a worker's chunks: its own setting, else below the section's, else under its own folder."""
        parent = f"{self.worker.data_dir}/{worker_id}" if self.worker.data_dir else f"storage/{worker_id}/data"
        return self.home / (self.workers[worker_id].data_dir or parent)

    def log_dir(self, node_id: str) -> Path:
        return self.home / (self.cluster.log_dir or "logs") / node_id

    def sqlite_path(self) -> Path:
        return self.home / self.master.sqlite_path


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it stands, the rule, and the value that breaks it."""

    source: str
    key: str
    rule: str
    value: str

    def __str__(self) -> str:
        return f"{self.source}: {self.key}: {self.rule}" + (f", not {self.value}" if self.value else "")


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load_config(home: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Read and check everything; raises ConfigError with all problems found. environment: else this process's."""
    home = home or home_directory(environment)
    try:
        variables = read_environment(home, environment)
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(".env", "(file)", f"must be readable UTF-8 text: {error}", "")]) from error
    return _Loader(home, _read_file(home / "config.json"), variables).load()


def _read_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError([Problem("config.json", "(file)", f"must be readable JSON: {error}", "")]) from error
    if not isinstance(tree, dict):
        raise ConfigError([Problem("config.json", "(file)", "must be a JSON object", type(tree).__name__)])
    return tree


class _Loader:
    """Collects values and problems while walking the sources once."""

    def __init__(self, home: Path, tree: dict[str, Any], environment: Mapping[str, tuple[str, str]]) -> None:
        self._home = home
        self._tree = tree
        self._environment = environment
        self._problems: list[Problem] = []

    def load(self) -> Config:
        self._report_unknown_names()
        sections = {section: self._load_section(section) for section in SECTIONS}
        is_secure = bool(sections["cluster"].tls_certificate)
        config = Config(
            home=self._home,
            masters=_secured(self._load_nodes("masters", "DFS_MASTERS", DEFAULT_MASTERS), is_secure),
            workers=_secured(self._load_nodes("workers", "DFS_WORKERS", DEFAULT_WORKERS), is_secure),
            **sections,
        )
        self._check_secret(config.cluster.secret)
        if not self._problems:
            self._check_together(config)
        if self._problems:
            raise ConfigError(self._problems)
        return config

    def _load_section(self, section: str) -> Any:
        raw = self._tree.get(section, {})
        if not isinstance(raw, dict):
            self._report("config.json", section, "must be an object", raw)
            raw = {}
        values = {}
        for entry in all_settings():
            if entry.section != section:
                continue
            if entry.variable in self._environment:
                text, source = self._environment[entry.variable]
                values[entry.name] = self._convert(entry, source, entry.variable, text)
            elif entry.name in raw and entry.rule.is_file_key:
                values[entry.name] = self._convert(entry, "config.json", entry.key, raw[entry.name])
        return SECTIONS[section](**{name: value for name, value in values.items() if value is not None})

    def _convert(self, entry: SettingEntry, source: str, key: str, raw: Any) -> Any:
        """The typed value, or None with the problem noted."""
        value = _parse(raw, type(entry.default))
        shown = "<hidden>" if entry.rule.is_secret else raw
        rule = entry.rule
        if value is None:
            return self._report(source, key, f"must be {_TYPE_NAMES[type(entry.default)]}", shown)
        if rule.choices and value not in rule.choices:
            return self._report(source, key, f"must be one of {', '.join(rule.choices)}", shown)
        if rule.minimum is not None and value < rule.minimum:
            return self._report(source, key, f"must be at least {rule.minimum:g}", shown)
        if rule.maximum is not None and value > rule.maximum:
            return self._report(source, key, f"must be at most {rule.maximum:g}", shown)
        if rule.multiple_of and value % rule.multiple_of:
            return self._report(source, key, f"must be a multiple of {rule.multiple_of}", shown)
        return value

    def _load_nodes(self, section: str, variable: str, defaults: Mapping[str, Node]) -> Mapping[str, Node]:
        if variable in self._environment:
            text, source = self._environment[variable]
            return self._nodes_from_text(source, variable, text)
        if section not in self._tree:
            return defaults
        raw = self._tree[section]
        if not isinstance(raw, dict) or not raw:
            self._report("config.json", section, 'must be an object {"name": {"ip": ..., "port": ...}}', raw)
            return defaults
        nodes = {name: self._node("config.json", f"{section}.{name}", name, value) for name, value in raw.items()}
        return {name: node for name, node in nodes.items() if node is not None}

    def _nodes_from_text(self, source: str, variable: str, text: str) -> dict[str, Node]:
        nodes = {}
        for item in text.split(","):
            name, _, address = item.strip().partition("=")
            ip, _, port = address.rpartition(":")
            number = _parse(port, int)
            described = {"ip": ip.strip("[]"), "port": port if number is None else number}
            node = self._node(source, f"{variable}.{name}", name, described)
            if name in nodes:
                self._report(source, f"{variable}.{name}", "must be listed once", item.strip())
            if node is not None:
                nodes[name] = node
        return nodes

    def _node(self, source: str, key: str, name: str, raw: Any) -> Node | None:
        if not _NAME.fullmatch(name):
            self._report(source, key, "a node's name must be letters, digits, '_', '-' or '.'", name)
            return None
        if not isinstance(raw, dict):
            self._report(source, key, 'must be an object {"ip": ..., "port": ...}', raw)
            return None
        for unknown in sorted(set(raw) - set(_NODE_KEYS)):
            self._report_unknown(source, f"{key}.{unknown}", unknown, _NODE_KEYS)
        ip, port = raw.get("ip"), raw.get("port")
        if not isinstance(ip, str) or not ip:
            self._report(source, f"{key}.ip", "must be an address or a host name", ip)
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            self._report(source, f"{key}.port", "must be a whole number from 1 to 65535", port)
        for text_key in ("zone", "data_dir"):
            if not isinstance(raw.get(text_key, ""), str):
                self._report(source, f"{key}.{text_key}", "must be text", raw[text_key])
        return Node(
            name, str(ip), port if isinstance(port, int) else 0, str(raw.get("zone", "")), str(raw.get("data_dir", ""))
        )

    def _check_secret(self, secret: str) -> None:
        if not _is_good_secret(secret):
            rule = (
                f"must be set to {_SECRET_RULE}, the same on every host"
                " (the run script makes one; by hand: python3 -c 'import secrets; print(secrets.token_hex(32))')"
            )
            self._problems.append(Problem(".env", "DFS_CLUSTER_SECRET", rule, ""))

    def _check_together(self, config: Config) -> None:
        """Rules that involve more than one value."""
        cluster, gateway, master = config.cluster, config.gateway, config.master
        quorum, factor, workers = cluster.write_quorum, cluster.replication_factor, len(config.workers)
        window, heartbeat = gateway.window_chunks, config.worker.heartbeat_seconds
        suspect, dead = master.suspect_seconds, master.dead_seconds
        rules: tuple[tuple[bool, str, str, Any], ...] = (
            (quorum <= factor, "cluster.write_quorum", "must not exceed cluster.replication_factor", quorum),
            (factor <= workers, "cluster.replication_factor", "must not exceed the number of workers", factor),
            (
                window <= gateway.buffer_count // 2,
                "gateway.window_chunks",
                "must be at most half of gateway.buffer_count",
                window,
            ),
            (heartbeat < suspect, "worker.heartbeat_seconds", "must be below master.suspect_seconds", heartbeat),
            (dead >= suspect, "master.dead_seconds", "must be at least master.suspect_seconds", dead),
        )
        for is_kept, key, rule, value in rules:
            if not is_kept:
                self._report("configuration", key, rule, value)
        self._check_secrets(config)
        self._check_tls("cluster", cluster.tls_certificate, cluster.tls_key, cluster.tls_ca)
        self._check_tls("gateway", gateway.tls_certificate, gateway.tls_key)
        self._check_addresses(config)
        self._check_folders(config)

    def _check_secrets(self, config: Config) -> None:
        """Those that may be left out; where they are set, they must be good ones."""
        secrets = {
            "DFS_GATEWAY_API_KEY": config.gateway.api_key,
            "DFS_CLUSTER_SECRET_PREVIOUS": config.cluster.secret_previous,
            "DFS_METRICS_TOKEN": config.cluster.metrics_token,
        }
        for variable, secret in secrets.items():
            if secret and not _is_good_secret(secret):
                self._problems.append(Problem("configuration", variable, f"must be {_SECRET_RULE}", ""))

    def _check_tls(self, section: str, certificate: str, key: str, ca: str = "") -> None:
        """A certificate and its key go together, and a CA means nothing without them."""
        if certificate and not key:
            self._report("configuration", f"{section}.tls_key", f"must be set where {section}.tls_certificate is", key)
        if not certificate and (key or ca):
            rule = f"must be set where {section}.tls_key or {section}.tls_ca is"
            self._report("configuration", f"{section}.tls_certificate", rule, certificate)

    def _check_addresses(self, config: Config) -> None:
        taken: dict[tuple[str, int], str] = {}
        nodes = [(f"masters.{n.node_id}", n) for n in config.masters.values()] + [
            (f"workers.{n.node_id}", n) for n in config.workers.values()
        ]
        nodes.append(("gateway", Node("gateway", config.gateway.ip, config.gateway.port)))
        for key, node in nodes:
            other = taken.setdefault((node.ip, node.port), key)
            if other != key:
                self._report("configuration", f"{key}.port", f"must differ from that of {other}", node.port)

    def _check_folders(self, config: Config) -> None:
        """Workers of one host must not share a folder: three replicas would be one file."""
        taken: dict[tuple[str, Path], str] = {}
        for node in config.workers.values():
            folder = config.data_dir(node.node_id).resolve()
            other = taken.setdefault((node.ip, folder), node.node_id)
            if other != node.node_id:
                self._report(
                    "configuration", f"workers.{node.node_id}.data_dir", f"must differ from {other}'s", str(folder)
                )

    def _report_unknown_names(self) -> None:
        top_level = ("masters", "workers", *SECTIONS)
        for name in sorted(set(self._tree) - set(top_level)):
            self._report_unknown("config.json", name, name, top_level)
        for section in SECTIONS:
            known = [entry.name for entry in all_settings() if entry.section == section and entry.rule.is_file_key]
            secrets = {e.name: e.variable for e in all_settings() if e.section == section and not e.rule.is_file_key}
            raw = self._tree.get(section, {})
            for name in sorted(set(raw) - set(known)) if isinstance(raw, dict) else ():
                if name in secrets:
                    rule = f"must not stand in config.json; set {secrets[name]} in .env"
                    self._problems.append(Problem("config.json", f"{section}.{name}", rule, ""))
                else:
                    self._report_unknown("config.json", f"{section}.{name}", name, known)
        variables = [entry.variable for entry in all_settings()] + list(EXTRA_VARIABLES)
        for name, (_, source) in sorted(self._environment.items()):
            if name.startswith("DFS_") and not name.startswith("DFS_TEST_") and name not in variables:
                self._report_unknown(source, name, name, variables)

    def _report_unknown(self, source: str, key: str, name: str, known: Iterable[str]) -> None:
        close = difflib.get_close_matches(name, list(known), n=1)
        self._problems.append(
            Problem(source, key, "is not a setting" + (f"; did you mean {close[0]}?" if close else ""), "")
        )

    def _report(self, source: str, key: str, rule: str, value: Any) -> None:
        self._problems.append(Problem(source, key, rule, repr(value)))


_TYPE_NAMES: dict[type, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _secured(nodes: Mapping[str, Node], is_secure: bool) -> Mapping[str, Node]:
    return {name: replace(node, is_secure=True) for name, node in nodes.items()} if is_secure else nodes


def _is_good_secret(secret: str) -> bool:
    return len(secret) >= MIN_SECRET_LENGTH and secret.isascii() and secret.isprintable() and secret == secret.strip()


def _parse(raw: Any, kind: type) -> Any:
    """`raw` (JSON value or text of a variable) as `kind`, or None where it is not one."""
    if kind is str:
        return raw if isinstance(raw, str) else None
    if kind is bool:
        text = str(raw).lower()
        return True if text in _TRUE else False if text in _FALSE else None
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        return None
    try:
        value = float(raw)
        if kind is float:
            return value if value == value and abs(value) != float("inf") else None
        return int(raw) if isinstance(raw, (str, int)) else int(value) if value == int(value) else None
    except (ValueError, OverflowError):
        return None
