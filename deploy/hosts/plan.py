"""Which node is on which host, and how each host is reached: config.json, and an inventory for what it does not say.

The inventory is a JSON object, every key of which may be left out:

    {"user": "admin", "port": 22, "identity": "~/.ssh/id_ed25519", "options": ["-o", "ProxyJump=bastion"],
     "python": "python3.11", "environment": "",
     "hosts": {"10.0.2.11": {"address": "the name by which ssh reaches it", "user": ...}}}

A host's own entry goes before what stands outside. environment: a virtual environment that has the packages already
and stands on the host at this path; empty: one is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

GATEWAY, MASTER, WORKER = "gateway", "master", "worker"
SOCKET = "dfs-gateway.socket"
HAND_OVER = "dfs-gateway-handover.service"
# Secrets that one kind of node alone has a use for.
_USED_BY = {"MONGO_URI": MASTER, "DFS_GATEWAY_API_KEY": GATEWAY}


class PlanError(Exception):
    """What stands in config.json or the inventory cannot be deployed."""


@dataclass(frozen=True)
class Access:
    """How a host is reached. address: for ssh; empty: the nodes' own."""

    address: str = ""
    user: str = "root"
    port: int = 22
    identity: str = ""
    options: tuple[str, ...] = ()
    python: str = "python3"
    environment: str = ""


@dataclass(frozen=True)
class Node:
    """One service of the cluster."""

    node_id: str
    kind: str
    port: int

    @property
    def unit(self) -> str:
        """Its systemd unit."""
        return "dfs-gateway.service" if self.kind == GATEWAY else f"dfs-{self.kind}@{self.node_id}.service"

    @property
    def command(self) -> str:
        """What its unit runs, after the interpreter."""
        modules = {GATEWAY: "api_gateway.gateway", MASTER: "master_node.master", WORKER: "storage.worker"}
        return f"-m {modules[self.kind]}" + ("" if self.kind == GATEWAY else f" {self.node_id}")


@dataclass(frozen=True)
class Host:
    """A host with its nodes. ip: as in config.json."""

    ip: str
    nodes: tuple[Node, ...]
    access: Access

    @property
    def address(self) -> str:
        return self.access.address or self.ip


@dataclass(frozen=True)
class Plan:
    """The whole deployment. config: the text of config.json; secrets: lines for `.env`, such as the secret."""

    hosts: tuple[Host, ...]
    config: str
    secrets: str
    listen_address: str = "0.0.0.0"  # noqa: S104 - the default of cluster.listen_address

    def nodes(self, kind: str) -> list[tuple[Host, Node]]:
        """All nodes of one kind, in the order of their hosts."""
        return [(host, node) for host in self.hosts for node in host.nodes if node.kind == kind]

    def secrets_of(self, host: Host) -> str:
        """The lines for the host's `.env`: without what none of its nodes has any use for."""
        kinds = {node.kind for node in host.nodes}
        lines = self.secrets.splitlines(keepends=True)
        return "".join(line for line in lines if _USED_BY.get(_name_of(line)) in (None, *kinds))

    def find(self, node_id: str) -> tuple[Host, Node]:
        return next((host, node) for host in self.hosts for node in host.nodes if node.node_id == node_id)


def read_plan(config_path: Path, inventory_path: Path | None, secrets_path: Path) -> Plan:
    """Read and check the files. Raises PlanError."""
    config = _read_object(config_path)
    inventory = {} if inventory_path is None else _read_object(inventory_path)
    try:
        secrets = "".join(f"{line}\n" for line in secrets_path.read_text().splitlines() if _is_setting(line))
    except OSError as error:
        raise PlanError(f"{secrets_path}: {error.strerror}; it is to hold DFS_CLUSTER_SECRET=...") from error
    plan = Plan(_hosts(config, inventory), config_path.read_text(), secrets)
    plan = replace(plan, listen_address=config.get("cluster", {}).get("listen_address", plan.listen_address))
    _check(plan)
    return plan


def _hosts(config: Mapping[str, Any], inventory: Mapping[str, Any]) -> tuple[Host, ...]:
    common = {name: value for name, value in inventory.items() if name != "hosts"}
    special = inventory.get("hosts", {})
    placed: dict[str, list[Node]] = {}
    try:
        for kind in (MASTER, WORKER):
            for node_id, place in config[f"{kind}s"].items():
                placed.setdefault(place["ip"], []).append(Node(node_id, kind, place["port"]))
        gateway = config["gateway"]
        placed.setdefault(gateway["ip"], []).append(Node(GATEWAY, GATEWAY, gateway.get("port", 5000)))
    except (KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"config.json must say where masters, workers and the gateway are: {error}") from error
    if unknown := sorted(set(special) - set(placed)):
        raise PlanError(f"the inventory names hosts that config.json does not: {', '.join(unknown)}")
    return tuple(
        Host(ip, tuple(nodes), _access({**common, **special.get(ip, {})})) for ip, nodes in sorted(placed.items())
    )


def _access(given: Mapping[str, Any]) -> Access:
    try:
        return Access(**{**given, "options": tuple(given.get("options", ()))})
    except TypeError as error:
        raise PlanError(f"the inventory has an entry that is none: {error}") from error


def _check(plan: Plan) -> None:
    if "DFS_CLUSTER_SECRET=" not in plan.secrets:
        raise PlanError("the file of the secrets lacks DFS_CLUSTER_SECRET")
    masters = {host.ip for host, _ in plan.nodes(MASTER)}
    if len(masters) > 1 and "MONGO_URI=" not in plan.secrets and "mongo_uri" not in plan.config:
        raise PlanError("masters on several hosts need a MongoDB: set MONGO_URI beside the secret")
    if len(plan.hosts) > 1 and any(host.ip in ("127.0.0.1", "localhost", "::1") for host in plan.hosts):
        raise PlanError("config.json has a node at 127.0.0.1, where the other hosts cannot reach it")


def _name_of(line: str) -> str:
    return line.partition("=")[0].strip().removeprefix("export ").strip()


def _is_setting(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise PlanError(f"{path}: {error}") from error
    if not isinstance(tree, dict):
        raise PlanError(f"{path}: must be a JSON object")
    return tree
