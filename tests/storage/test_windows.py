"""Windows are few, aligned, reused, and come back however their use ends."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import ExitStack

import pytest

from common.errors import WorkerBusy
from storage.windows import WindowPool
from tests.support.waiting import InBackground

ALIGNMENT = 4096


def test_a_window_has_its_size_and_begins_at_a_page() -> None:
    with WindowPool(1, 3 * ALIGNMENT + 5, 0.0).window() as window:
        assert len(window) == 3 * ALIGNMENT + 5
        assert ctypes.addressof(ctypes.c_char.from_buffer(window)) % ALIGNMENT == 0


def test_a_window_is_used_again() -> None:
    pool = WindowPool(2, ALIGNMENT, 0.0)
    with pool.window() as first:
        pass
    with pool.window() as second:
        assert second is first


def test_two_users_never_have_the_same_window() -> None:
    pool = WindowPool(8, ALIGNMENT, 0.0)
    with ExitStack() as stack:
        windows = [stack.enter_context(pool.window()) for _ in range(8)]
        assert len({id(window) for window in windows}) == 8


def test_when_all_are_in_use_the_worker_is_busy_until_one_comes_back() -> None:
    pool = WindowPool(2, ALIGNMENT, 0.01)
    with pool.window(), pool.window(), pytest.raises(WorkerBusy), pool.window():
        pytest.fail("there is no third window")
    with pool.window(), pool.window():
        pass


def test_whoever_waits_gets_the_window_that_comes_back() -> None:
    pool = WindowPool(1, ALIGNMENT, 20.0)

    def use() -> mmap.mmap:
        with pool.window() as window:
            return window

    with pool.window() as first:
        waiting = InBackground(use)
    assert waiting.result() is first


def test_a_window_comes_back_from_a_failure() -> None:
    pool = WindowPool(1, ALIGNMENT, 0.0)

    def fail() -> None:
        with pool.window():
            raise RuntimeError

    for _ in range(3):
        with pytest.raises(RuntimeError):
            fail()


def test_where_there_is_no_memory_the_worker_is_busy_and_loses_no_window() -> None:
    pool = WindowPool(1, 2**60, 0.0)
    for _ in range(3):
        with pytest.raises(WorkerBusy, match="memory"), pool.window():
            pytest.fail("no machine has this much")


def test_a_view_of_a_window_does_not_keep_it_from_coming_back() -> None:
    pool = WindowPool(1, ALIGNMENT, 0.0)
    with pool.window() as window:
        view = memoryview(window)[:10]
    with pool.window() as again:
        assert again is window
    assert len(view) == 10
