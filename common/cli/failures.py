"""What can go wrong with a command, and the exit status that a script sees.

Failure                 anything; 1
    UsageFailure        the command line asks for what cannot be; 2
    Unreachable         the gateway did not answer; 3
    Refused             the gateway answered with an error; its HTTP status decides
    Interrupted         somebody pressed Ctrl-C; 130
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import ClassVar

OK, FAILED, USAGE, NOT_REACHABLE, NOT_ALLOWED, NOT_FOUND, CONFLICT, NO_ROOM = range(8)
INTERRUPTED = 130
# 128 + SIGPIPE: what other tools end with when whoever reads their output has gone.
OUTPUT_CLOSED = 141

MEANINGS = {
    OK: "done",
    FAILED: "something failed, differs, or needs attention; also several failures of different kinds",
    USAGE: "the command line is wrong, or a question could not be asked",
    NOT_REACHABLE: "the gateway does not answer, or says that it cannot answer now",
    NOT_ALLOWED: "the key is missing, wrong, or has not the right",
    NOT_FOUND: "there is no such file, worker or key",
    CONFLICT: "the present state forbids it: the path is taken, the file has changed, a condition does not hold",
    NO_ROOM: "no room in the cluster, or larger than allowed",
    INTERRUPTED: "Ctrl-C",
}
_BY_STATUS = {
    401: NOT_ALLOWED,
    403: NOT_ALLOWED,
    404: NOT_FOUND,
    409: CONFLICT,
    410: NOT_FOUND,
    412: CONFLICT,
    413: NO_ROOM,
    429: NOT_REACHABLE,
    502: NOT_REACHABLE,
    503: NOT_REACHABLE,
    504: NOT_REACHABLE,
    507: NO_ROOM,
}
_WORTH_ANOTHER_TRY = (429, 502, 503, 504)


class Failure(Exception):
    """One line for whoever gave the command."""

    exit_status: int = FAILED
    code: str = "failed"
    is_retryable: bool = False
    # Whether the next file would fail in the same way, so that going on with a thousand of them helps nobody.
    ends_everything: bool = False
    retry_after_seconds: float = 0.0


class UsageFailure(Failure):
    exit_status = USAGE
    code = "usage"


class Unreachable(Failure):
    exit_status = NOT_REACHABLE
    code = "not_reachable"
    is_retryable = True
    ends_everything = True


class Untrusted(Unreachable):
    """The gateway's certificate does not hold."""

    code = "certificate"
    is_retryable = False


class Interrupted(Failure):
    exit_status = INTERRUPTED
    code = "interrupted"
    ends_everything = True


class Refused(Failure):
    """The gateway's own error, with its stable code."""

    _ends_everything: ClassVar[tuple[int, ...]] = (401,)

    def __init__(
        self, status: int, code: str, detail: str, request_id: str = "", retry_after_seconds: float = 0.0
    ) -> None:
        super().__init__(f"{code}: {detail}" + (f" (request {request_id})" if request_id else ""))
        self.status = status
        self.code = code
        self.exit_status = _BY_STATUS.get(status, FAILED)
        self.is_retryable = status in _WORTH_ANOTHER_TRY
        self.ends_everything = status in self._ends_everything
        self.retry_after_seconds = retry_after_seconds


def local_failure(error: OSError) -> Failure:
    """An error of this machine's own files."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, os.PathLike)) else ""
    return Failure((f"{name}: " if name else "") + (error.strerror or str(error)))


def common_status(statuses: Iterable[int]) -> int:
    """The exit status of several failures: their own where they agree."""
    distinct = set(statuses)
    return distinct.pop() if len(distinct) == 1 else (FAILED if distinct else OK)


def describe_statuses() -> str:
    """The table of `--help`."""
    return "\n".join(f"  {status:<4} {meaning}" for status, meaning in MEANINGS.items())
