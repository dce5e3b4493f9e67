"""Group commit: writes that come at the same time share one transaction, and with it one wait for the disk.

Knows the one connection that writes, who commits for whom, and when the disk must be waited for; not what is written.
There is no thread of its own: who finds nobody at work leads. The leader runs the operations that are queued in one
transaction, and before it hands out their outcomes it passes the lead to the first of those that came meanwhile. So
every caller leads one batch at most, and a batch holds what came during the one before.

A *relaxed* operation is one that nobody outside of the database acts upon before a later synced commit; a batch of
nothing else is not synced. In WAL mode a power cut leaves a prefix of the commits, and a synced commit covers all
before it: docs/decisions/007-group-commit.md.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from common.errors import MetadataUnavailable

MAX_BATCH = 64
Result = TypeVar("Result")
Operation = Callable[[sqlite3.Connection], Result]


class GroupCommit:
    """Runs the writes of many threads on one connection."""

    def __init__(self, connection: sqlite3.Connection, max_batch: int = MAX_BATCH) -> None:
        """connection: in autocommit mode, usable from every thread, and from here on by this object alone."""
        self._connection = connection
        self._max_batch = max_batch
        self._in_use = threading.Lock()
        # Guards the queue and the lead. Nobody leads only while the queue is empty; else the leader is its head, or
        # has taken its batch out of it and is committing.
        self._mutex = threading.Lock()
        self._queue: deque[_Entry] = deque()
        self._is_led = False
        self._is_relaxed: bool | None = None
        self._needs_checkpoint = False

    def run(self, operation: Operation[Result], *, is_relaxed: bool = False, is_one_statement: bool = True) -> Result:
        """What `operation` returned, once that is committed; durably, unless `is_relaxed`.

        The operation runs in some caller's thread, inside a transaction that it must not end, together with others.
        What it raises is raised here, and then it alone has changed nothing; one that writes in more than one statement
        must say so for that. It keeps no cursor and returns none: when its thread lets go of one, the statement that it
        ran is reset, in the middle of somebody else's use.
        Raises MetadataUnavailable when the transaction as a whole could not be made.
        """
        entry = _Entry(operation, is_relaxed, is_one_statement)
        with self._mutex:
            self._queue.append(entry)
            entry.leads, self._is_led = not self._is_led, True
        if not entry.leads:
            self._wait(entry)
        if entry.leads:
            self._lead()
        if entry.error is not None:
            raise entry.error
        result: Result = entry.result
        return result

    def close(self) -> None:
        """Close the connection, once no batch is using it; later operations raise MetadataUnavailable."""
        with self._in_use:
            self._connection.close()

    def _wait(self, entry: _Entry) -> None:
        """Until the entry has its outcome, or the lead."""
        try:
            entry.wake.acquire()
        except BaseException:
            # A signal came. Nobody may be left waiting for a leader that has gone.
            with self._mutex:
                if entry in self._queue and not entry.leads:
                    self._queue.remove(entry)
            if entry.leads:
                self._lead()
            raise

    def _lead(self) -> None:
        """Commit one batch, pass the lead on, wake those who wait."""
        with self._mutex:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch))]
        try:
            self._commit_together(batch)
        finally:
            with self._mutex:
                successor = self._queue[0] if self._queue else None
                self._is_led = successor is not None
                if successor is not None:
                    successor.leads = True
            if successor is not None:
                successor.wake.release()
            for entry in batch:
                # A leader does not wait.
                if not entry.leads:
                    entry.wake.release()

    def _commit_together(self, batch: Sequence[_Entry]) -> None:
        """Give every entry its outcome; none has one of its own unless the transaction is committed."""
        with self._in_use:
            try:
                self._begin(all(entry.is_relaxed for entry in batch))
                for entry in batch:
                    self._perform(entry)
                self._commit()
            except BaseException as error:
                # Else the database's write lock would stay with us; if even that fails, the next batch tries again.
                with contextlib.suppress(sqlite3.Error):
                    self._roll_back()
                for entry in batch:
                    entry.error = MetadataUnavailable(f"the SQLite database does not answer: {error!r}")
                if not isinstance(error, sqlite3.Error):
                    raise

    def _begin(self, is_relaxed: bool) -> None:
        self._roll_back()
        if self._needs_checkpoint:
            self._checkpoint()
        if is_relaxed is not self._is_relaxed:
            self._is_relaxed = None
            # Has no effect inside a transaction. NORMAL: commits are not synced; FULL: each is.
            self._connection.execute(f"PRAGMA synchronous = {'NORMAL' if is_relaxed else 'FULL'}")
            self._is_relaxed = is_relaxed
        self._connection.execute("BEGIN IMMEDIATE")

    def _perform(self, entry: _Entry) -> None:
        """Run one operation; a statement that fails is undone by SQLite, several by a savepoint.

        Raises sqlite3.Error when the transaction is lost.
        """
        if not entry.is_one_statement:
            self._connection.execute("SAVEPOINT operation")
        try:
            entry.result = entry.operation(self._connection)
            if isinstance(entry.result, sqlite3.Cursor):
                raise sqlite3.ProgrammingError("an operation returned a cursor")
        except Exception as error:
            entry.result = None
            if not self._connection.in_transaction:
                raise sqlite3.OperationalError(f"the transaction was rolled back: {error}") from error
            entry.error = error
            if not entry.is_one_statement:
                self._connection.execute("ROLLBACK TO operation")
        if not entry.is_one_statement:
            self._connection.execute("RELEASE operation")

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            self._needs_checkpoint = True
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _checkpoint(self) -> None:
        """Bring what was committed before a commit that failed to the disk by another way.

        Where a sync fails, the system may count what it could not write as written. Relaxed commits that were to be
        covered by it would then be a gap in the log, which ends the prefix that survives.
        """
        is_busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if is_busy:
            raise sqlite3.OperationalError("a commit failed, and the log before it is still in use")
        self._needs_checkpoint = False


class _Entry:
    """An operation and its outcome. `wake` is released once for the lead or for the outcome, whichever comes first."""

    def __init__(self, operation: Operation[Any], is_relaxed: bool, is_one_statement: bool) -> None:
        self.operation = operation
        self.is_relaxed = is_relaxed
        self.is_one_statement = is_one_statement
        self.leads = False
        self.wake = threading.Lock()
        self.wake.acquire()
        self.result: Any = None
        self.error: BaseException | None = None
