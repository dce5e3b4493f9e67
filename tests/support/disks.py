"""Stands where the masters' calls to workers leave the process: what lies on each disk, and what befalls the call."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from common.errors import ChunkMissing, DFSError, StaleEpoch
from common.worker_client import INVENTORY_FOLDERS, HeldChunk
from tests.support.masters import WORKERS, Master
from tests.support.metadata import make_heartbeat

OLD = 1e6


class WorkerDisks:
    """The disks of five workers, as the worker client shows them to the masters.

    on_call: called before every call with its name, so that a test can change the world between two steps. failing:
    what a worker raises. Orders of an epoch older than the newest seen are refused, as a worker does.
    """

    def __init__(self) -> None:
        self.urls = {f"worker_{number}": make_heartbeat(number).url for number in range(1, 6)}
        self.ages: dict[str, dict[str, float]] = {name: {} for name in self.urls}
        self.quarantine: dict[str, set[str]] = {name: set() for name in self.urls}
        self.corrupt: set[tuple[str, str]] = set()
        self.failing: dict[str, DFSError] = {}
        self.on_call: Callable[[str], None] = lambda _name: None
        self.calls = 0
        self.highest_epoch = 0

    def put(self, chunk_id: str, *worker_ids: str, age_seconds: float = OLD) -> None:
        for worker_id in worker_ids:
            self.ages[worker_id][chunk_id] = age_seconds

    def remove(self, chunk_id: str, *worker_ids: str) -> None:
        for worker_id in worker_ids:
            del self.ages[worker_id][chunk_id]

    def heartbeat(self, master: Master, worker_id: str, incarnation: str = "first", **changes: object) -> None:
        """What the worker says of itself, received by this master."""
        heartbeat = replace(
            make_heartbeat(),
            url=self.urls[worker_id],
            chunk_count=len(self.ages[worker_id]),
            incarnation=incarnation,
            **changes,  # type: ignore[arg-type]
        )
        master.membership.receive(worker_id, heartbeat)

    def look(self, master: Master, worker_ids: Sequence[str] = WORKERS) -> None:
        """What the watch does, after a heartbeat of each of these workers."""
        for worker_id in worker_ids:
            self.heartbeat(master, worker_id)
        master.election.step()
        master.membership.refresh()

    # --- the worker client's calls ---

    def find_held(self, url: str, chunk_ids: Sequence[str]) -> set[str]:
        return set(chunk_ids) & set(self._called("find_held", url))

    def list_inventory(self, url: str, folder: int, after: str, limit: int) -> list[HeldChunk]:
        ages = self._called("list_inventory", url)
        names = sorted(
            name for name in ages if name > after and zlib.crc32(name.encode()) % INVENTORY_FOLDERS == folder
        )
        return [HeldChunk(name, ages[name]) for name in names[:limit]]

    def quarantine_chunks(self, url: str, chunk_ids: Sequence[str], epoch: int) -> None:
        ages = self._called("quarantine_chunks", url)
        if epoch < self.highest_epoch:
            raise StaleEpoch("the epoch is over", highest=self.highest_epoch)
        self.highest_epoch = epoch
        for chunk_id in chunk_ids:
            if ages.pop(chunk_id, None) is not None:
                self.quarantine[self._worker(url)].add(chunk_id)

    def verify_chunk(self, url: str, chunk_id: str) -> bool:
        ages = self._called("verify_chunk", url)
        if chunk_id not in ages:
            raise ChunkMissing("no such replica", chunk_id=chunk_id)
        return (self._worker(url), chunk_id) not in self.corrupt

    def _called(self, name: str, url: str) -> dict[str, float]:
        self.calls += 1
        self.on_call(name)
        worker_id = self._worker(url)
        if worker_id in self.failing:
            raise self.failing[worker_id]
        return self.ages[worker_id]

    def _worker(self, url: str) -> str:
        return next(worker_id for worker_id, known in self.urls.items() if known == url)
