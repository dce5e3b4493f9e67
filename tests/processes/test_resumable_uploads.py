"""Unmodified tuspy against a whole cluster whose gateway, and then everything, is killed on the way."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice

import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed
from tusclient.uploader import Uploader

from api_gateway.wiring import build_gateway
from tests.support.client import GatewayClient, assert_same_bytes, sha256, some_bytes
from tests.support.cluster import GATEWAY, KIB, MASTERS, WORKERS, TestCluster, free_ports
from tests.support.own_server import OwnServer
from tests.support.waiting import InBackground, wait_until

pytestmark = pytest.mark.alone

CHUNK = 256 * KIB
ODD_SIZES = (CHUNK - 1, CHUNK * 3 // 2, KIB, 5 * CHUNK, 2 * KIB)


@pytest.fixture
def second_gateway(ring: TestCluster) -> Iterator[str]:
    """The address of another gateway of the same cluster, in this process."""
    port = free_ports(1)[0]
    config = replace(ring.config, gateway=replace(ring.config.gateway, port=port))
    service = build_gateway(config, "gateway_2")
    server = OwnServer(service.app, port=port, max_connections=16)
    service.start()
    yield f"http://127.0.0.1:{port}"
    service.stop()
    server.close()
    for name in ("dfs.gateway_2", "dfs.gateway_2.audit"):
        for handler in logging.getLogger(name).handlers:
            handler.close()


def uploader(base_url: str, content: bytes, path: str, **options: object) -> Uploader:
    stream = io.BytesIO(content)
    client = TusClient(f"{base_url}/uploads")
    made: Uploader = client.uploader(file_stream=stream, metadata={"path": path}, **options)
    return made


def moved(upload: Uploader, base_url: str) -> None:
    """Let the same client go on at another gateway."""
    upload.url = f"{base_url}/uploads/{str(upload.url).rpartition('/')[2]}"


def broken_off(upload: Uploader) -> bool:
    """Whether the request was broken off."""
    try:
        upload.upload_chunk()
    except TusUploadFailed:
        return True
    return False


def test_a_large_file_in_odd_pieces_survives_every_restart(ring: TestCluster, second_gateway: str) -> None:
    content = some_bytes(40_000_000, "odd")
    upload = uploader(ring.base_url, content, "odd/pieces")
    gateways = cycle((ring.base_url, second_gateway))
    for size in islice(cycle(ODD_SIZES), 25):
        upload.chunk_size = size
        upload.upload_chunk()
        moved(upload, next(gateways))

    # The gateway dies in the middle of a request, and the other one goes on.
    moved(upload, ring.base_url)
    upload.chunk_size = 10_000_000
    before, url = upload.offset, f"{second_gateway}/uploads/{str(upload.url).rpartition('/')[2]}"
    request = InBackground(lambda: broken_off(upload))
    wait_until(lambda: offset(url) > before, "some of the request is safe")
    ring.kill(GATEWAY)
    assert request.result()
    moved(upload, second_gateway)
    upload.offset = upload.get_offset()
    assert upload.offset > before
    upload.chunk_size = 3 * CHUNK + 1
    upload.upload_chunk()

    # Everything dies.
    ring.kill_all()
    ring.restart(*MASTERS, *WORKERS, GATEWAY)
    ring.wait_until_complete()
    moved(upload, ring.base_url)
    assert upload.get_offset() == upload.offset
    upload.chunk_size = 9_999_999
    upload.upload()
    client = GatewayClient(ring.base_url)
    stored = client.get("odd/pieces")
    assert_same_bytes(stored.content, content)
    assert stored.headers["X-DFS-Checksum"] == f"sha256={sha256(content)}"
    assert offset(str(upload.url)) == len(content)


def test_two_clients_with_one_upload_at_two_gateways_never_mix_their_bytes(
    ring: TestCluster, second_gateway: str
) -> None:
    """Both send the same file; whoever is too late is told so, and goes on from where the other is."""
    content = some_bytes(12 * CHUNK + 77, "two")
    first = uploader(ring.base_url, content, "two/clients", chunk_size=CHUNK + 5)
    first.set_url(first.create_url())
    second = uploader(second_gateway, content, "two/clients", chunk_size=2 * CHUNK - 3)
    second.url = str(first.url)
    moved(second, second_gateway)

    def send(upload: Uploader) -> set[int | None]:
        refusals: set[int | None] = set()
        while upload.offset < len(content):
            try:
                upload.upload_chunk()
            except TusUploadFailed as error:
                refusals.add(error.status_code)
                upload.offset = upload.get_offset()
        return refusals

    other = InBackground(lambda: send(second))
    refusals = send(first)
    other.result()
    assert refusals <= {403, 409, 423}, refusals
    assert_same_bytes(GatewayClient(ring.base_url).get("two/clients").content, content)


def test_tuspy_with_checksums_and_for_an_empty_file(ring: TestCluster) -> None:
    content = some_bytes(3 * CHUNK, "checked")
    uploader(ring.base_url, content, "checked", chunk_size=CHUNK + 1, upload_checksum=True).upload()
    uploader(ring.base_url, b"", "empty").upload()
    client = GatewayClient(ring.base_url)
    assert_same_bytes(client.get("checked").content, content)
    assert client.get("empty").content == b""


def offset(url: str) -> int:
    answer = requests.head(url, headers={"Tus-Resumable": "1.0.0"}, timeout=30)
    return int(answer.headers["Upload-Offset"])
