"""One small cluster for all tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.client import GatewayClient
from tests.support.cluster import TestCluster
from tests.support.command_line import CommandLine
from tests.support.relay import Relay, relaying


@pytest.fixture(scope="session")
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    cluster = TestCluster(
        tmp_path_factory.mktemp("small"), masters=("master_1",), workers=("worker_1", "worker_2", "worker_3")
    )
    with cluster.running():
        yield cluster


@pytest.fixture
def client(small_cluster: TestCluster) -> GatewayClient:
    return GatewayClient(small_cluster.base_url)


@pytest.fixture
def dfs(small_cluster: TestCluster) -> CommandLine:
    return CommandLine(small_cluster.base_url)


@pytest.fixture
def relay(small_cluster: TestCluster) -> Iterator[Relay]:
    with relaying(small_cluster.base_url) as relay:
        yield relay
