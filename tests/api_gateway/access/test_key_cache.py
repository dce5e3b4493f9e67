"""What the gateway remembers of keys: for how long, how much, and what it does while no master answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from api_gateway.access.key_cache import KeyCache
from common.api_keys import KeyRecord, make_key
from common.errors import KeyUnknown, NoMasterAnswers, Unavailable
from tests.support.clocks import StepClock
from tests.support.metadata import NOW
from tests.support.waiting import InBackground

SECONDS = 5.0


class Masters:
    """Stands where the gateway's calls leave the process: the keys, as the masters would know them."""

    def __init__(self) -> None:
        self.keys: dict[str, KeyRecord] = {}
        self.is_reachable = True
        self.calls = 0
        self.before_answer: Callable[[], None] = lambda: None

    def make(self) -> KeyRecord:
        _, record = make_key("k", ("read",), "", NOW)
        self.keys[record.key_id] = record
        return record

    def revoke(self, key_id: str) -> KeyRecord:
        self.keys[key_id] = replace(self.keys[key_id], revoked_at=NOW)
        return self.keys[key_id]

    def find_key(self, key_id: str) -> KeyRecord:
        found = self.keys.get(key_id)
        self._answer()
        if found is None:
            raise KeyUnknown(key_id)
        return found

    def list_keys(self, after: str, limit: int, is_active_only: bool = False) -> list[KeyRecord]:
        found = [key for key in self.keys.values() if key.revoked_at is None or not is_active_only]
        self._answer()
        return found[:limit]

    def _answer(self) -> None:
        self.calls += 1
        self.before_answer()
        if not self.is_reachable:
            raise NoMasterAnswers("no master")


class Scene:
    def __init__(self, max_keys: int = 100) -> None:
        self.masters, self.clock = Masters(), StepClock()
        self.cache = KeyCache(self.masters, self.clock, SECONDS, max_keys)  # type: ignore[arg-type]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_key_is_asked_for_once_in_its_time(scene: Scene) -> None:
    record = scene.masters.make()
    assert scene.cache.known(record.key_id) is None
    for _ in range(3):
        assert scene.cache.find(record.key_id) == record
        assert scene.cache.known(record.key_id) == record
    assert scene.masters.calls == 1
    scene.clock.now += SECONDS
    assert scene.cache.known(record.key_id) is None
    assert scene.cache.find(record.key_id) == record
    assert scene.masters.calls == 2


def test_a_revoked_key_is_known_as_such_when_its_time_is_over(scene: Scene) -> None:
    record = scene.masters.make()
    assert scene.cache.find(record.key_id) == record
    revoked = scene.masters.revoke(record.key_id)
    scene.clock.now += SECONDS
    assert scene.cache.find(record.key_id) == revoked


def test_what_was_revoked_here_is_known_at_once(scene: Scene) -> None:
    record = scene.masters.make()
    assert scene.cache.find(record.key_id) == record
    assert scene.cache.is_any()
    scene.cache.note(scene.masters.revoke(record.key_id))
    assert (scene.cache.known(record.key_id) or record).revoked_at == NOW
    assert not scene.cache.is_any()


def test_the_first_key_that_is_made_here_counts_at_once(scene: Scene) -> None:
    assert not scene.cache.is_any()
    assert not scene.cache.is_any()
    assert scene.masters.calls == 1
    scene.cache.note(scene.masters.make())
    assert scene.cache.is_any()
    assert scene.masters.calls == 1


def test_a_key_that_is_made_elsewhere_counts_after_the_time(scene: Scene) -> None:
    assert not scene.cache.is_any()
    scene.masters.make()
    scene.clock.now += SECONDS
    assert scene.cache.is_any()


def test_an_answer_that_was_older_than_a_key_made_here_does_not_undo_it(scene: Scene) -> None:
    scene.masters.before_answer = lambda: scene.cache.note(make_key("k", ("read",), "", NOW)[1])
    assert scene.cache.is_any()
    assert scene.cache.is_any()


def test_an_answer_that_was_older_than_a_revocation_here_does_not_undo_it(scene: Scene) -> None:
    record = scene.masters.make()
    scene.masters.before_answer = lambda: scene.cache.note(scene.masters.revoke(record.key_id))
    for found in (scene.cache.find(record.key_id), scene.cache.known(record.key_id)):
        assert (found or record).revoked_at == NOW


def test_while_no_master_answers_what_is_known_goes_on_and_nothing_else(scene: Scene) -> None:
    record = scene.masters.make()
    assert scene.cache.find(record.key_id) == record
    assert scene.cache.is_any()
    scene.masters.is_reachable = False
    for _ in range(3):
        scene.clock.now += 100 * SECONDS
        assert scene.cache.find(record.key_id) == record
        assert scene.cache.is_any()
    with pytest.raises(Unavailable):
        scene.cache.find("0" * 16)
    scene.masters.is_reachable = True
    scene.masters.revoke(record.key_id)
    scene.clock.now += SECONDS
    assert (scene.cache.find(record.key_id) or record).revoked_at == NOW


def test_where_no_master_has_ever_answered_it_is_not_known_whether_there_is_a_key(scene: Scene) -> None:
    scene.masters.is_reachable = False
    with pytest.raises(Unavailable):
        scene.cache.is_any()


def test_a_key_that_there_is_not_is_asked_for_every_time_and_takes_no_place() -> None:
    scene = Scene(max_keys=2)
    kept = [scene.masters.make().key_id for _ in range(2)]
    for key_id in kept:
        scene.cache.find(key_id)
    for number in range(10):
        assert scene.cache.find(f"{number:016x}") is None
    assert scene.masters.calls == 12
    assert all(scene.cache.known(key_id) for key_id in kept)


def test_the_key_that_was_not_used_for_longest_makes_room() -> None:
    scene = Scene(max_keys=2)
    first, second, third = (scene.masters.make().key_id for _ in range(3))
    for key_id in (first, second, first, third):
        scene.cache.find(key_id)
    assert [bool(scene.cache.known(key_id)) for key_id in (first, second, third)] == [True, False, True]


def test_while_one_asks_again_the_others_go_on(scene: Scene) -> None:
    record = scene.masters.make()
    scene.cache.find(record.key_id)
    scene.clock.now += SECONDS
    is_asking, may_answer = threading.Event(), threading.Event()

    def wait() -> None:
        is_asking.set()
        may_answer.wait(20)

    scene.masters.before_answer = wait
    asking = InBackground(lambda: scene.cache.find(record.key_id))
    assert is_asking.wait(20)
    assert scene.cache.find(record.key_id) == record
    may_answer.set()
    assert asking.result() == record
    assert scene.masters.calls == 2
