"""A leader that has been replaced is not obeyed any more, also not after the worker's restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.errors import StaleEpoch
from storage.epoch import EpochGate


def gate_at(path: Path) -> EpochGate:
    """The gate as after a (re)start."""
    gate = EpochGate(path)
    gate.recover()
    return gate


def test_a_new_worker_obeys_any_leader(tmp_path: Path) -> None:
    gate_at(tmp_path / "epoch").admit(0)
    gate_at(tmp_path / "epoch").admit(1)


def test_orders_of_the_same_and_of_later_leaders_are_obeyed(tmp_path: Path) -> None:
    gate = gate_at(tmp_path / "epoch")
    for epoch in (3, 3, 4, 10**17):
        gate.admit(epoch)


def test_an_order_of_a_replaced_leader_is_refused(tmp_path: Path) -> None:
    gate = gate_at(tmp_path / "epoch")
    gate.admit(5)
    for epoch in (4, 0):
        with pytest.raises(StaleEpoch) as caught:
            gate.admit(epoch)
        assert caught.value.context == {"highest": 5}
    gate.admit(5)


def test_a_replaced_leader_is_refused_after_a_restart_too(tmp_path: Path) -> None:
    gate_at(tmp_path / "epoch").admit(12)
    restarted = gate_at(tmp_path / "epoch")
    with pytest.raises(StaleEpoch):
        restarted.admit(11)
    restarted.admit(12)


def test_an_epoch_that_could_not_be_written_down_is_obeyed_and_written_as_soon_as_it_can_be(tmp_path: Path) -> None:
    """A disk that is full to the last byte must take the orders that free it, and must not forget who gave them."""
    path = tmp_path / "away" / "epoch"
    gate = EpochGate(path)
    gate.admit(7)
    with pytest.raises(StaleEpoch):
        gate.admit(6)
    path.parent.mkdir()
    gate.admit(7)
    with pytest.raises(StaleEpoch):
        gate_at(path).admit(6)


@pytest.mark.parametrize("content", [b"", b"five", b"5 6", b"\xff"])
def test_an_unreadable_epoch_stops_the_start(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "epoch").write_bytes(content)
    with pytest.raises(ValueError):  # noqa: PT011 - any reason will do, as long as the worker does not start at 0
        gate_at(tmp_path / "epoch")


def test_of_many_leaders_at_once_the_latest_stays(tmp_path: Path) -> None:
    gate = gate_at(tmp_path / "epoch")

    def admit(epoch: int) -> None:
        try:
            gate.admit(epoch)
        except StaleEpoch:
            return

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(admit, [*range(50, 0, -1), *range(1, 51)]))
    restarted = gate_at(tmp_path / "epoch")
    with pytest.raises(StaleEpoch):
        restarted.admit(49)
    restarted.admit(50)


def test_an_order_that_is_under_way_ends_where_a_later_leader_begins(tmp_path: Path) -> None:
    gate = gate_at(tmp_path / "epoch")
    gate.admit(5)
    with gate.step(5):
        pass
    gate.admit(6)
    with pytest.raises(StaleEpoch), gate.step(5):
        pytest.fail("the step was made")


def test_no_later_leader_begins_in_the_middle_of_a_step(tmp_path: Path) -> None:
    gate = gate_at(tmp_path / "epoch")
    gate.admit(5)
    with ThreadPoolExecutor(1) as executor:
        with gate.step(5):
            later = executor.submit(gate.admit, 6)
            assert not later.done()
        later.result(10)
    with pytest.raises(StaleEpoch):
        gate.admit(5)
