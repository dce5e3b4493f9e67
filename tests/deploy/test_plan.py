"""Which node is on which host, by config.json and the inventory; and what cannot be deployed is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.hosts.plan import Access, Plan, PlanError, read_plan

CONFIG: dict[str, Any] = {
    "masters": {"master_1": {"ip": "10.0.2.10", "port": 5100}},
    "workers": {"worker_1": {"ip": "10.0.2.10", "port": 5001}, "worker_2": {"ip": "10.0.2.11", "port": 5001}},
    "gateway": {"ip": "10.0.1.10", "port": 5000},
}
SECRETS = "# a remark\nDFS_CLUSTER_SECRET=0123456789abcdef\n\n"


def plan_of(folder: Path, config: Any, inventory: Any = None, secrets: str = SECRETS) -> Plan:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / ".env").write_text(secrets)
    (folder / "inventory.json").write_text(json.dumps(inventory or {}))
    return read_plan(folder / "config.json", folder / "inventory.json", folder / ".env")


def test_nodes_of_one_address_are_on_one_host(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, CONFIG)
    assert {host.ip: [node.unit for node in host.nodes] for host in plan.hosts} == {
        "10.0.1.10": ["dfs-gateway.service"],
        "10.0.2.10": ["dfs-master@master_1.service", "dfs-worker@worker_1.service"],
        "10.0.2.11": ["dfs-worker@worker_2.service"],
    }
    assert plan.secrets == "DFS_CLUSTER_SECRET=0123456789abcdef\n"
    assert {host.access for host in plan.hosts} == {Access()}


def test_a_host_gets_no_secret_that_none_of_its_nodes_uses(tmp_path: Path) -> None:
    database, key = "MONGO_URI='mongodb://u:a=b@10.0.2.10/'\n", "DFS_GATEWAY_API_KEY=abc\n"
    secret, token = "DFS_CLUSTER_SECRET=0123456789abcdef\n", "DFS_METRICS_TOKEN=x\n"
    plan = plan_of(tmp_path, CONFIG, secrets=database + secret + key + token)
    assert {host.ip: plan.secrets_of(host) for host in plan.hosts} == {
        "10.0.1.10": secret + key + token,
        "10.0.2.10": database + secret + token,
        "10.0.2.11": secret + token,
    }


def test_a_host_s_own_entry_goes_before_the_common_one(tmp_path: Path) -> None:
    own = {"10.0.2.11": {"address": "w2.example", "options": ["-v"]}}
    plan = plan_of(tmp_path, CONFIG, {"user": "admin", "port": 2222, "hosts": own})
    first, second, third = plan.hosts
    assert (first.access, first.address) == (Access(user="admin", port=2222), "10.0.1.10")
    assert second.access == first.access
    assert third.access == Access(address="w2.example", user="admin", port=2222, options=("-v",))
    assert third.address == "w2.example"


@pytest.mark.parametrize(
    ("change", "inventory", "secrets", "said"),
    [
        ({"gateway": {}}, {}, SECRETS, "where masters, workers and the gateway are"),
        ({"workers": []}, {}, SECRETS, "where masters, workers and the gateway are"),
        ({}, {"hosts": {"10.9.9.9": {}}}, SECRETS, "10.9.9.9"),
        ({}, {"users": "admin"}, SECRETS, "users"),
        ({}, {}, "OTHER=1", "DFS_CLUSTER_SECRET"),
        ({"gateway": {"ip": "127.0.0.1"}}, {}, SECRETS, "127.0.0.1"),
        ({"masters": {**CONFIG["masters"], "master_2": {"ip": "10.0.2.11", "port": 5101}}}, {}, SECRETS, "MONGO_URI"),
    ],
)
def test_what_cannot_be_deployed_is_refused(
    tmp_path: Path, change: Any, inventory: Any, secrets: str, said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        plan_of(tmp_path, {**CONFIG, **change}, inventory, secrets)


def test_a_file_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(PlanError, match="JSON object"):
        read_plan(tmp_path / "config.json", None, tmp_path / ".env")


def test_masters_on_several_hosts_may_have_a_database_for_all(tmp_path: Path) -> None:
    masters = {**CONFIG["masters"], "master_2": {"ip": "10.0.2.11", "port": 5101}}
    plan = plan_of(tmp_path, {**CONFIG, "masters": masters}, secrets=SECRETS + "MONGO_URI=mongodb://10.0.2.10/\n")
    assert [node.node_id for _, node in plan.nodes("master")] == ["master_1", "master_2"]


def test_a_missing_file_of_secrets_says_what_it_is_to_hold(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(PlanError, match="DFS_CLUSTER_SECRET"):
        read_plan(tmp_path / "config.json", None, tmp_path / ".env")
