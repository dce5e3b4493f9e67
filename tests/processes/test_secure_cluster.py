"""A cluster whose every connection is over TLS, and which changes its secret while it serves."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from common.auth import ClusterSecret
from common.errors import ClusterSecretRejected
from common.http import HttpPool
from common.tls import TlsFiles, client_context
from tests.support.certificates import make_ca, make_certificate
from tests.support.client import GatewayClient, assert_same_bytes, some_bytes
from tests.support.cluster import GATEWAY, KIB, TestCluster
from tests.support.waiting import wait_until

CHUNK = 64 * KIB
FIRST, SECOND = secrets.token_hex(32), secrets.token_hex(32)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    home = tmp_path_factory.mktemp("secure") / "home"
    folder = home / "tls"
    folder.mkdir(parents=True)
    ca = make_ca(folder)
    make_certificate(folder, "node", ca)
    make_certificate(folder, "gateway", ca)
    cluster = TestCluster(
        home,
        settings={
            "cluster": {"tls_certificate": "tls/node.pem", "tls_key": "tls/node.key", "tls_ca": "tls/ca.pem"},
            "gateway": {"tls_certificate": "tls/gateway.pem", "tls_key": "tls/gateway.key"},
        },
        variables={"DFS_CLUSTER_SECRET": FIRST},
        masters=("master_1",),
        workers=("worker_1", "worker_2", "worker_3"),
    )
    cluster.request_options = {
        "verify": str(folder / "ca.pem"),
        "cert": (str(folder / "node.pem"), str(folder / "node.key")),
    }
    with cluster.running():
        yield cluster


@pytest.fixture
def client(secure: TestCluster) -> GatewayClient:
    assert secure.base_url.startswith("https://")
    return GatewayClient(secure.base_url, verify=str(secure.home / "tls" / "ca.pem"))


def test_a_file_goes_in_and_comes_back_whole_and_in_part(client: GatewayClient) -> None:
    content = some_bytes(5 * CHUNK + 3, "secure")
    client.stored("secure", content)
    assert_same_bytes(client.get("secure").content, content)
    # Once a browser has come by TLS, it shall never come without.
    assert client.get("secure").headers["Strict-Transport-Security"] == "max-age=31536000"
    part = client.get("secure", headers={"Range": f"bytes={CHUNK - 1}-{2 * CHUNK}"})
    assert part.status_code == 206
    assert_same_bytes(part.content, content[CHUNK - 1 : 2 * CHUNK + 1])


def test_nobody_comes_in_without_a_certificate_or_from_another_ca(secure: TestCluster, tmp_path: Path) -> None:
    other = make_ca(tmp_path, "other")
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{secure.base_url}/health", verify=str(other.certificate), timeout=10)
    for node in (*secure.config.masters.values(), *secure.config.workers.values()):
        assert node.url.startswith("https://")
        with pytest.raises(requests.RequestException):
            requests.get(f"{node.url}/health", verify=str(secure.home / "tls" / "ca.pem"), timeout=10)
        assert requests.get(f"{node.url}/health", timeout=10, **secure.request_options).json() == {"status": "ok"}
        plain = requests.get(node.url.replace("https", "http") + "/health", timeout=10)
        assert plain.status_code == 400


def test_the_secret_is_changed_while_the_cluster_serves(secure: TestCluster, client: GatewayClient) -> None:
    content = some_bytes(CHUNK + 1, "served")
    write_secrets(secure.home, SECOND, FIRST)
    with under_load(client, content):
        for name in ("master_1", "worker_1"):
            restart(secure, name)
    # It knows both secrets now, and the workers that were not restarted know only the old one.
    restart(secure, GATEWAY)
    client.stored("after", content)
    write_secrets(secure.home, SECOND)
    restart(secure, "worker_1")
    url = secure.config.workers["worker_1"].url
    tls = client_context(TlsFiles.of_cluster(secure.config.home, secure.config.cluster))
    with pytest.raises(ClusterSecretRejected):
        HttpPool(ClusterSecret(FIRST), tls).call_json("GET", f"{url}/inventory/00", timeout_seconds=10)
    assert HttpPool(ClusterSecret(SECOND), tls).call_json("GET", f"{url}/inventory/00", timeout_seconds=10)
    logged = [path.read_text(errors="replace") for path in (secure.home / "logs").glob("*/*")]
    assert len(logged) >= 2 * len(secure.masters + secure.workers)
    for secret in (FIRST, SECOND):
        assert not any(secret in text for text in logged)


def write_secrets(home: Path, secret: str, previous: str = "") -> None:
    """As the operator does it, in one step."""
    changed = home / ".env.new"
    lines = {"DFS_CLUSTER_SECRET": secret, "DFS_CLUSTER_SECRET_PREVIOUS": previous}
    changed.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    shutil.move(changed, home / ".env")


def restart(cluster: TestCluster, name: str) -> None:
    node = cluster.node(name)
    node.process.terminate()
    assert node.process.wait(30) == 0
    cluster.restart(name)
    cluster.wait_until_complete()


@contextlib.contextmanager
def under_load(client: GatewayClient, content: bytes) -> Iterator[None]:
    """Put and get until the block is left; fails where anything was refused, or nothing was done."""
    statuses: list[int] = []
    is_over = threading.Event()

    def work() -> None:
        for number in itertools.count():
            if is_over.is_set():
                return
            statuses.append(client.put(f"served-{number}", content).status_code)
            answer = client.get(f"served-{number}")
            statuses.append(answer.status_code if answer.content == content else 0)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_until(lambda: len(statuses) > 4, "the load has begun")
        yield
    finally:
        is_over.set()
        thread.join(60)
    assert set(statuses) == {200, 201}
