"""The pool of chunk buffers: bounded, waited for, given back, never lent twice."""

from __future__ import annotations

import threading

import pytest

from api_gateway.buffers import BufferPool
from common.errors import GatewayBusy
from tests.support.threads import run_together
from tests.support.waiting import InBackground, wait_until

SIZE = 1024


def test_a_buffer_has_the_size_asked_for() -> None:
    pool = BufferPool(2, SIZE, 0.05)
    assert len(pool.acquire()) == pool.size_bytes == SIZE


def test_no_more_buffers_are_lent_than_there_are() -> None:
    pool = BufferPool(3, SIZE, 0.05)
    lent = [pool.acquire() for _ in range(3)]
    assert len({id(buffer) for buffer in lent}) == 3
    with pytest.raises(GatewayBusy):
        pool.acquire()
    assert pool.try_acquire() is None


def test_a_buffer_that_was_given_back_is_lent_again_and_no_new_one_is_made() -> None:
    pool = BufferPool(2, SIZE, 0.05)
    first = pool.acquire()
    pool.release(first)
    assert pool.acquire() is first


def test_whoever_waits_gets_the_buffer_that_another_gives_back() -> None:
    pool = BufferPool(1, SIZE, 20.0)
    lent = pool.acquire()
    waiting = InBackground(pool.acquire)
    with pytest.raises(AssertionError):
        waiting.result(0.05)
    pool.release(lent)
    assert waiting.result() is lent


def test_the_error_says_that_a_retry_may_help() -> None:
    pool = BufferPool(1, SIZE, 0.01)
    pool.acquire()
    with pytest.raises(GatewayBusy) as caught:
        pool.acquire()
    assert caught.value.is_retryable
    assert caught.value.status == 503


def test_one_more_buffer_is_only_for_the_asking_while_fewer_than_half_are_in_use() -> None:
    pool = BufferPool(4, SIZE, 0.05)
    first = pool.acquire()
    second = pool.try_acquire()
    assert second is not None
    assert pool.try_acquire() is None
    third, fourth = pool.acquire(), pool.acquire()
    for buffer in (first, second, third, fourth):
        pool.release(buffer)
    pool.acquire()
    assert pool.try_acquire() is not None


def test_giving_back_more_than_was_lent_is_noticed() -> None:
    pool = BufferPool(1, SIZE, 0.05)
    with pytest.raises(ValueError, match="released too many"):
        pool.release(bytearray(SIZE))


def test_many_threads_never_hold_one_buffer_at_once() -> None:
    pool = BufferPool(4, SIZE, 20.0)
    lock = threading.Lock()
    held: set[int] = set()
    seen: set[int] = set()

    def borrow_again_and_again() -> None:
        for turn in range(200):
            buffer = pool.try_acquire() if turn % 2 else pool.acquire()
            if buffer is None:
                continue
            with lock:
                assert id(buffer) not in held
                held.add(id(buffer))
                seen.add(id(buffer))
                assert len(held) <= 4
            with lock:
                held.remove(id(buffer))
            pool.release(buffer)

    run_together([borrow_again_and_again] * 8)
    assert len(seen) <= 4
    wait_until(lambda: pool.acquire() is not None, "the pool still lends")
