"""Group commit: everything happens once, failures stay with those whom they concern, and nobody waits for ever."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.errors import MetadataUnavailable
from master_node.store.group_commit import GroupCommit
from tests.support.threads import run_together
from tests.support.waiting import wait_until

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE names (name TEXT PRIMARY KEY);
CREATE TABLE promises (name TEXT REFERENCES names (name) DEFERRABLE INITIALLY DEFERRED);
"""
NORMAL, FULL = 1, 2


class Log:
    """A database of names, a GroupCommit on it, and the statements that its connection has seen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path, timeout=0.05, isolation_level=None, check_same_thread=False)
        self.connection.executescript(SCHEMA)
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)
        self.commits = GroupCommit(self.connection, max_batch=8)

    def names(self) -> list[str]:
        other = sqlite3.connect(self.path)
        found = [name for (name,) in other.execute("SELECT name FROM names ORDER BY name")]
        other.close()
        return found

    def batch(self, operations: Sequence[Callable[[], Any]]) -> list[Any]:
        """What these calls of `run` return or raise when all of them come, in this order, while a commit is busy."""
        is_busy, go_on = threading.Event(), threading.Event()

        def block(_: sqlite3.Connection) -> None:
            is_busy.set()
            assert go_on.wait(30)

        with ThreadPoolExecutor(len(operations) + 1) as pool:
            first = pool.submit(self.commits.run, block)
            assert is_busy.wait(30)
            futures: list[Future[Any]] = []
            for operation in operations:
                futures.append(pool.submit(operation))
                wait_until(lambda: len(self.commits._queue) == len(futures), "everything is queued")
            go_on.set()
            first.result(30)
            return [future.exception(30) or future.result() for future in futures]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "m.sqlite3")
    yield log
    log.commits.close()


def insert(name: str) -> Callable[[sqlite3.Connection], str]:
    def operation(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO names VALUES (?)", (name,))
        return name

    return operation


def break_the_commit(connection: sqlite3.Connection) -> None:
    """A deferred constraint: the statement succeeds, and SQLite refuses the COMMIT."""
    connection.execute("INSERT INTO promises VALUES ('nobody')")


def lose_the_transaction(connection: sqlite3.Connection) -> None:
    """What SQLite does by itself at some errors of the disk."""
    connection.execute("ROLLBACK")
    raise sqlite3.OperationalError("disk I/O error")


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - errors are outcomes here
        return error


def test_each_caller_gets_its_own_result(log: Log) -> None:
    assert [log.commits.run(insert(name)) for name in "abc"] == ["a", "b", "c"]
    assert log.names() == ["a", "b", "c"]


def test_writes_that_come_during_a_commit_share_the_next_ones_up_to_the_limit(log: Log) -> None:
    names = [f"{number:02d}" for number in range(20)]
    outcomes = log.batch([lambda name=name: log.commits.run(insert(name)) for name in names])
    assert outcomes == names == log.names()
    assert log.statements.count("COMMIT") == 1 + 3  # the busy one; then 8, 8 and 4


def test_many_threads_get_everything_done_exactly_once(log: Log) -> None:
    def write(thread: int) -> list[str]:
        return [log.commits.run(insert(f"{thread:02d} {number:03d}")) for number in range(50)]

    written = run_together([lambda thread=thread: write(thread) for thread in range(32)])
    assert sorted(name for names in written for name in names) == log.names()
    assert len(log.names()) == 32 * 50


def test_a_constraint_that_fails_leaves_the_others_of_its_batch_alone(log: Log) -> None:
    log.commits.run(insert("taken"))
    outcomes = log.batch([lambda name=name: log.commits.run(insert(name)) for name in ("a", "taken", "b")])
    assert outcomes[::2] == ["a", "b"]
    assert isinstance(outcomes[1], sqlite3.IntegrityError)
    assert log.names() == ["a", "b", "taken"]


def test_an_operation_of_several_statements_that_fails_half_way_changes_nothing(log: Log) -> None:
    def insert_two(connection: sqlite3.Connection) -> None:
        insert("half")(connection)
        insert("a")(connection)

    outcomes = log.batch(
        [
            lambda: log.commits.run(insert("a")),
            lambda: log.commits.run(insert_two, is_one_statement=False),
            lambda: log.commits.run(insert("b")),
        ]
    )
    assert outcomes[::2] == ["a", "b"]
    assert isinstance(outcomes[1], sqlite3.IntegrityError)
    assert log.names() == ["a", "b"]


@pytest.mark.parametrize("breaker", [break_the_commit, lose_the_transaction])
def test_a_transaction_that_fails_is_reported_to_everyone_in_it(
    log: Log, breaker: Callable[[sqlite3.Connection], None]
) -> None:
    log.commits.run(insert("before"))
    calls = [
        lambda: log.commits.run(insert("a")),
        lambda: log.commits.run(breaker),
        lambda: log.commits.run(insert("a")),  # a constraint that only this transaction would have broken
        lambda: log.commits.run(insert("b"), is_relaxed=True),
    ]
    outcomes = log.batch(calls)
    assert [type(error) for error in outcomes] == [MetadataUnavailable] * 4
    assert len({id(error) for error in outcomes}) == 4
    assert log.names() == ["before"]
    assert log.commits.run(insert("after")) == "after"
    assert log.names() == ["after", "before"]


def test_a_cursor_is_never_handed_to_another_thread(log: Log) -> None:
    """Its end there would reset a statement that the connection is running."""
    with pytest.raises(sqlite3.ProgrammingError):
        log.commits.run(lambda connection: connection.execute("SELECT 1"))


def test_a_failed_commit_does_not_keep_the_database_locked(log: Log) -> None:
    with pytest.raises(MetadataUnavailable):
        log.commits.run(break_the_commit)
    other = sqlite3.connect(log.path, timeout=0.05, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_after_a_failed_commit_the_log_is_brought_to_the_disk_before_anything_else(log: Log) -> None:
    log.commits.run(insert("relaxed"), is_relaxed=True)
    with pytest.raises(MetadataUnavailable):
        log.commits.run(break_the_commit)
    reader = sqlite3.connect(log.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM names").fetchall()
    with pytest.raises(MetadataUnavailable, match="still in use"):
        log.commits.run(insert("too early"))
    reader.close()
    log.commits.run(insert("after"))
    assert log.names() == ["after", "relaxed"]


def test_a_locked_database_is_reported_to_everyone_in_the_batch(log: Log) -> None:
    other = sqlite3.connect(log.path, isolation_level=None, check_same_thread=False)
    calls = [lambda name=name: log.commits.run(insert(name)) for name in "abc"]
    other.execute("BEGIN IMMEDIATE")
    outcomes = run_together([lambda call=call: outcome(call) for call in calls])
    other.close()
    assert [type(error) for error in outcomes] == [MetadataUnavailable] * 3
    assert log.names() == []


@pytest.mark.parametrize(
    ("are_relaxed", "level"),
    [([True], NORMAL), ([False], FULL), ([True, True], NORMAL), ([True, False, True], FULL), ([False, False], FULL)],
)
def test_a_batch_is_synced_unless_all_of_it_is_relaxed(log: Log, are_relaxed: list[bool], level: int) -> None:
    def see_level(connection: sqlite3.Connection) -> int:
        found: int = connection.execute("PRAGMA synchronous").fetchone()[0]
        return found

    # Twice, because SQLite obeys this pragma when it is compiled, and compiled statements are kept.
    for _ in range(2):
        for before in (True, False):
            log.commits.run(insert(f"{random.random()}"), is_relaxed=before)
            run = [lambda relaxed=relaxed: log.commits.run(see_level, is_relaxed=relaxed) for relaxed in are_relaxed]
            assert log.batch(run) == [level] * len(are_relaxed)


def test_a_leader_that_is_interrupted_leaves_nobody_waiting(log: Log) -> None:
    def interrupt(_: sqlite3.Connection) -> None:
        raise KeyboardInterrupt

    def run_interrupted() -> BaseException | None:
        try:
            log.commits.run(interrupt)
        except BaseException as error:  # noqa: BLE001 - it must not end the pool's thread
            return error
        return None

    outcomes = log.batch([run_interrupted, lambda: log.commits.run(insert("a"))])
    assert [type(found) for found in outcomes] == [KeyboardInterrupt, MetadataUnavailable]
    assert log.commits.run(insert("b")) == "b"
    assert log.names() == ["b"]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that starts the tests in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_waiting_caller_that_is_interrupted_leaves_nobody_waiting(log: Log) -> None:
    is_busy, go_on = threading.Event(), threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def block(_: sqlite3.Connection) -> None:
        is_busy.set()
        assert go_on.wait(30)

    def interrupt_then_queue() -> str:
        wait_until(lambda: len(log.commits._queue) == 1, "a write is queued")
        signal.pthread_kill(main, signal.SIGINT)
        wait_until(lambda: not log.commits._queue, "the interrupted one has gone")
        return log.commits.run(insert("b"))

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(log.commits.run, block)
        assert is_busy.wait(30)
        second = pool.submit(interrupt_then_queue)
        with pytest.raises(KeyboardInterrupt):
            log.commits.run(insert("interrupted"))
        wait_until(lambda: len(log.commits._queue) == 1, "a write is queued")
        go_on.set()
        first.result(30)
        assert second.result(30) == "b"
    assert log.names() == ["b"]


def test_under_random_failures_exactly_what_was_acknowledged_is_there(log: Log) -> None:
    breakers = [break_the_commit, lose_the_transaction]

    def write(thread: int) -> list[str]:
        rng, done = random.Random(thread), []
        for number in range(60):
            name = f"{thread:02d} {number:03d}"
            if rng.random() < 0.1:
                assert isinstance(outcome(lambda: log.commits.run(rng.choice(breakers))), MetadataUnavailable)
            elif outcome(lambda name=name: log.commits.run(insert(name), is_relaxed=rng.random() < 0.5)) == name:
                done.append(name)
        return done

    written = run_together([lambda thread=thread: write(thread) for thread in range(16)])
    assert sorted(name for names in written for name in names) == log.names()
    assert log.names()


def test_after_closing_every_write_says_that_the_database_is_gone(tmp_path: Path) -> None:
    log = Log(tmp_path / "m.sqlite3")
    log.commits.close()
    for _ in range(2):
        with pytest.raises(MetadataUnavailable):
            log.commits.run(insert("a"))
