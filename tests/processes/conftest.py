"""Clusters that the tests of one session or one file share, to keep the number of starts small."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.client import GatewayClient
from tests.support.cluster import KIB, TestCluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A whole cluster with chunks of 64 KiB that no test damages."""
    with TestCluster(tmp_path_factory.mktemp("cluster")).running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def client(cluster: TestCluster) -> GatewayClient:
    return GatewayClient(cluster.base_url)


@pytest.fixture(scope="module")
def shared_ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A cluster of one test file that may be damaged; chunks of 256 KiB."""
    settings = {"cluster": {"chunk_size_bytes": 256 * KIB}, "master": {"upload_idle_seconds": 8}}
    with TestCluster(tmp_path_factory.mktemp("ring"), settings=settings).running() as ring:
        yield ring


@pytest.fixture
def ring(shared_ring: TestCluster) -> Iterator[TestCluster]:
    """The file's cluster, complete before and after every test."""
    shared_ring.restart_ended()
    yield shared_ring
    shared_ring.restart_ended()
