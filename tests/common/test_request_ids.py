"""One request keeps one id, also on the threads that work for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.request_ids import begin_request, carry_request_id, current_request_id


@pytest.mark.parametrize("received", ["a", "A-1_b.c", "x" * 64])
def test_a_well_formed_id_is_kept(received: str) -> None:
    assert begin_request(received) == received == current_request_id()


@pytest.mark.parametrize("received", [None, "", "x" * 65, "a b", "a\nb", "a\n", "é", "<script>", "a/b"])
def test_anything_else_is_replaced_by_a_new_one(received: str | None) -> None:
    first, second = begin_request(received), begin_request(received)
    assert received != first != second
    assert begin_request(first) == first


def test_another_thread_has_no_id_of_its_own() -> None:
    begin_request("mine")
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(current_request_id()))
    thread.start()
    thread.join()
    assert found == [""]


def test_a_carried_function_runs_under_the_id_of_who_handed_it_over() -> None:
    with ThreadPoolExecutor(1) as executor:
        begin_request("first")
        first = carry_request_id(lambda value: (value, current_request_id()))
        begin_request("second")
        assert executor.submit(first, 5).result() == (5, "first")
        assert executor.submit(first, 6).result() == (6, "first")
        assert executor.submit(current_request_id).result() == ""
