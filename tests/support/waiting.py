"""Wait for a condition, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def wait_until(condition: Callable[[], Result], what: str, seconds: float = 30.0) -> Result:
    """Return the condition's first true value; fails with `what` when there is none within `seconds`."""
    give_up_at = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= give_up_at:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.005)


class InBackground:
    """Runs a function on a thread; `result` gives what it returned, or raises what it raised."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._value: object = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self, seconds: float = 20.0) -> object:
        """Wait for the end; fails when there is none within `seconds`."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"the call has not ended within {seconds:g} s"
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error
