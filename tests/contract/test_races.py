"""Eight masters on one metadata store at once: no update is lost, and of many rivals exactly one wins."""

from __future__ import annotations

from collections.abc import Callable

from master_node.model import Lease
from master_node.store.base import IdTaken, KeyTaken, MetadataStore
from tests.contract.conftest import Connect
from tests.support.metadata import hex_id, make_chunk, make_file, make_heartbeat, make_upload, next_revision
from tests.support.threads import run_together

MASTERS = 8
VERSIONS = 50


def race(connect: Connect, try_once: Callable[[MetadataStore, int], bool]) -> list[bool]:
    """What each of eight masters, with a store of its own, got at the same moment."""
    stores = [connect() for _ in range(MASTERS)]
    return run_together([lambda number=number: try_once(stores[number], number) for number in range(MASTERS)])


def insert(store: MetadataStore, path: str, seed: object) -> bool:
    try:
        store.insert_file(make_file(path, seed=seed))
    except (KeyTaken, IdTaken):
        return False
    return True


def test_no_conditional_replacement_is_lost(connect: Connect) -> None:
    file = make_file("counter")
    connect().insert_file(file)

    def count_up(store: MetadataStore, _: int) -> bool:
        for _ in range(100):
            while True:
                present = store.find_file(file.file_id)
                assert present is not None
                if store.replace_file(next_revision(present, last_number=present.last_number + 1)):
                    break
        return True

    race(connect, count_up)
    end = connect().find_file(file.file_id)
    assert end is not None
    assert end.last_number == file.last_number + 100 * MASTERS
    assert end.revision == file.revision + 100 * MASTERS


def test_one_of_many_inserts_of_the_same_key_wins(connect: Connect) -> None:
    for turn in range(10):
        won = race(connect, lambda store, number, turn=turn: insert(store, f"p{turn}", (turn, number)))
        assert won.count(True) == 1
        winner = connect().find_file_by_key(f"a/p{turn}")
        assert winner is not None
        assert winner.file_id == hex_id((turn, won.index(True)))
    assert len(connect().scan_files("a/", "a0", 100)) == 10


def test_one_of_many_inserts_of_the_same_id_wins(connect: Connect) -> None:
    won = race(connect, lambda store, number: insert(store, f"p{number}", "the same id"))
    assert won.count(True) == 1
    assert [file.path for file in connect().scan_files("a/", "a0", 100)] == [f"p{won.index(True)}"]


def test_one_of_many_renames_onto_the_same_key_wins(connect: Connect) -> None:
    store = connect()
    for number in range(MASTERS):
        store.insert_file(make_file(f"from{number}"))

    def rename(store: MetadataStore, number: int) -> bool:
        try:
            return store.replace_file(next_revision(make_file(f"from{number}"), path="to"))
        except KeyTaken:
            return False

    won = race(connect, rename)
    assert won.count(True) == 1
    left = {f"from{number}" for number in range(MASTERS) if not won[number]}
    assert {file.path for file in store.scan_files("a/", "a0", 100)} == {"to", *left}


def test_one_of_many_removals_wins(connect: Connect) -> None:
    file = make_file("a")
    connect().insert_file(file)
    assert race(connect, lambda store, _: store.delete_file(file.file_id, 1)).count(True) == 1


def test_a_lease_has_one_holder_per_epoch(connect: Connect) -> None:
    holders: dict[int, set[int]] = {}

    def campaign(store: MetadataStore, number: int) -> bool:
        won = 0
        while won < 10:
            lease = store.read_lease()
            epoch = lease.epoch + 1 if lease is not None else 1
            if store.swap_lease(lease, Lease(f"master_{number}", epoch, 0, 0.0)):
                holders.setdefault(epoch, set()).add(number)
                won += 1
        return True

    race(connect, campaign)
    assert all(len(numbers) == 1 for numbers in holders.values())
    assert sorted(holders) == list(range(1, 10 * MASTERS + 1))


def test_no_heartbeat_goes_uncounted_not_even_the_first(connect: Connect) -> None:
    def beat(store: MetadataStore, _: int) -> bool:
        counts = [store.record_heartbeat("worker_1", make_heartbeat()).heartbeat_count for _ in range(10)]
        return counts == sorted(set(counts))

    assert all(race(connect, beat))
    assert connect().list_workers()[0].heartbeat_count == 10 * MASTERS


def test_uploads_are_opened_once_and_changed_by_one(connect: Connect) -> None:
    def open_it(store: MetadataStore, _: int) -> bool:
        try:
            store.insert_upload(make_upload("u"))
        except IdTaken:
            return False
        return True

    assert race(connect, open_it).count(True) == 1
    changed = make_upload("u", state="aborted")
    changed = type(changed)(**{**vars(changed), "revision": 2})
    assert race(connect, lambda store, _: store.replace_upload(changed)).count(True) == 1


def test_chunks_of_many_uploads_are_written_side_by_side(connect: Connect) -> None:
    def write(store: MetadataStore, number: int) -> bool:
        for start in range(0, 100, 25):
            store.insert_chunks([make_chunk(hex_id(number), index, owed=1) for index in range(start, start + 25)])
        return True

    race(connect, write)
    store = connect()
    for number in range(MASTERS):
        assert [chunk.index for chunk in store.list_chunks(hex_id(number), 0, 1000)] == list(range(100))
    assert store.owed().chunks == 100 * MASTERS


def test_many_threads_on_one_store_do_not_disturb_each_other(connect: Connect) -> None:
    store = connect()

    def write(thread: int) -> None:
        for number in range(VERSIONS):
            version_id = hex_id((thread, number))
            store.insert_chunks([make_chunk(version_id, 0)])
            store.insert_chunks([make_chunk(version_id, 1), make_chunk(version_id, 2)])
            assert store.delete_chunks([make_chunk(version_id, 1)]) == [True]

    run_together([lambda thread=thread: write(thread) for thread in range(MASTERS)])
    for thread in range(MASTERS):
        for number in range(VERSIONS):
            version_id = hex_id((thread, number))
            assert store.list_chunks(version_id, 0, 9) == [make_chunk(version_id, 0), make_chunk(version_id, 2)]
