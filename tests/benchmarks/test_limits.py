"""The machine's limits: everything is measured, nothing is left behind, and a failure is not a figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import limits
from benchmarks.disk import drop_from_cache, is_direct_possible
from benchmarks.options import MIB, quick_sizes
from benchmarks.together import TaskFailed, run_together


def test_every_limit_is_measured_and_no_file_is_left(tmp_path: Path) -> None:
    sizes = replace(quick_sizes(), disk_bytes_per_process=4 * MIB, durable_files=2, loopback_bytes=2 * MIB)
    measured = limits.measure(tmp_path / "limits", sizes)
    assert set(measured) == set(limits.MEASURED)
    assert all(value >= 0 for value in measured.values())
    assert list(tmp_path.iterdir()) == []


def test_the_rate_is_that_of_all_processes_from_the_first_start_to_the_last_end() -> None:
    outcome = run_together([_counting(3), _counting(4)])
    assert outcome.amounts == (3, 4)
    assert outcome.rate == pytest.approx(7 / outcome.seconds)


@pytest.mark.parametrize("is_before_the_start", [True, False])
def test_a_process_that_fails_fails_the_measurement(is_before_the_start: bool) -> None:
    def failing(start: Callable[[], None]) -> int:
        if not is_before_the_start:
            start()
        raise ValueError("the disk is gone")

    with pytest.raises(TaskFailed, match=r"the disk is gone|failed before the start"):
        run_together([_counting(1), failing])


def test_a_file_that_is_dropped_from_the_cache_keeps_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10_000)
    drop_from_cache(path)
    assert path.read_bytes() == b"x" * 10_000


def test_the_probe_for_direct_writes_leaves_nothing(tmp_path: Path) -> None:
    assert is_direct_possible(tmp_path) in (True, False)
    assert list(tmp_path.iterdir()) == []


def _counting(amount: int) -> Callable[[Callable[[], None]], int]:
    def task(start: Callable[[], None]) -> int:
        start()
        return amount

    return task
