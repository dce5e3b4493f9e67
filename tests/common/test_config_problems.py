"""A configuration that cannot be used is refused with every reason at once: place, key, rule and value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.config import ConfigError, Problem, load_config
from tests.support.environment import SECRET, clear_settings


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_settings(monkeypatch)
    monkeypatch.setenv("DFS_CLUSTER_SECRET", SECRET)


def problems(home: Path, tree: Any = None) -> list[Problem]:
    """What is wrong with this config.json together with the environment."""
    if tree is not None:
        (home / "config.json").write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(home)
    return list(caught.value.problems)


def keys(found: list[Problem]) -> set[str]:
    return {problem.key for problem in found}


def test_all_problems_are_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFS_WORKER_FSYNC", "perhaps")
    (tmp_path / ".env").write_text("DFS_LOG_LEVEL=LOUD\n")
    found = problems(
        tmp_path,
        {
            "gateway": {"port": 70000, "thraeds": 3},
            "master": {"lease_seconds": "soon"},
            "masters": {"m": {"ip": "", "port": "5100"}},
            "cluster": {"chunk_size_bytes": 65537},
        },
    )
    assert {(problem.source, problem.key) for problem in found} == {
        ("environment", "DFS_WORKER_FSYNC"),
        (".env", "DFS_LOG_LEVEL"),
        ("config.json", "gateway.port"),
        ("config.json", "gateway.thraeds"),
        ("config.json", "master.lease_seconds"),
        ("config.json", "masters.m.ip"),
        ("config.json", "masters.m.port"),
        ("config.json", "cluster.chunk_size_bytes"),
    }


def test_each_problem_has_its_line_with_key_rule_and_value(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"gateway": {"port": 70000}})
    assert str(problem) == "config.json: gateway.port: must be at most 65535, not 70000"


def test_the_message_of_the_error_has_one_line_for_each_problem(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"gateway": {"port": 0, "max_connections": 0}}')
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert str(caught.value).splitlines() == [
        "config.json: gateway.port: must be at least 1, not 0",
        "config.json: gateway.max_connections: must be at least 8, not 0",
    ]


@pytest.mark.parametrize(
    ("tree", "key", "rule"),
    [
        ({"gateway": {"port": "x"}}, "gateway.port", "must be a whole number"),
        ({"gateway": {"port": 1.5}}, "gateway.port", "must be a whole number"),
        ({"gateway": {"port": True}}, "gateway.port", "must be a whole number"),
        ({"gateway": {"port": None}}, "gateway.port", "must be a whole number"),
        ({"gateway": {"port": [1]}}, "gateway.port", "must be a whole number"),
        ({"gateway": {"avoid_seconds": "long"}}, "gateway.avoid_seconds", "must be a number"),
        ({"gateway": {"avoid_seconds": float("nan")}}, "gateway.avoid_seconds", "must be a number"),
        ({"gateway": {"avoid_seconds": float("inf")}}, "gateway.avoid_seconds", "must be a number"),
        ({"gateway": {"avoid_seconds": -0.1}}, "gateway.avoid_seconds", "must be at least 0"),
        ({"gateway": {"ip": 5}}, "gateway.ip", "must be text"),
        ({"worker": {"fsync": "maybe"}}, "worker.fsync", "must be true or false"),
        ({"cluster": {"server": "apache"}}, "cluster.server", "must be one of auto, gunicorn, standalone"),
        ({"cluster": {"chunk_size_bytes": 0}}, "cluster.chunk_size_bytes", "must be at least 65536"),
        ({"cluster": {"chunk_size_bytes": 2**27}}, "cluster.chunk_size_bytes", "must be at most"),
        ({"cluster": {"chunk_size_bytes": 100_000}}, "cluster.chunk_size_bytes", "must be a multiple of 65536"),
        ({"gateway": []}, "gateway", "must be an object"),
        ({"masters": {}}, "masters", "must be an object"),
        ({"workers": []}, "workers", "must be an object"),
        ({"workers": {"w": 5}}, "workers.w", "must be an object"),
        ({"workers": {"a b": {"ip": "h", "port": 1}}}, "workers.a b", "a node's name must be"),
        ({"workers": {"../x": {"ip": "h", "port": 1}}}, "workers.../x", "a node's name must be"),
        ({"workers": {"w": {"ip": "h", "port": 0}}}, "workers.w.port", "from 1 to 65535"),
        ({"workers": {"w": {"ip": "h", "port": 65536}}}, "workers.w.port", "from 1 to 65535"),
        ({"workers": {"w": {"ip": "h", "port": True}}}, "workers.w.port", "from 1 to 65535"),
        ({"workers": {"w": {"port": 1}}}, "workers.w.ip", "must be an address"),
        ({"workers": {"w": {"ip": "h", "port": 1, "zone": 3}}}, "workers.w.zone", "must be text"),
    ],
)
def test_a_value_that_breaks_its_rule_is_reported(tree: Any, key: str, rule: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, tree)
    assert problem.key == key
    assert rule in problem.rule


@pytest.mark.parametrize(
    ("tree", "key", "meant"),
    [
        ({"gatway": {}}, "gatway", "gateway"),
        ({"worker": {"fsinc": True}}, "worker.fsinc", "fsync"),
        ({"masters": {"m": {"ip": "h", "port": 1, "prot": 2}}}, "masters.m.prot", "port"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(tree: Any, key: str, meant: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, tree)
    assert problem.key == key
    assert f"did you mean {meant}?" in problem.rule


def test_an_unknown_variable_is_refused_with_the_one_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFS_GATEWAY_PROT", "1")
    (tmp_path / ".env").write_text("DFS_WORKRES=a=b:1\n")
    found = {problem.key: problem for problem in problems(tmp_path)}
    assert "did you mean DFS_GATEWAY_PORT?" in found["DFS_GATEWAY_PROT"].rule
    assert "did you mean DFS_WORKERS?" in found["DFS_WORKRES"].rule
    assert found["DFS_WORKRES"].source == ".env"


def test_an_unknown_key_that_resembles_nothing_is_refused_without_a_guess(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"zzzzzz": 1})
    assert problem.rule == "is not a setting"


@pytest.mark.parametrize("secret", ["", "too-short", "x" * 15, "Ж" * 20, "tab\tin the secret, long"])
def test_a_secret_that_cannot_be_used_is_refused_and_not_shown(
    secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFS_CLUSTER_SECRET", secret)
    (problem,) = problems(tmp_path)
    assert problem.key == "DFS_CLUSTER_SECRET"
    assert not secret or secret not in str(problem)


def test_a_missing_secret_is_reported_together_with_everything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DFS_CLUSTER_SECRET")
    assert keys(problems(tmp_path, {"gateway": {"port": 0}})) == {"gateway.port", "DFS_CLUSTER_SECRET"}


@pytest.mark.parametrize("name", ["secret", "api_key"])
def test_a_secret_in_config_json_is_refused_with_the_place_where_it_belongs(name: str, tmp_path: Path) -> None:
    """config.json is handed around and committed; the problem must lead to the variable, and show nothing."""
    section = {"secret": "cluster", "api_key": "gateway"}[name]
    variable = {"secret": "DFS_CLUSTER_SECRET", "api_key": "DFS_GATEWAY_API_KEY"}[name]
    (problem,) = problems(tmp_path, {section: {name: "very-secret-value-0123456789"}})
    assert problem.key == f"{section}.{name}"
    assert "very-secret" not in str(problem)
    assert variable in problem.rule


def test_a_mongo_uri_that_is_not_text_is_not_shown(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"cluster": {"mongo_uri": ["mongodb://user:password@host"]}})
    assert problem.key == "cluster.mongo_uri"
    assert "password" not in str(problem)


@pytest.mark.parametrize(
    ("tree", "key"),
    [
        ({"cluster": {"write_quorum": 4}}, "cluster.write_quorum"),
        ({"cluster": {"replication_factor": 6}}, "cluster.replication_factor"),
        ({"workers": {"w": {"ip": "h", "port": 1}}}, "cluster.replication_factor"),
        ({"gateway": {"window_chunks": 17}}, "gateway.window_chunks"),
        ({"master": {"dead_seconds": 5}}, "master.dead_seconds"),
        ({"gateway": {"port": 5001}}, "gateway.port"),
        ({"masters": {"m": {"ip": "127.0.0.1", "port": 5003}}}, "workers.worker_3.port"),
    ],
)
def test_values_that_do_not_go_together_are_refused(tree: Any, key: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, tree)
    assert problem.key == key


def test_values_at_the_edge_of_what_goes_together_are_taken(tmp_path: Path) -> None:
    tree = {
        "cluster": {"write_quorum": 5, "replication_factor": 5},
        "gateway": {"window_chunks": 2, "buffer_count": 4},
        "master": {"suspect_seconds": 7, "dead_seconds": 7},
    }
    (tmp_path / "config.json").write_text(json.dumps(tree))
    assert load_config(tmp_path).cluster.write_quorum == 5


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("m1", {"ip", "port"}),
        ("m1=host", {"ip", "port"}),
        ("m1=host:0", {"port"}),
        ("m1=host:x", {"port"}),
        ("m1=host:65536", {"port"}),
        ("m1=:5100", {"ip"}),
        ("=host:5100", {"name"}),
        ("m1=host:5100,", {"name"}),
    ],
)
def test_a_malformed_list_of_nodes_is_refused(
    text: str, wrong: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFS_MASTERS", text)
    found = problems(tmp_path)
    assert all(problem.key.startswith("DFS_MASTERS") for problem in found)
    parts = {part for part in ("ip", "port") for problem in found if problem.key.endswith(f".{part}")}
    names = {"name" for problem in found if "a node's name must be" in problem.rule}
    assert parts | names == wrong


def test_a_malformed_node_is_reported_with_its_name_and_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a list of many the operator must see which one is meant."""
    monkeypatch.setenv("DFS_MASTERS", "m1=host:5100,m2=host:51x1")
    (problem,) = problems(tmp_path)
    assert "m2" in str(problem)
    assert "51x1" in str(problem)


def test_a_node_that_is_listed_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one of the two would silently not be part of the cluster."""
    monkeypatch.setenv("DFS_MASTERS", "m1=host:5100,m1=host:5101")
    (problem,) = problems(tmp_path)
    assert problem.key.startswith("DFS_MASTERS")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff\xfe{}", b'{"gateway": }'])
def test_a_config_json_that_is_no_json_object_is_one_problem(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    (problem,) = problems(tmp_path)
    assert (problem.source, problem.key) == ("config.json", "(file)")


def test_an_env_file_that_is_not_utf8_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    """As some editors of Windows write it."""
    (tmp_path / ".env").write_bytes("DFS_GATEWAY_PORT=6000\n".encode("utf-16"))
    (problem,) = problems(tmp_path)
    assert problem.source == ".env"


def test_an_env_file_that_starts_with_a_byte_order_mark_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DFS_CLUSTER_SECRET")
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfDFS_CLUSTER_SECRET=" + SECRET.encode() + b"\r\n")
    assert load_config(tmp_path).cluster.secret == SECRET


def test_a_previous_secret_that_cannot_be_used_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFS_CLUSTER_SECRET_PREVIOUS", "too-short")
    (problem,) = problems(tmp_path)
    assert problem.key == "DFS_CLUSTER_SECRET_PREVIOUS"
    assert "too-short" not in str(problem)


@pytest.mark.parametrize(
    ("tree", "key"),
    [
        ({"cluster": {"tls_certificate": "a.pem"}}, "cluster.tls_key"),
        ({"cluster": {"tls_key": "a.key"}}, "cluster.tls_certificate"),
        ({"cluster": {"tls_ca": "ca.pem"}}, "cluster.tls_certificate"),
        ({"gateway": {"tls_certificate": "a.pem"}}, "gateway.tls_key"),
        ({"gateway": {"tls_key": "a.key"}}, "gateway.tls_certificate"),
    ],
)
def test_a_certificate_goes_with_its_key(tree: dict[str, Any], key: str, tmp_path: Path) -> None:
    assert keys(problems(tmp_path, tree)) == {key}
