"""Both ends of a connection prove that they know the cluster's secret, and nothing recorded can be used again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.auth import ClusterSecret, Session, body_digest, derive_key, verify_body, verify_signature
from common.errors import ClusterSecretRejected

SECRET, OTHER = "the-secret-of-this-cluster", "the-secret-of-another-one"
HEAD = b"POST /chunks/delete HTTP/1.1\r\nHost: h\r\nX-DFS-Epoch: 7\r\n\r\n"


def open_session(client: ClusterSecret, server: ClusterSecret) -> tuple[Session, bytes]:
    offer = client.offer()
    answer, key = server.accept(offer.text)
    return offer.conclude(answer), key


def refused(key: bytes | None, number: int, head: bytes) -> bool:
    try:
        verify_signature(key, number, head[:-2])
    except ClusterSecretRejected:
        return True
    return False


def test_requests_are_taken_in_the_order_in_which_they_were_signed() -> None:
    session, key = open_session(ClusterSecret(SECRET), ClusterSecret(SECRET))
    for number in (1, 2, 3):
        assert not refused(key, number, session.sign(HEAD))


def test_a_recorded_request_cannot_be_used_again_on_this_connection_or_another() -> None:
    session, key = open_session(ClusterSecret(SECRET), ClusterSecret(SECRET))
    _, another = open_session(ClusterSecret(SECRET), ClusterSecret(SECRET))
    recorded = session.sign(HEAD)
    assert refused(key, 2, recorded)
    assert refused(another, 1, recorded)
    assert refused(None, 1, recorded)
    assert not refused(key, 1, recorded)


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head.replace(b"Epoch: 7", b"Epoch: 8"),
        lambda head: head.replace(b"delete", b"verify"),
        lambda head: head.replace(b"POST", b"GET "),
        lambda head: head.replace(b"Host: h\r\n", b"Host: h\r\nX-DFS-Checksum: 0\r\n"),
        lambda head: head[:-2] + b"X-DFS-Epoch: 8\r\n\r\n",
        lambda head: head.replace(b"X-DFS-Signature: ", b"x-dfs-signature: "),
        lambda head: head[:-5] + b"z\r\n\r\n",
        lambda _: HEAD,
        lambda _: b"\r\n\r\n",
    ],
)
def test_a_head_that_was_changed_is_refused(change: Callable[[bytes], bytes]) -> None:
    session, key = open_session(ClusterSecret(SECRET), ClusterSecret(SECRET))
    changed = change(session.sign(HEAD))
    assert refused(key, 1, changed)


@pytest.mark.parametrize(
    "offer", ["", "x", "00", "00" * 16, "00" * 16 + " ", "00" * 16 + " " + "00" * 32, "zz " * 3, "é", "00 " * 10**5]
)
def test_who_offers_no_proof_is_refused(offer: str) -> None:
    with pytest.raises(ClusterSecretRejected):
        ClusterSecret(SECRET).accept(offer)


def test_the_offer_of_who_knows_another_secret_is_refused() -> None:
    with pytest.raises(ClusterSecretRejected):
        ClusterSecret(SECRET).accept(ClusterSecret(OTHER).offer().text)


def test_a_recorded_offer_opens_a_session_in_which_its_thief_can_sign_nothing() -> None:
    recorded = ClusterSecret(SECRET).offer()
    first, _ = ClusterSecret(SECRET).accept(recorded.text)
    _, key = ClusterSecret(SECRET).accept(recorded.text)
    assert refused(key, 1, recorded.conclude(first).sign(HEAD))


def test_a_server_that_does_not_know_the_secret_is_found_out() -> None:
    offer = ClusterSecret(SECRET).offer()
    recorded, _ = ClusterSecret(SECRET).accept(ClusterSecret(SECRET).offer().text)
    for answer in (recorded, offer.text, "", "00" * 16 + " " + "00" * 32):
        with pytest.raises(ClusterSecretRejected):
            offer.conclude(answer)


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (ClusterSecret(SECRET), ClusterSecret(OTHER, SECRET)),
        (ClusterSecret(OTHER, SECRET), ClusterSecret(SECRET)),
        (ClusterSecret(OTHER, SECRET), ClusterSecret(OTHER, SECRET)),
        (ClusterSecret(OTHER, SECRET), ClusterSecret(OTHER)),
    ],
)
def test_while_the_secret_is_changed_the_old_and_the_new_understand_each_other(
    client: ClusterSecret, server: ClusterSecret
) -> None:
    session, key = open_session(client, server)
    assert not refused(key, 1, session.sign(HEAD))


def test_a_body_is_the_one_whose_digest_was_signed() -> None:
    verify_body(b"{}", body_digest(b"{}"))
    verify_body(b"", "")
    for digest in ("", body_digest(b"{ }"), "sha-256=::", "é\udcff"):
        with pytest.raises(ClusterSecretRejected):
            verify_body(b"{}", digest)


def test_the_digest_of_a_body_is_written_as_the_standard_says() -> None:
    """The example of RFC 9530, appendix B.1."""
    assert body_digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


def test_every_purpose_has_a_key_of_its_own() -> None:
    keys = {derive_key(secret, context) for secret in (SECRET, OTHER) for context in ("cookies", "links", "session")}
    assert len(keys) == 6
    assert ClusterSecret(OTHER, SECRET).derive_keys("links") == (
        derive_key(OTHER, "links"),
        derive_key(SECRET, "links"),
    )


def test_the_secret_is_not_in_the_repr() -> None:
    assert SECRET not in repr(ClusterSecret(SECRET))
    assert SECRET not in str(ClusterSecret(SECRET))
