"""Free what the earlier attempts of resumable uploads have left behind: chunks that were placed and do not count.

A chunk that a record names is never freed, whatever the upload's document says, and the record is looked at right
before. It stays so: whoever may yet write a record for an earlier attempt cannot write over that of the short chunk at
the end, for its revision was raised before the look (recording.py); anywhere else it would name what nobody counts.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from itertools import islice

from common.clock import Clock
from common.logs import EventLog
from master_node import model
from master_node.attempts import Loose, Sealed, without
from master_node.claims import Claims
from master_node.freeing import Freeing, Left, holders_of
from master_node.model import Upload
from master_node.passes import PutOff
from master_node.store.base import MetadataStore

BATCH_CHUNKS = 500
# Of an upload that goes on, the youngest ranges stay: chunks of theirs may still be on their way to a worker.
KEPT_RANGES = 16
_MAX_LITTERED = 100
_MAX_TURNS = 10


class LooseChunks:
    """Frees them for garbage collection, on its thread or, an upload each, on several."""

    def __init__(self, store: MetadataStore, freeing: Freeing, claims: Claims, clock: Clock, log: EventLog) -> None:
        self._store = store
        self._freeing = freeing
        self._claims = claims
        self._log = log
        self._put_off = PutOff(clock)

    def next_littered(self, now: float, epoch: int) -> bool:
        """Free some of what one upload has left behind that goes on; False where there is none. Its time goes on, too:
        that nobody sends anything is not changed by this.

        Lost workers are not waited for, or the upload would soon be refused for all that it has left behind: after
        their return an inventory finds what they hold, once the upload is forgotten.
        """
        found = self._store.find_idle_uploads(model.LITTERED, now, _MAX_LITTERED)
        upload = next((one for one in found if not self._put_off.has(one.upload_id)), None)
        if upload is None or upload.resumable is None:
            return False
        # Before anything is asked: whatever comes of it, the others are to have their turn.
        self._put_off.add(upload.upload_id)
        if self._fence_tail(upload):
            _, freed = self._free(upload, _ripe(upload.resumable.loose), epoch, self._freeing.lost_workers())
            self._strike(upload.upload_id, freed)
            if freed:
                # There is something to do only when much has come again; then it may be urgent.
                self._put_off.forget(upload.upload_id)
        return True

    def settle(self, upload: Upload, epoch: int) -> Left:
        """Free everything that a committed upload has left behind, with the records of it that came late."""
        resumable = upload.resumable
        if resumable is None or resumable.sealed is None:
            return Left.NOTHING
        left = self._free_beyond(upload, resumable.sealed, epoch)
        return max(left, self._free(upload, resumable.loose, epoch)[0])

    def free_aborted(self, upload: Upload, epoch: int) -> Left:
        """Free what an aborted upload has left behind; its records, and what is placed now, are the collector's."""
        resumable = upload.resumable
        if resumable is None:
            return Left.NOTHING
        # The short chunk that counts, where an attempt has written over its record and died.
        tail = Loose(resumable.tail_attempt, upload.recorded_count, upload.recorded_count + 1)
        return self._free(upload, (*resumable.loose, *((tail,) if resumable.tail_attempt else ())), epoch)[0]

    def _fence_tail(self, upload: Upload) -> bool:
        """Raise the revision of the short chunk's record, so that nobody who read it for an earlier attempt can write
        over it any more. False where another has just changed it.
        """
        if not upload.tail_bytes:
            return True
        tails = self._store.list_chunks(upload.upload_id, upload.recorded_count, 1)
        return all(self._store.replace_chunks([replace(tail, revision=tail.revision + 1) for tail in tails]))

    def _free(
        self, upload: Upload, going: Sequence[Loose], epoch: int, lost: Set[str] = frozenset()
    ) -> tuple[Left, set[str]]:
        """Free these chunks, but for those that a record names; also says which are freed.

        lost: the workers that need not confirm.
        """
        ids = (one for loose in going for one in loose.ids(upload.upload_id))
        left, freed = Left.NOTHING, set[str]()
        while left is not Left.HELD and (batch := list(islice(ids, BATCH_CHUNKS))):
            claimed = self._claims.claim(batch)
            try:
                named = {chunk.chunk_id for chunk in self._store.find_chunks(sorted(claimed))}
                is_confirmed = self._is_freed(upload, claimed - named, epoch, lost)
            finally:
                self._claims.give_back(claimed)
            if is_confirmed:
                freed |= claimed - named
                left = max(left, Left.NOTHING if len(claimed) == len(batch) else Left.BUSY)
            else:
                left = Left.HELD
        return left, freed

    def _is_freed(self, upload: Upload, chunk_ids: set[str], epoch: int, lost: Set[str]) -> bool:
        """Whether every worker that the upload was placed on has confirmed, but for the lost ones."""
        told = self._freeing.tell_all(upload.workers, sorted(chunk_ids), epoch) if chunk_ids else set(upload.workers)
        return told >= set(upload.workers) - lost

    def _strike(self, upload_id: str, freed: set[str]) -> None:
        """Take what is freed out of the document, as it stands now, or else another time."""
        for _ in range(_MAX_TURNS):
            present = self._store.find_upload(upload_id)
            if present is None or present.resumable is None:
                return
            kept = without(present.resumable.loose, upload_id, freed)
            changed = model.with_loose(present, replace(present.resumable, loose=kept))
            if changed == present or self._store.replace_upload(replace(changed, revision=present.revision + 1)):
                return

    def _free_beyond(self, upload: Upload, sealed: Sealed, epoch: int) -> Left:
        """Free chunks whose records lie beyond the file's end: an attempt that was fenced off wrote them late."""
        strays = self._store.list_chunks(upload.upload_id, sealed.chunk_count, BATCH_CHUNKS)
        if not strays:
            return Left.NOTHING
        claimed = self._claims.claim(chunk.chunk_id for chunk in strays)
        try:
            going = [chunk for chunk in strays if chunk.chunk_id in claimed]
            confirmed = self._freeing.tell_all(holders_of(going), sorted(claimed), epoch)
            is_gone = self._store.delete_chunks(going)
        finally:
            self._claims.give_back(claimed)
        self._log.warning("late_records_freed", upload_id=upload.upload_id, chunks=len(going))
        if not confirmed.issuperset(holders_of(going)):
            return Left.HELD
        return Left.NOTHING if all(is_gone) and len(strays) < BATCH_CHUNKS else Left.BUSY


def _ripe(loose: Sequence[Loose]) -> Sequence[Loose]:
    """All but the youngest."""
    return loose[: max(0, len(loose) - KEPT_RANGES)]
