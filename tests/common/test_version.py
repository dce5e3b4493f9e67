"""Which releases work together."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from common.errors import IncompatibleRelease
from common.records import Heartbeat
from common.version import OLDEST_PROTOCOL, PROTOCOL, VERSION, require_compatible
from tests.support.metadata import make_heartbeat


@pytest.mark.parametrize("protocol", sorted({OLDEST_PROTOCOL, PROTOCOL}))
def test_a_release_works_with_every_protocol_that_it_names(protocol: int) -> None:
    require_compatible("worker_1", "x", protocol)


@pytest.mark.parametrize("protocol", [OLDEST_PROTOCOL - 1, PROTOCOL + 1])
def test_a_release_of_another_protocol_is_refused_with_both_numbers(protocol: int) -> None:
    with pytest.raises(IncompatibleRelease, match=rf"worker_1 runs release 9\.9.* protocol {protocol};.*{VERSION}"):
        require_compatible("worker_1", "9.9", protocol)


def test_a_heartbeat_of_a_release_without_protocols_spoke_the_first() -> None:
    fields = asdict(make_heartbeat())
    del fields["protocol"]
    assert Heartbeat.from_json(fields).protocol == 1


def test_fields_that_a_later_release_adds_to_a_heartbeat_are_ignored() -> None:
    heartbeat = make_heartbeat()
    assert Heartbeat.from_json({**asdict(heartbeat), "temperature": 40}) == heartbeat
