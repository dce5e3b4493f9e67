"""Which workers a chunk goes to."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from common.errors import ClusterFull, NotEnoughWorkers
from common.records import Placement, Target
from master_node.placement import Candidate, place_chunks
from tests.support.metadata import CHUNK_SIZE

ROOM = 2 * CHUNK_SIZE


def worker(name: str, *, zone: str = "", free_bytes: int = 10**12, is_doubtful: bool = False) -> Candidate:
    return Candidate(Target(name, f"http://{name}"), zone, free_bytes, is_doubtful)


def workers(count: int) -> list[Candidate]:
    return [worker(f"w{number}") for number in range(count)]


def place(
    candidates: list[Candidate], count: int = 1, *, start: int = 0, factor: int = 3, quorum: int = 2, seed: int = 1
) -> tuple[Placement, ...]:
    return place_chunks(
        candidates,
        start=start,
        count=count,
        chunk_size_bytes=CHUNK_SIZE,
        replication_factor=factor,
        write_quorum=quorum,
        rng=random.Random(seed),
    )


def names(placement: Placement) -> list[str]:
    return [target.worker_id for target in placement.targets]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 20])
def test_no_worker_is_named_twice_for_a_chunk_and_all_follow_as_spares(count: int) -> None:
    for placement in place(workers(count), 100):
        assert sorted(names(placement)) == sorted(f"w{number}" for number in range(count))


def test_targets_carry_the_addresses_of_their_workers() -> None:
    assert set(place(workers(3))[0].targets) == {Target(f"w{number}", f"http://w{number}") for number in range(3)}


def test_chunks_are_numbered_from_the_start_asked_for() -> None:
    assert [placement.index for placement in place(workers(3), 4, start=7)] == [7, 8, 9, 10]
    assert place(workers(3), 0) == ()


@pytest.mark.parametrize("seed", range(20))
def test_the_first_replicas_are_spread_over_all_zones(seed: int) -> None:
    candidates = [worker(f"{zone}{number}", zone=zone) for zone in "abc" for number in range(3)]
    for placement in place(candidates, 20, seed=seed):
        assert {name[0] for name in names(placement)[:3]} == set("abc")
        assert {name[0] for name in names(placement)[3:6]} == set("abc")


@pytest.mark.parametrize("seed", range(20))
def test_two_zones_share_three_replicas(seed: int) -> None:
    candidates = [worker(f"{zone}{number}", zone=zone) for zone in "ab" for number in range(4)]
    for placement in place(candidates, 20, seed=seed):
        assert sorted(Counter(name[0] for name in names(placement)[:3]).values()) == [1, 2]


def test_a_zone_with_one_worker_gets_a_replica_of_everything() -> None:
    candidates = [*(worker(f"a{number}", zone="a") for number in range(9)), worker("b0", zone="b")]
    assert all("b0" in names(placement)[:2] for placement in place(candidates, 100))


def test_chance_follows_free_space() -> None:
    candidates = [worker("small", free_bytes=10**11), worker("middle", free_bytes=2 * 10**11)]
    candidates.append(worker("large", free_bytes=7 * 10**11))
    first = Counter(names(placement)[0] for placement in place(candidates, 10_000, factor=1, quorum=1))
    # Binomial deviation: at most 50 for 10,000; ten of them are allowed.
    assert abs(first["small"] - 1000) < 500
    assert abs(first["middle"] - 2000) < 500
    assert abs(first["large"] - 7000) < 500


def test_workers_alike_are_used_alike() -> None:
    used = Counter(name for placement in place(workers(5), 10_000) for name in names(placement)[:3])
    assert all(abs(used[f"w{number}"] - 6000) < 500 for number in range(5))


def test_the_same_seed_places_alike_and_another_does_not() -> None:
    assert place(workers(5), 50, seed=1) == place(workers(5), 50, seed=1)
    assert place(workers(5), 50, seed=1) != place(workers(5), 50, seed=2)


@pytest.mark.parametrize("seed", range(10))
def test_doubtful_workers_come_last_whatever_their_zone_or_space(seed: int) -> None:
    candidates = [*workers(3), worker("late", zone="other", free_bytes=10**15, is_doubtful=True)]
    for placement in place(candidates, 20, seed=seed):
        assert names(placement)[-1] == "late"


def test_doubtful_workers_are_used_where_others_do_not_suffice() -> None:
    candidates = [worker("good"), worker("late1", is_doubtful=True), worker("late2", is_doubtful=True)]
    placement = place(candidates)[0]
    assert names(placement)[0] == "good"
    assert len(placement.targets) == 3


def test_a_full_worker_is_passed_over() -> None:
    candidates = [*workers(3), worker("full", free_bytes=ROOM - 1), worker("room", free_bytes=ROOM)]
    found = {name for placement in place(candidates, 200) for name in names(placement)}
    assert found == {"w0", "w1", "w2", "room"}


@pytest.mark.parametrize(("alive", "factor", "quorum"), [(0, 3, 2), (1, 3, 2), (2, 3, 3), (0, 1, 2), (3, 5, 4)])
def test_too_few_workers_for_a_quorum_is_an_error(alive: int, factor: int, quorum: int) -> None:
    with pytest.raises(NotEnoughWorkers) as caught:
        place(workers(alive), factor=factor, quorum=quorum)
    assert caught.value.context["alive"] == alive
    assert caught.value.context["needed"] == min(factor, quorum)


@pytest.mark.parametrize(("alive", "factor", "quorum"), [(1, 1, 2), (2, 3, 2), (1, 3, 1), (2, 2, 5)])
def test_a_quorum_of_workers_is_enough(alive: int, factor: int, quorum: int) -> None:
    assert len(place(workers(alive), factor=factor, quorum=quorum)[0].targets) == alive


@pytest.mark.parametrize("with_room", [0, 1])
def test_workers_that_are_alive_but_full_are_another_error(with_room: int) -> None:
    candidates = [*workers(with_room), *(worker(f"full{number}", free_bytes=ROOM - 1) for number in range(5))]
    with pytest.raises(ClusterFull) as caught:
        place(candidates)
    assert caught.value.context["with_room"] == with_room


def test_a_worker_with_no_free_byte_does_not_break_the_lottery() -> None:
    assert len(place([*workers(2), worker("empty", free_bytes=0)])[0].targets) == 2
