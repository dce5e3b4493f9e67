"""The id under which one request of a client is found in the logs of every service that worked on it."""

from __future__ import annotations

import contextvars
import re
import secrets
from collections.abc import Callable
from typing import TypeVar

HEADER = "X-Request-ID"
Result = TypeVar("Result")

_current: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")


def begin_request(received: str | None) -> str:
    """Make `received` the current id where it is well-formed, else a new random one; returns it."""
    request_id = received if received and _ACCEPTED.fullmatch(received) else secrets.token_hex(8)
    _current.set(request_id)
    return request_id


def current_request_id() -> str:
    """The id of the request that this thread works for; empty outside of one."""
    return _current.get()


def carry_request_id(function: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap `function` so that it runs under the caller's request id on another thread."""
    context = contextvars.copy_context()

    def run(*arguments: object) -> Result:
        return context.copy().run(function, *arguments)

    return run
