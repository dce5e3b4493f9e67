"""What a peer answers with becomes an exception again, whatever a broken or newer peer says."""

from __future__ import annotations

from typing import Any

import pytest

from common.errors import DFSError, DiskFull, InternalError, InvalidRequest, StaleEpoch, error_from_problem


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, InvalidRequest),
        (404, InvalidRequest),
        (499, InvalidRequest),
        (500, InternalError),
        (502, InternalError),
        (599, InternalError),
    ],
)
@pytest.mark.parametrize("problem", [{}, {"code": "of_a_later_release"}, {"code": 5}, {"code": None}, {"code": []}])
def test_an_unknown_code_becomes_an_error_of_the_same_sort(
    status: int, expected: type[DFSError], problem: dict[str, Any]
) -> None:
    error = error_from_problem(status, problem)
    assert type(error) is expected
    assert str(status) in error.detail


def test_a_known_code_decides_whatever_the_status() -> None:
    assert type(error_from_problem(500, {"code": "disk_full"})) is DiskFull


def test_further_members_become_the_context() -> None:
    error = error_from_problem(409, {"code": "stale_epoch", "detail": "over", "highest": 7, "request_id": "r"})
    assert isinstance(error, StaleEpoch)
    assert error.context == {"highest": 7}


@pytest.mark.parametrize("name", ["self", "detail", "title", "status", "code", "type", "instance", "cls", ""])
def test_a_member_of_any_name_does_no_harm(name: str) -> None:
    error = error_from_problem(507, {"code": "disk_full", name: "x"} if name != "code" else {"code": "disk_full"})
    assert type(error) is DiskFull
    assert error.to_problem()["status"] == 507


def test_an_error_without_a_detail_says_its_title() -> None:
    assert DiskFull().to_problem() == {
        "title": DiskFull.title,
        "status": 507,
        "detail": DiskFull.title,
        "code": "disk_full",
    }
    assert str(DiskFull()) == DiskFull.title


def test_a_context_cannot_hide_what_the_problem_must_say() -> None:
    assert DiskFull("why", status=200, code="fine").to_problem()["status"] == 507
    assert DiskFull("why", status=200, code="fine").to_problem()["code"] == "disk_full"
