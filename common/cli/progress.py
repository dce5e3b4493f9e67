"""A progress bar of one line, drawn a few times a second at most."""

from __future__ import annotations

import shutil
import threading
from typing import TextIO

from common.clock import Clock

REDRAW_SECONDS = 0.1
_MIB = 1024 * 1024


class Progress:
    """Counts bytes and files of any number of threads. stream: None: nothing is drawn."""

    def __init__(
        self, stream: TextIO | None, clock: Clock, lock: threading.RLock, total_bytes: int | None = None
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = lock
        self._total_bytes = total_bytes
        self._done_bytes = 0
        self._moved_bytes = 0
        self._done_files = 0
        self._started_at = clock.monotonic()
        self._drawn_at = float("-inf")
        self._shown_width = 0

    def add(self, size_bytes: int, *, is_moved: bool = True) -> None:
        """is_moved: False for what was there already, which says nothing about the speed."""
        with self._lock:
            self._done_bytes += size_bytes
            self._moved_bytes += size_bytes if is_moved else 0
            self._draw()

    def add_file(self) -> None:
        with self._lock:
            self._done_files += 1
            self._draw()

    def clear(self) -> None:
        """Take the bar off the screen, so that a line can be printed; the next change draws it again."""
        with self._lock:
            if self._stream is not None and self._shown_width:
                self._stream.write("\r" + " " * self._shown_width + "\r")
                self._stream.flush()
                self._shown_width = 0

    def _draw(self) -> None:
        now = self._clock.monotonic()
        if self._stream is None or now - self._drawn_at < REDRAW_SECONDS:
            return
        self._drawn_at = now
        seconds = max(0.001, now - self._started_at)
        width = shutil.get_terminal_size().columns - 1
        text = self._text(self._moved_bytes / seconds)[:width]
        # Blanks over what is left of a longer one: not every terminal knows a code for that.
        self._stream.write("\r" + text.ljust(self._shown_width))
        self._stream.flush()
        self._shown_width = len(text)

    def _text(self, bytes_per_second: float) -> str:
        done = self._done_bytes / _MIB
        speed = f"{bytes_per_second / _MIB:.1f} MiB/s"
        if self._total_bytes is None:
            return f"{self._done_files:,} files, {done:,.1f} MiB, {speed}"
        share = min(1.0, self._done_bytes / self._total_bytes) if self._total_bytes else 1.0
        bar = ("#" * round(24 * share)).ljust(24, "-")
        left = (self._total_bytes - self._done_bytes) / bytes_per_second if bytes_per_second else 0
        total = self._total_bytes / _MIB
        return f"[{bar}] {share:4.0%} {done:,.1f} of {total:,.1f} MiB, {speed}, {left:.0f} s left"
