"""The gateway without any key, with the first one, with none left, and without masters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.launcher import Cluster
from tests.support.ring import MASTER, SmallRing, ask, make_key, small_ring

ADMIN = ["read", "write", "delete", "admin"]


@pytest.fixture(scope="module")
def open_ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRing]:
    """A gateway without any key, that remembers nothing of keys for longer than masters fail to answer."""
    settings = {"master_deadline_seconds": 0.5, "master_timeout_seconds": 0.2, "key_cache_seconds": 0.0}
    with small_ring(tmp_path_factory.mktemp("open"), has_operator=False, **settings) as ring:
        yield ring


def test_from_the_first_key_to_the_last_one(open_ring: SmallRing) -> None:
    ring = open_ring
    local = {"client": "127.0.0.1"}
    for method, target in (("GET", "/files"), ("PUT", "/fs/a"), ("GET", "/keys"), ("GET", "/")):
        assert ask(ring, method, target).status_code == 401
    assert ask(ring, "PUT", "/fs/a", data=b"x", **local).status_code == 201
    # A link would let in those who are elsewhere.
    wanted = {"path": "a", "method": "GET", "seconds": 60}
    assert ask(ring, "POST", "/links", json=wanted, **local).json["code"] == "unauthorized"
    weak = ask(ring, "POST", "/keys", json={"name": "n", "rights": ["read"]}, **local)
    assert (weak.status_code, weak.json["code"]) == (409, "admin_needed")

    first = ask(ring, "POST", "/keys", json={"name": "n", "rights": ADMIN}, **local).json
    assert ask(ring, "GET", "/fs/a", first["key"]).data == b"x"
    assert ask(ring, "GET", "/fs/a", **local).status_code == 401
    reader = make_key(ring, ["read"], first["key"])
    assert ask(ring, "GET", "/fs/a", reader["key"]).status_code == 200
    assert ask(ring, "GET", "/fs/a", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 401

    # What waits for a cluster to be complete has no key, and need not have one.
    assert Cluster(ring.config, {}).wait_until_ready(20)["leader"] == MASTER

    for key in (reader, first):
        assert ask(ring, "DELETE", f"/keys/{key['key_id']}", first["key"]).status_code == 200
    assert ask(ring, "GET", "/fs/a", first["key"]).status_code == 401
    assert ask(ring, "GET", "/fs/a", **local).data == b"x"


def test_while_no_master_answers_known_keys_go_on_and_unknown_ones_do_not(open_ring: SmallRing) -> None:
    ring = open_ring
    first = ask(ring, "POST", "/keys", client="127.0.0.1", json={"name": "n", "rights": ["admin"]}).json["key"]
    known, unknown = (make_key(ring, ["admin"], first)["key"] for _ in range(2))
    ring.restart_gateway()
    assert ask(ring, "GET", "/cluster", known).status_code == 200
    ring.stop(MASTER)
    answer = ask(ring, "GET", "/cluster", known)
    assert (answer.status_code, answer.json["problem"]) == (200, "no master answers")
    refused = ask(ring, "GET", "/cluster", unknown)
    assert (refused.status_code, refused.json["code"]) == (503, "unavailable")

    # A gateway that has never heard of a master lets nobody in: there may be keys.
    ring.restart_gateway()
    assert ask(ring, "GET", "/cluster", client="127.0.0.1").status_code == 503
    assert ask(ring, "GET", "/cluster", known).status_code == 503
    assert ask(ring, "GET", "/health").status_code == 200
    ring.start(MASTER)
    assert ask(ring, "GET", "/cluster", known).status_code == 200
