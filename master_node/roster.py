"""Which workers the configuration names now: `config.json` is looked at again whenever it changes.

Only its workers are taken over while a master runs; every other setting needs a start. A file that is not valid changes
nothing, nor does one that is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from common.config import Config, ConfigError, Node
from common.logs import EventLog


class Roster:
    """The workers of this cluster. `look` is called by one thread; the rest by any."""

    def __init__(self, config: Config, load: Callable[[], Config], log: EventLog) -> None:
        """config: as it was at the start; load: reads it again from the same folder, and checks it whole."""
        self._path = config.home / "config.json"
        self._load = load
        self._log = log
        self._workers: Mapping[str, Node] = config.workers
        self._seen = _state_of(self._path)

    def __contains__(self, worker_id: object) -> bool:
        return worker_id in self._workers

    def worker_ids(self) -> tuple[str, ...]:
        """In the order of the configuration."""
        return tuple(self._workers)

    def look(self) -> None:
        """Take over the workers where the file has changed since the last look."""
        # Read before the file: a change amid the reading shows as another change at the next look.
        state = _state_of(self._path)
        # An editor may take the file away for a moment; without it the defaults would be taken over.
        if state is None or state == self._seen:
            return
        self._seen = state
        try:
            workers = self._load().workers
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
            self._log.error("configuration_not_taken_over", problems=problems)
            return
        added, removed = sorted(set(workers) - set(self._workers)), sorted(set(self._workers) - set(workers))
        self._workers = workers
        if added or removed:
            self._log.info("workers_changed", added=added, removed=removed)


def _state_of(path: Path) -> tuple[int, int] | None:
    """What changes with every change of the file; None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
