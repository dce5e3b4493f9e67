"""Where the configuration comes from: environment, then `.env`, then config.json, then defaults."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from common.config import DEFAULT_MASTERS, DEFAULT_WORKERS, Config, ConfigError, Node, load_config
from common.settings import SECTIONS, all_settings
from tests.support.environment import SECRET, clear_settings


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_settings(monkeypatch)
    monkeypatch.setenv("DFS_CLUSTER_SECRET", SECRET)


def load(home: Path, tree: Any = None, env_file: str = "") -> Config:
    """Load a configuration made of this config.json and this `.env`."""
    if tree is not None:
        (home / "config.json").write_text(json.dumps(tree), encoding="utf-8")
    if env_file:
        (home / ".env").write_text(env_file, encoding="utf-8")
    return load_config(home)


def test_without_any_file_everything_is_the_default(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.masters == DEFAULT_MASTERS
    assert config.workers == DEFAULT_WORKERS
    for entry in all_settings():
        if entry.name != "secret":
            assert getattr(getattr(config, entry.section), entry.name) == entry.default, entry.key


def test_config_json_wins_over_the_default(tmp_path: Path) -> None:
    config = load(tmp_path, {"gateway": {"ip": "10.0.0.1", "port": 6000}, "worker": {"fsync": False}})
    assert (config.gateway.ip, config.gateway.port, config.worker.fsync) == ("10.0.0.1", 6000, False)
    assert config.gateway.max_connections == 1024


def test_the_env_file_wins_over_config_json(tmp_path: Path) -> None:
    assert load(tmp_path, {"gateway": {"port": 6000}}, "DFS_GATEWAY_PORT=6001\n").gateway.port == 6001


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFS_GATEWAY_PORT", "6002")
    assert load(tmp_path, {"gateway": {"port": 6000}}, "DFS_GATEWAY_PORT=6001\n").gateway.port == 6002


def test_a_variable_that_is_set_but_empty_counts_as_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFS_GATEWAY_PORT", "")
    config = load(
        tmp_path,
        {"gateway": {"port": 6000, "max_connections": 30}},
        "DFS_GATEWAY_PORT=6001\nDFS_GATEWAY_MAX_CONNECTIONS=\n",
    )
    assert (config.gateway.port, config.gateway.max_connections) == (6001, 30)


# What must be set of the same section, too.
BESIDES: dict[str, dict[str, Any]] = {
    "cluster.write_quorum": {"replication_factor": 4},
    "cluster.tls_certificate": {"tls_key": "a.key"},
    "cluster.tls_key": {"tls_certificate": "a.pem"},
    "cluster.tls_ca": {"tls_certificate": "a.pem", "tls_key": "a.key"},
    "gateway.tls_certificate": {"tls_key": "a.key"},
    "gateway.tls_key": {"tls_certificate": "a.pem"},
}


@pytest.mark.parametrize("entry", list(all_settings()), ids=lambda entry: entry.key)
def test_every_setting_can_be_set_by_its_variable(entry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = _another_value(entry)
    for name, value in {**BESIDES.get(entry.key, {}), entry.name: wanted}.items():
        monkeypatch.setenv(_variable(f"{entry.section}.{name}"), str(value))
    config = load(tmp_path)
    assert getattr(getattr(config, entry.section), entry.name) == wanted


@pytest.mark.parametrize(
    "entry", [entry for entry in all_settings() if entry.rule.is_file_key], ids=lambda entry: entry.key
)
def test_every_setting_can_be_set_in_config_json(entry: Any, tmp_path: Path) -> None:
    wanted = _another_value(entry)
    config = load(tmp_path, {entry.section: {**BESIDES.get(entry.key, {}), entry.name: wanted}})
    assert getattr(getattr(config, entry.section), entry.name) == wanted


def _variable(key: str) -> str:
    return next(entry.variable for entry in all_settings() if entry.key == key)


def _another_value(entry: Any) -> Any:
    """A valid value that is not the default."""
    if entry.rule.choices:
        return next(choice for choice in entry.rule.choices if choice != entry.default)
    if isinstance(entry.default, bool):
        return not entry.default
    if isinstance(entry.default, str):
        return "something-else-0123456789"
    return 6000 if entry.name == "port" else entry.default + (entry.rule.multiple_of or 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("YES", True),
        ("on", True),
        ("1", True),
        ("false", False),
        ("No", False),
        ("off", False),
        ("0", False),
    ],
)
def test_a_yes_or_no_can_be_written_in_several_ways(
    text: str, value: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFS_WORKER_FSYNC", text)
    assert load(tmp_path).worker.fsync is value


def test_a_large_number_of_bytes_is_kept_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2**53 + 1 is the first whole number that a float cannot hold."""
    assert load(tmp_path, {"worker": {"capacity_bytes": 2**53 + 1}}).worker.capacity_bytes == 2**53 + 1
    monkeypatch.setenv("DFS_WORKER_CAPACITY_BYTES", str(2**53 + 1))
    assert load(tmp_path).worker.capacity_bytes == 2**53 + 1


def test_nodes_come_from_config_json(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        {
            "masters": {"m": {"ip": "host-a", "port": 1}},
            "workers": {
                f"w{n}": {"ip": "::1", "port": n, "zone": "z", "data_dir": f"/data/{n}"} for n in (65533, 65534, 65535)
            },
        },
    )
    assert config.master_urls() == {"m": "http://host-a:1"}
    assert config.workers["w65535"] == Node("w65535", "::1", 65535, "z", "/data/65535")
    assert config.workers["w65535"].url == "http://[::1]:65535"


def test_nodes_from_variables_replace_those_of_config_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFS_MASTERS", "m1=10.0.0.1:7001, m2=[::1]:7002")
    monkeypatch.setenv("DFS_WORKERS", "w1=a:1,w2=b:1,w3=c:1")
    config = load(tmp_path, {"masters": {"old": {"ip": "x", "port": 1}}})
    assert config.master_urls() == {"m1": "http://10.0.0.1:7001", "m2": "http://[::1]:7002"}
    assert {name: node.url for name, node in config.workers.items()} == {
        "w1": "http://a:1",
        "w2": "http://b:1",
        "w3": "http://c:1",
    }


def test_folders_are_relative_to_the_home(tmp_path: Path) -> None:
    config = load(tmp_path, {"master": {"sqlite_path": "db/x.sqlite3"}})
    assert config.sqlite_path() == tmp_path / "db" / "x.sqlite3"
    assert config.data_dir("worker_1") == tmp_path / "storage" / "worker_1" / "data"
    assert config.log_dir("gateway") == tmp_path / "logs" / "gateway"


def test_logs_may_lie_outside_the_home(tmp_path: Path) -> None:
    config = load(tmp_path, {"cluster": {"log_dir": "/var/log/dfs"}})
    assert config.log_dir("gateway") == Path("/var/log/dfs/gateway")


def test_a_workers_own_folder_wins_over_the_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFS_WORKER_DATA_DIR", "/common")
    workers = {f"w{n}": {"ip": "h", "port": n} for n in (1, 2, 3)}
    workers["w1"]["data_dir"] = "/own"
    config = load(tmp_path, {"workers": workers})
    assert config.data_dir("w1") == Path("/own")
    assert config.data_dir("w2") == Path("/common/w2")


def test_the_home_is_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"gateway": {"port": 6005}}')
    monkeypatch.setenv("DFS_HOME", str(tmp_path))
    config = load_config()
    assert (config.home, config.gateway.port) == (tmp_path, 6005)


def test_the_tree_cannot_be_changed(tmp_path: Path) -> None:
    config = load(tmp_path)
    for section in SECTIONS:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, section, None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            getattr(config, section).port = 1


def test_the_secrets_do_not_appear_when_the_configuration_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration that lands in a traceback, a log line or a failed assertion gives nothing away."""
    monkeypatch.setenv("DFS_GATEWAY_API_KEY", "key-of-the-clients")
    monkeypatch.setenv("MONGO_URI", "mongodb://user:pass-of-the-database@host/")
    config = load(tmp_path)
    assert config.gateway.api_key == "key-of-the-clients"
    for shown in (repr(config), str(config), f"{config}"):
        assert SECRET not in shown
        assert "key-of-the-clients" not in shown
        assert "pass-of-the-database" not in shown


def test_a_problem_is_an_error_of_its_own_kind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, {"gateway": {"port": 0}})
