"""Under gunicorn, as it is deployed, the numbers are whole: one process serves, and what watches it does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import requests

from tests.support.cluster import TestCluster, group_members
from tests.support.metrics import samples_of

CLIENTS, EACH = 8, 25
COUNTED = 'dfs_http_requests_total{method="GET",route="/inventory/<folder>",status="%d"}'


def test_requests_over_many_connections_are_all_counted_whoever_is_asked(cluster: TestCluster) -> None:
    node = cluster.node("worker_1")
    assert len(group_members(node.process.pid)) == 2, "gunicorn's arbiter and the process that serves"
    status = requests.get(f"{node.url}/inventory/zz", timeout=10).status_code
    before = _read(node.url)[COUNTED % status]

    def ask(_number: int) -> None:
        with requests.Session() as session:
            for _ in range(EACH):
                assert session.get(f"{node.url}/inventory/zz", timeout=10).status_code == status

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(ask, range(CLIENTS)))
    # Each on a connection of its own: were there several counting processes, some would say less.
    assert {_read(node.url)[COUNTED % status] - before for _ in range(10)} == {CLIENTS * EACH}


def _read(url: str) -> dict[str, float]:
    answer = requests.get(f"{url}/metrics", timeout=10)
    assert answer.status_code == 200
    return samples_of(answer.content)
