"""Every write of a file goes through here, so that no quota is exceeded and every sum stays right.

A change is announced in each quota that covers it, then made, then settled. Each is one conditional write of one
document; what a crash leaves announced, the recount settles (quotas/recount.py). Of many writers at once never more
than the quota becomes visible, with one exception: a master that is paused between announcing and writing for longer
than STALE_SECONDS, and then writes after all.

Without quotas it costs a look at an empty list.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator

from common.clock import Clock
from common.errors import DFSError, InvalidRequest, MetadataUnavailable, QuotaUnknown
from master_node.election import Election
from master_node.model import File
from master_node.quotas.model import (
    Announcement,
    Part,
    Quota,
    announce,
    check_room,
    covered,
    parts_of,
    settle,
    with_limits,
)
from master_node.store.base import IdTaken, KeyTaken, MetadataStore

# How long a master goes by what it last read of which quotas there are.
KNOWN_SECONDS = 2.0
# Of a change that was announced so long ago nobody will say any more whether it was made.
STALE_SECONDS = 120.0
# Each turn is lost to another change that succeeded.
MAX_TURNS = 1000
MAX_QUOTAS = 1000


class Ledger:
    """The quotas as one master keeps them. Every method raises MetadataUnavailable."""

    def __init__(self, store: MetadataStore, election: Election, clock: Clock) -> None:
        self._store = store
        self._election = election
        self._clock = clock
        self._known: list[Quota] = []
        self._known_until = float("-inf")

    # --- the writes of files ---

    def insert_file(self, store: MetadataStore, file: File) -> None:
        """As the store's; raises QuotaExceeded or LargerThanQuota, too, and then nothing was written."""
        if not self._quotas():
            store.insert_file(file)
            return
        with self._announced(parts_of(None, file)) as outcome:
            store.insert_file(file)
            outcome.is_made = True

    def replace_file(self, store: MetadataStore, before: File, after: File) -> bool:
        """As the store's; raises QuotaExceeded or LargerThanQuota, too, and then nothing was written.

        before: the file at the revision that is replaced.
        """
        if not self._quotas():
            return store.replace_file(after)
        with self._announced(parts_of(before, after)) as outcome:
            outcome.is_made = store.replace_file(after)
        return outcome.is_made

    def check_early(self, path: str, size_bytes: int) -> None:
        """Raise where a file of this size could not be committed now. The commit decides; this saves sending it."""
        for known in self._quotas():
            if known.covers(path) and (quota := self._store.find_quota(known.prefix)) is not None:
                present = self._store.find_file_by_key(f"a/{path}")
                held = present.version.size_bytes if present is not None and present.version is not None else 0
                check_room(quota, size_bytes - held, 0 if present is not None else 1, size_bytes)

    # --- what an operator sets ---

    def list_all(self) -> list[Quota]:
        """In the order of their prefixes."""
        return self._store.list_quotas()

    def set_limits(self, prefix: str, max_bytes: int | None, max_files: int | None) -> Quota:
        """Limit a prefix; what lies there is counted by the leader, a moment later."""
        if max_bytes is None and max_files is None:
            raise InvalidRequest("a quota needs max_bytes, max_files or both")
        if len(self._store.list_quotas()) >= MAX_QUOTAS:
            raise InvalidRequest(f"there are at most {MAX_QUOTAS} quotas")
        quota = Quota(prefix, max_bytes, max_files, changed_at=self._election.clock_seconds())
        with contextlib.suppress(IdTaken):
            self._store.insert_quota(quota)
            return quota
        changed = self._update(prefix, lambda present: with_limits(present, max_bytes, max_files))
        return changed if changed is not None else self.set_limits(prefix, max_bytes, max_files)

    def remove(self, prefix: str) -> None:
        if not self._store.delete_quota(prefix):
            raise QuotaUnknown("there is no quota of this prefix", prefix=prefix)

    # --- how ---

    def _quotas(self) -> list[Quota]:
        if self._clock.monotonic() >= self._known_until:
            # Several threads may read it at once: no lock is held while the database is asked.
            asked_at = self._clock.monotonic()
            self._known = self._store.list_quotas()
            self._known_until = asked_at + KNOWN_SECONDS
        return self._known

    @contextlib.contextmanager
    def _announced(self, parts: tuple[Part, ...]) -> Iterator[_Outcome]:
        """Announce a change, let it be made, and settle it; where it is not known, the announcement stays."""
        change_id, now = secrets.token_hex(8), self._election.clock_seconds() if parts else 0.0
        announced: dict[str, Announcement] = {}
        outcome = _Outcome()
        try:
            for quota in self._quotas():
                if mine := covered(quota, parts):
                    announcement = Announcement(change_id, mine, now)
                    if self._update(quota.prefix, _announcing(announcement)) is not None:
                        announced[quota.prefix] = announcement
            yield outcome
        except (IdTaken, KeyTaken):
            self._settle(announced, is_made=False)
            raise
        except DFSError as error:
            if not isinstance(error, MetadataUnavailable):
                self._settle(announced, is_made=False)
            raise
        self._settle(announced, is_made=outcome.is_made)

    def _settle(self, announced: dict[str, Announcement], is_made: bool) -> None:
        # The file is written, or is not, whatever becomes of this; a recount finds what is left announced.
        with contextlib.suppress(MetadataUnavailable):
            for prefix, announcement in announced.items():
                self._update(prefix, _settling(announcement, is_made))

    def _update(self, prefix: str, change: Callable[[Quota], Quota]) -> Quota | None:
        """Apply `change` to the quota as it stands; None where it was removed."""
        for _ in range(MAX_TURNS):
            present = self._store.find_quota(prefix)
            if present is None:
                return None
            changed = change(present)
            if self._store.replace_quota(changed):
                return changed
        raise MetadataUnavailable(f"the quota of {prefix!r} is being changed by others all the time")


class _Outcome:
    """Whether the change was made."""

    is_made = False


def _announcing(announcement: Announcement) -> Callable[[Quota], Quota]:
    return lambda quota: announce(quota, announcement)


def _settling(announcement: Announcement, is_made: bool) -> Callable[[Quota], Quota]:
    return lambda quota: settle(quota, announcement, is_made)
