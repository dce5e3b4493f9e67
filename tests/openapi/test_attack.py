"""Requests that schemathesis derives from the documents, sent to a running gateway, master and worker.

No answer is an error of the service's own, and every one is as described. `--api-examples` says how many requests at
random each operation gets, besides those at its limits.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from schemathesis.schemas import BaseSchema

from common.auth import ClusterSecret
from common.openapi.build import build_document
from tests.openapi.attack import Target, open_schema, send_all
from tests.openapi.signed import SignedAdapter
from tests.support.checked import DESCRIPTIONS
from tests.support.client import GatewayClient
from tests.support.cluster import TestCluster
from tests.support.tus import VERSION, encode_metadata

WORKERS = ("worker_1", "worker_2", "worker_3", "worker_4")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A small cluster of this file's own: what is sent to it may drain a worker or free a chunk."""
    # With the operator's key, since the first key that is made shuts everybody else out.
    variables = {"DFS_GATEWAY_API_KEY": "the-key-of-the-operator"}
    home = tmp_path_factory.mktemp("attacked")
    cluster = TestCluster(home, variables=variables, masters=("master_1",), workers=WORKERS)
    with cluster.running():
        yield cluster


@pytest.fixture(scope="module")
def targets(cluster: TestCluster) -> Iterator[dict[str, Target]]:
    client = GatewayClient(cluster.base_url, cluster.client_headers)
    files = [client.stored(f"some/{number}", bytes(number)) for number in range(0, 100_000, 20_000)]
    versions = [file["version_id"] for file in files]
    uploads = [versions[0], begin_upload(client), begin_upload(client)]
    secret = ClusterSecret.of(cluster.config.cluster)
    files_known = {"file_id": [file["file_id"] for file in files], "version_id": versions, "upload_id": uploads}
    chunks_known = {"chunk_id": sorted(cluster.chunk_files("worker_1")), "folder": ["00", "a1", "ff"]}
    found = {
        "gateway": Target("gateway", cluster.base_url, files_known, headers=cluster.client_headers),
        "master": Target("master", cluster.node("master_1").url, files_known, adapter=SignedAdapter(secret)),
        "worker": Target("worker", cluster.node("worker_1").url, chunks_known, adapter=SignedAdapter(secret)),
    }
    yield found
    for target in found.values():
        target.close()


def begin_upload(client: GatewayClient) -> str:
    """The id of a resumable upload that waits for its bytes."""
    headers = {**VERSION, "Upload-Length": "100000", "Upload-Metadata": encode_metadata(filename="begun")}
    return client.call("POST", "/uploads", headers=headers).headers["Location"].rpartition("/")[2]


@pytest.fixture(scope="module")
def schemas() -> dict[str, BaseSchema]:
    return {kind: open_schema(build_document(description)) for kind, description in DESCRIPTIONS.items()}


@pytest.mark.parametrize(
    ("kind", "method", "rule"),
    [(kind, one.method, one.rule) for kind, description in DESCRIPTIONS.items() for one in description.operations],
)
def test_whatever_is_sent_is_answered_as_described(
    schemas: dict[str, BaseSchema],
    targets: dict[str, Target],
    kind: str,
    method: str,
    rule: str,
    pytestconfig: pytest.Config,
) -> None:
    send_all(schemas[kind][rule][method], targets[kind], pytestconfig.getoption("--api-examples"))
