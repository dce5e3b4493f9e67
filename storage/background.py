"""A thread that does a step again and again until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

from common.errors import DFSError
from common.logs import EventLog

# After a failure, so that it does not fill the log.
_PAUSE_AFTER_ERROR_SECONDS = 10.0


class BackgroundLoop:
    """Runs `step`, which does a bounded piece of work and returns after how many seconds it wants to run again."""

    def __init__(self, name: str, step: Callable[[], float], log: EventLog) -> None:
        self._step = step
        self._log = log
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Run the next step now."""
        self._wake.set()

    def stop(self, seconds: float = 0.0) -> None:
        """End after the step under way, waiting for that at most `seconds`."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                pause_seconds = self._step()
            except (DFSError, OSError) as error:
                self._log.warning("background_failed", loop=self._thread.name, error=str(error))
                pause_seconds = _PAUSE_AFTER_ERROR_SECONDS
            except Exception:  # noqa: BLE001 - the loop's failsafe
                self._log.exception("background_failed", loop=self._thread.name)
                pause_seconds = _PAUSE_AFTER_ERROR_SECONDS
            if not self._stop.is_set():
                self._wake.wait(pause_seconds)
