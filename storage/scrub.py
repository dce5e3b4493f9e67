"""Re-read every chunk within a period, slowly, and put aside what is damaged before a reader meets it.

A round goes through the folders in order and is spread evenly over most of the period. Its place is kept across
restarts, and its time is the time that this worker ran: no wall clock is asked when the next chunk is due.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from common.clock import Clock
from common.durable import write_durably
from common.errors import ChunkMissing, DFSError
from common.logs import EventLog
from common.worker_client import INVENTORY_FOLDERS, MAX_INVENTORY_PAGE
from storage.background import BackgroundLoop
from storage.chunk_store import ChunkStore

# A round ends early enough for chunks that wait for a slow disk, or for a worker that was stopped for a while.
_ROUND_SHARE = 0.9
_SAVE_SECONDS = 60.0
_SHORTEST_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class ScrubPlace:
    """How far a round is. elapsed_seconds: the running time of the worker since it began.

    checked = intact + quarantined + missing (freed before its turn) + failed (the disk or the memory did not allow it).
    """

    folder: int = 0
    after: str = ""
    elapsed_seconds: float = 0.0
    checked: int = 0
    intact: int = 0
    quarantined: int = 0
    missing: int = 0
    failed: int = 0
    last_round_completed_at: str = ""

    def counted(self, chunk_id: str, outcome: str) -> ScrubPlace:
        """The place after this chunk. outcome: one of the counters that make up `checked`."""
        counted = {"checked": self.checked + 1, outcome: getattr(self, outcome) + 1}
        return replace(self, after=chunk_id, **counted)


def pause_seconds(progress: float, elapsed_seconds: float, period_seconds: float) -> float:
    """How long the next chunk can wait. progress: the part of the round that is done, from 0 to 1."""
    return max(0.0, progress * _ROUND_SHARE * period_seconds - elapsed_seconds)


class Scrubber:
    """The scrub of one store, on a thread of its own once it is started."""

    def __init__(
        self,
        store: ChunkStore,
        place_file: Path,
        clock: Clock,
        log: EventLog,
        *,
        period_seconds: float,
        bytes_per_second: int,
    ) -> None:
        """bytes_per_second: most that is read, also where the period asks for more; 0: nothing is."""
        self._store = store
        self._place_file = place_file
        self._clock = clock
        self._log = log
        self._period_seconds = period_seconds
        self._bytes_per_second = bytes_per_second
        self._place = ScrubPlace()
        # The chunks of the folder that wait, and how many they were.
        self._waiting: deque[str] = deque()
        self._listed = 0
        self._looked_at = 0.0
        self._saved_at = 0.0
        self._rate = _Rate(clock)
        self._loop = BackgroundLoop("scrub", self.step, log)

    def recover(self) -> None:
        """Go on where the last run was."""
        self._place = _load(self._place_file)
        self._looked_at = self._saved_at = self._clock.monotonic()

    def start(self) -> None:
        self.recover()
        if self._bytes_per_second:
            self._loop.start()

    def stop(self) -> None:
        """End after the chunk under way and write the place down."""
        self._loop.stop(seconds=1.0)
        if self._looked_at and self._bytes_per_second:
            self._save()

    @property
    def period_seconds(self) -> float:
        """The time in which a round is to be done."""
        return self._period_seconds

    @property
    def elapsed_seconds(self) -> float:
        """For how long this worker has run since the round began."""
        return self._place.elapsed_seconds

    def status(self) -> dict[str, Any]:
        """How far it is, for people."""
        place = self._place
        state = "off" if not self._bytes_per_second else "waiting" if self._is_over() else "reading"
        counters = {name: getattr(place, name) for name in ("checked", "intact", "quarantined", "missing", "failed")}
        return {
            "state": state,
            "progress": round(self._progress(), 4),
            "bytes_per_second": round(self._rate.value()),
            **counters,
            "last_round_completed_at": place.last_round_completed_at or None,
        }

    def step(self) -> float:
        """Verify the next chunk if it is due; returns how long to wait."""
        self._count_time()
        pause = pause_seconds(self._progress(), self._place.elapsed_seconds, self._period_seconds)
        if pause > _SHORTEST_PAUSE_SECONDS:
            return min(pause, _LONGEST_PAUSE_SECONDS)
        if self._is_over():
            self._place = ScrubPlace(last_round_completed_at=self._place.last_round_completed_at)
        chunk_id = self._next_chunk()
        if chunk_id is None:
            self._end_round()
            return 0.0
        began_at = self._clock.monotonic()
        size_bytes = self._check(chunk_id)
        return max(0.0, size_bytes / self._bytes_per_second - (self._clock.monotonic() - began_at))

    def _check(self, chunk_id: str) -> int:
        """Verify one chunk and count how it is; returns how many bytes that took."""
        size_bytes, outcome = 0, "failed"
        try:
            size_bytes = os.stat(self._store.path(chunk_id)).st_size
            outcome = "intact" if self._store.verify(chunk_id, is_suspect=False) else "quarantined"
        except (FileNotFoundError, ChunkMissing):
            outcome = "missing"
        except (DFSError, OSError) as error:
            self._log.warning("scrub_failed", chunk_id=chunk_id, error=str(error))
        if outcome == "quarantined":
            self._log.warning("chunk_quarantined", chunk_id=chunk_id, reason="scrub")
        self._rate.add(size_bytes)
        self._place = self._place.counted(chunk_id, outcome)
        self._waiting.popleft()
        return size_bytes

    def _next_chunk(self) -> str | None:
        """The chunk whose turn it is; None at the end of the round."""
        while not self._waiting and not self._is_over():
            page = self._store.list_folder(self._place.folder, self._place.after, MAX_INVENTORY_PAGE)
            self._waiting.extend(chunk.chunk_id for chunk in page)
            self._listed = len(page)
            if not page:
                self._place = replace(self._place, folder=self._place.folder + 1, after="")
        return self._waiting[0] if self._waiting else None

    def _end_round(self) -> None:
        self._place = replace(self._place, last_round_completed_at=self._clock.timestamp())
        counters = {name: getattr(self._place, name) for name in ("checked", "quarantined", "missing", "failed")}
        self._log.info("scrub_round_completed", **counters)
        self._save()

    def _is_over(self) -> bool:
        return self._place.folder >= INVENTORY_FOLDERS

    def _progress(self) -> float:
        done = (self._listed - len(self._waiting)) / self._listed if self._waiting else 0.0
        return min(1.0, (self._place.folder + done) / INVENTORY_FOLDERS)

    def _count_time(self) -> None:
        now = self._clock.monotonic()
        elapsed_seconds = self._place.elapsed_seconds + now - self._looked_at
        self._place = replace(self._place, elapsed_seconds=elapsed_seconds)
        self._looked_at = now
        if now - self._saved_at >= _SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        """Not for each chunk: what was read since the last time is read again after a crash, no more."""
        self._saved_at = self._clock.monotonic()
        with contextlib.suppress(OSError):
            write_durably(self._place_file, json.dumps(asdict(self._place)).encode())


class _Rate:
    """Bytes per second over the last minute or so."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_at = clock.monotonic()
        self._bytes = 0
        self._last = 0.0

    def add(self, size_bytes: int) -> None:
        self._turn()
        self._bytes += size_bytes

    def value(self) -> float:
        self._turn()
        return self._last

    def _turn(self) -> None:
        seconds = self._clock.monotonic() - self._began_at
        if seconds >= _SAVE_SECONDS:
            self._last, self._bytes, self._began_at = self._bytes / seconds, 0, self._clock.monotonic()


def _load(path: Path) -> ScrubPlace:
    """The place of the last run; the beginning where there is none that can be read."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ScrubPlace()
    return _place_of(written) if isinstance(written, dict) else ScrubPlace()


def _place_of(written: Mapping[str, Any]) -> ScrubPlace:
    start = ScrubPlace()
    known: dict[str, Any] = {}
    for item in fields(ScrubPlace):
        value: Any = written.get(item.name)
        if type(value) is not type(getattr(start, item.name)) or (not isinstance(value, str) and value < 0):
            return start
        known[item.name] = value
    return ScrubPlace(**known)
