"""Memory is bounded by configuration, not by the size of a file, and nothing is spooled to temporary files."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from benchmarks.slow_clients import SlowClients
from tests.support.client import GatewayClient, assert_same_bytes, file_part, form_body, in_pieces, sha256, some_bytes
from tests.support.cluster import GATEWAY, MIB, TestCluster
from tests.support.metrics import samples_of

pytestmark = pytest.mark.alone

SIZE = 64 * MIB
ALLOWED_GROWTH = 64 * MIB
BOUND = "dfs_gateway_memory_bound_bytes"


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A cluster with chunks of the default size, 4 MiB."""
    cluster = TestCluster(tmp_path_factory.mktemp("memory"), settings={"cluster": {"chunk_size_bytes": 4 * MIB}})
    with cluster.running():
        yield cluster


def test_a_transfer_of_64_mib_costs_less_than_64_mib_anywhere_and_nothing_is_spooled(full_size: TestCluster) -> None:
    client = GatewayClient(full_size.base_url)
    # Whatever is loaded or made on first use belongs to the idle size.
    client.stored("warm", b"x")
    assert client.get("warm").content == b"x"
    nodes = [GATEWAY, *full_size.workers]
    idle = {name: full_size.resident_bytes(name) for name in nodes}
    piece = some_bytes(MIB)
    expected = sha256(piece for _ in range(SIZE // MIB))

    def spooled_during(body: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces; looks into the nodes' TMPDIR while the upload is under way."""
        for number, part in enumerate(body):
            yield part
            if number % 16 == 0:
                assert list(full_size.scratch.iterdir()) == []

    raw = client.stored("big", spooled_during(piece for _ in range(SIZE // MIB)))
    assert (raw["size"], raw["checksum"]["value"]) == (SIZE, expected)
    form = form_body([file_part("big-form", b"SPLIT HERE")], "B")
    head, tail = form.split(b"SPLIT HERE")

    def form_pieces() -> Iterator[bytes]:
        yield head
        for _ in range(SIZE // MIB):
            yield from in_pieces(piece, 300_000)
        yield tail

    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    by_form = client.call("POST", "/files", data=spooled_during(form_pieces()), headers=headers).json()
    assert (by_form["size"], by_form["checksum"]["value"]) == (SIZE, expected)
    for path in ("big", "big-form"):
        with client.get(path, stream=True) as answer:
            assert sha256(answer.iter_content(MIB)) == expected
    growth = {name: full_size.peak_bytes(name) - idle[name] for name in nodes}
    assert max(growth.values()) <= ALLOWED_GROWTH, {name: f"{size / MIB:.1f} MiB" for name, size in growth.items()}
    assert list(full_size.scratch.iterdir()) == []


def test_more_clients_than_buffers_wait_and_are_all_served(full_size: TestCluster) -> None:
    """Forty transfers at once of a gateway with 32 buffers: all of them right, in bounded memory."""
    client = GatewayClient(full_size.base_url)
    content = some_bytes(9 * MIB, "many")
    client.stored("many", content)
    before = full_size.resident_bytes(GATEWAY)

    def transfer(number: int) -> bytes:
        if number % 4:
            return client.get("many").content
        client.stored(f"many-{number}", in_pieces(content, 500_000))
        return client.get(f"many-{number}").content

    with ThreadPoolExecutor(40) as pool:
        for received in pool.map(transfer, range(40)):
            assert_same_bytes(received, content)
    pool_bytes = full_size.config.gateway.buffer_count * 4 * MIB
    assert full_size.peak_bytes(GATEWAY) - before <= pool_bytes + ALLOWED_GROWTH


def test_others_are_served_beside_a_thousand_slow_and_broken_clients(full_size: TestCluster) -> None:
    client = GatewayClient(full_size.base_url)
    small, large = some_bytes(4096, "small"), some_bytes(64 * MIB, "large")
    client.stored("large", large)
    bound = samples_of(requests.get(f"{full_size.base_url}/metrics", timeout=10).content)[BOUND]
    slow = SlowClients(full_size.config.gateway.port, 1000)
    try:
        for number in range(10):
            client.stored(f"beside-{number}", small)
            assert client.get(f"beside-{number}").content == small
        assert_same_bytes(client.get("large").content, large)
        held = {kind: found["held"] for kind, found in slow.states().items()}
    finally:
        slow.close()
    # The others may be gone by now where the machine is slow: a head has its time.
    assert (held["bodies"], held["broken"]) == (248, 248)
    assert full_size.peak_bytes(GATEWAY) <= bound
