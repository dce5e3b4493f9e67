"""Ctrl-C and SIGTERM end a run in order: everything that was started is stopped before the process ends."""

from __future__ import annotations

import signal
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupts:
    """Raises KeyboardInterrupt at a signal, and again at the next `check`.

    The second time is needed: an exception that is raised while Python runs the callbacks around a fork is printed and
    forgotten (os.register_at_fork).
    """

    def __init__(self) -> None:
        self._came = False

    def install(self) -> None:
        # SIGINT too: a shell that starts this in the background has it ignored.
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def check(self) -> None:
        """Raise KeyboardInterrupt when a signal came."""
        if self._came:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        """From now on: finish stopping even when the user is impatient."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True
        raise KeyboardInterrupt
