"""Wait for a condition with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], what: str, seconds: float = 20.0) -> Value:
    """The first true value of `condition`; an AssertionError that says `what` was waited for after `seconds`."""
    give_up_at = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() >= give_up_at:
            raise AssertionError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(0.02)
    return value
