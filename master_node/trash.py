"""Emptying the trash, a bounded part at a time. A file that is restored meanwhile stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from common.clock import Clock
from master_node import file_changes
from master_node.election import Election
from master_node.listing import after_prefix
from master_node.model import File
from master_node.quotas.ledger import Ledger
from master_node.store.base import MetadataStore

MAX_FILES = 1000
# Well below the silence after which a gateway asks another master.
MAX_SECONDS = 1.0
# Writes of several threads share one wait for the disk.
_LANES = 8
_PAGE = 64


@dataclass(frozen=True)
class Emptied:
    """deleted: how many files are gone for good now. more: whether some are left."""

    deleted: int
    more: bool


class Trash:
    """The trash of the cluster, as one master empties it."""

    def __init__(
        self, store: MetadataStore, election: Election, ledger: Ledger, clock: Clock, max_files: int = MAX_FILES
    ) -> None:
        """max_files: about so many go in one call."""
        self._store = store
        self._election = election
        self._ledger = ledger
        self._clock = clock
        self._max_files = max_files
        # Its threads start when they are first needed.
        self._executor = ThreadPoolExecutor(_LANES, "trash")

    def empty(self, prefix: str) -> Emptied:
        """Delete files below the prefix for good: a bounded number, for MAX_SECONDS. May be repeated, anywhere.

        Raises MetadataUnavailable.
        """
        start = f"d/{prefix}"
        end, position = after_prefix(start), start
        give_up_at = self._clock.monotonic() + MAX_SECONDS
        deleted = 0
        while deleted < self._max_files and self._clock.monotonic() < give_up_at:
            found = self._store.scan_files(position, end, min(_PAGE, self._max_files), is_inclusive=position == start)
            if not found:
                break
            deleted += sum(self._executor.map(self._purge, found))
            position = found[-1].key
        return Emptied(deleted, more=bool(self._store.scan_files(start, end, 1, is_inclusive=True)))

    def stop(self) -> None:
        self._executor.shutdown()

    def _purge(self, file: File) -> bool:
        """Whether the file is gone; one that was changed meanwhile, by a restore, say, is not."""
        purged = file_changes.purge(file, self._election.clock_seconds(), self._clock.timestamp())
        return self._ledger.replace_file(self._store, file, purged)
