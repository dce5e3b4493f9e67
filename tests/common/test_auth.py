"""Only who knows the cluster's secret is let in, and the secret is never shown."""

from __future__ import annotations

import pytest

from common.auth import HEADER, ClusterSecret
from common.errors import ClusterSecretRejected

SECRET = "the-secret-of-this-cluster"


def test_who_sends_the_secret_is_let_in() -> None:
    secret = ClusterSecret(SECRET)
    secret.verify(secret.headers()[HEADER])
    ClusterSecret(SECRET).verify(SECRET)


@pytest.mark.parametrize(
    "received",
    [None, "", " ", SECRET[:-1], SECRET + "x", SECRET.upper(), f" {SECRET}", f"{SECRET}\n", "Ж", "\udcff", "x" * 10**6],
)
def test_everything_else_is_rejected_without_showing_the_secret(received: str | None) -> None:
    with pytest.raises(ClusterSecretRejected) as caught:
        ClusterSecret(SECRET).verify(received)
    assert SECRET not in str(caught.value.to_problem())


def test_the_secret_is_not_in_the_repr() -> None:
    assert SECRET not in repr(ClusterSecret(SECRET))
    assert SECRET not in str(ClusterSecret(SECRET))
