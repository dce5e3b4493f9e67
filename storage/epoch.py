"""The fencing token: a worker obeys no leader older than the newest it has heard of.

That holds over restarts too, unless the disk was too full to write the epoch down.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from common.durable import write_durably
from common.errors import StaleEpoch


class EpochGate:
    """Remembers the highest epoch seen, on disk (where the disk lets it) before an order of it is carried out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._highest = 0
        self._written = 0

    def recover(self) -> None:
        """Read what an earlier run has seen; a file that cannot be read as a number raises ValueError."""
        if self._path.exists():
            self._highest = self._written = int(self._path.read_text(encoding="ascii"))

    def admit(self, epoch: int) -> None:
        """Raise StaleEpoch for an order of a leader that has been replaced."""
        with self._lock:
            self._refuse_older(epoch)
            self._highest = epoch
            self._write()

    @contextlib.contextmanager
    def step(self, epoch: int) -> Iterator[None]:
        """For each irrevocable step of an order that was admitted: no later epoch begins while it is made.

        Raises StaleEpoch where one has begun since: that leader may have come to count on what the order would undo.
        """
        with self._lock:
            self._refuse_older(epoch)
            yield

    def write_again(self) -> None:
        """Write down what is known, after the file was lost with the rest of the disk."""
        with self._lock:
            self._written = 0
            self._write()

    def _refuse_older(self, epoch: int) -> None:
        if epoch < self._highest:
            raise StaleEpoch(f"epoch {epoch} is over; epoch {self._highest} has begun", highest=self._highest)

    def _write(self) -> None:
        if self._written < self._highest:
            # A disk that is full to the last byte must still take the orders that free it; the next tries again.
            with contextlib.suppress(OSError):
                write_durably(self._path, str(self._highest).encode("ascii"))
                self._written = self._highest
