"""What a command says: results on standard output, everything else on standard error.

With --json standard output has JSON lines and nothing else. Names are shown with control characters escaped, for a
file's name must not drive the terminal; JSON has them exactly.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from typing import Any, TextIO

from common.cli.failures import Failure
from common.cli.progress import Progress
from common.clock import Clock

UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


class Console:
    """The two streams of a command; safe for any number of threads."""

    def __init__(
        self, out: TextIO, err: TextIO, clock: Clock, *, is_json: bool = False, is_quiet: bool = False
    ) -> None:
        self._out = out
        self._err = err
        self._clock = clock
        self.is_json = is_json
        self._is_quiet = is_quiet
        self._lock = threading.RLock()
        self._progress: Progress | None = None
        # What to tell somebody who interrupts the command.
        self.how_to_go_on = ""

    def emit(self, value: Mapping[str, Any], *lines: str) -> None:
        """One result: as JSON, or as these lines for people."""
        with self._lock:
            self._clear_progress()
            for line in [json.dumps(value)] if self.is_json else lines:
                self._out.write(line + "\n")

    def note(self, text: str) -> None:
        """Something worth knowing that is no result."""
        with self._lock:
            self._clear_progress()
            self._err.write(f"dfs: {shown(text)}\n")
            self._err.flush()

    def fail(self, subject: str, failure: Failure) -> None:
        """One line about a failure. subject: which file it is about; empty for the whole command."""
        self.note(f"{subject}: {failure}" if subject else str(failure))

    def ask(self, question: str, answers: TextIO) -> bool:
        """Whether the answer is yes."""
        with self._lock:
            self._err.write(f"{shown(question)} [y/N] ")
            self._err.flush()
        return answers.readline().strip().lower() in ("y", "yes")

    def flush(self) -> None:
        self._out.flush()

    @contextlib.contextmanager
    def progress(self, total_bytes: int | None = None) -> Any:
        """A bar while the block runs; it is drawn on a terminal only."""
        is_drawn = self._err.isatty() and not self._is_quiet
        progress = Progress(self._err if is_drawn else None, self._clock, self._lock, total_bytes)
        self._progress = progress
        try:
            yield progress
        finally:
            with self._lock:
                progress.clear()
                self._progress = None

    def _clear_progress(self) -> None:
        if self._progress is not None:
            self._progress.clear()


def shown(text: str) -> str:
    """The text with control characters, and what is no character at all, escaped."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def size_text(size_bytes: float) -> str:
    """A size for people, in units of 1,024."""
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    for unit in UNITS:
        size_bytes /= 1024
        if size_bytes < 1023.95 or unit == UNITS[-1]:
            return f"{size_bytes:.1f} {unit}"
    raise AssertionError("the last unit fits all")


def count_text(number: int, one: str) -> str:
    """`1 file`, `1,234 files`."""
    return f"{number:,} {one}" + ("" if number == 1 else "s")
