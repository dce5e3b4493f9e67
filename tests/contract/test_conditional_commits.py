"""Fifty uploads that become one path at the same moment, committed by several masters: of those with a condition that
only one can meet exactly one happens, and without conditions all do, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from common.errors import PreconditionFailed, TooManyVersions
from common.settings import MasterSettings
from master_node import file_changes
from master_node.commit import Committer
from master_node.election import Election
from master_node.model import File
from master_node.store.base import MetadataStore
from tests.contract.conftest import Connect
from tests.support.masters import ManualClock, commit_request, outcome_of
from tests.support.metadata import hex_id, make_upload
from tests.support.threads import run_together

RIVALS = 50
MASTERS = 3


def committers(connect: Connect) -> list[tuple[MetadataStore, Committer]]:
    made = []
    for number in range(MASTERS):
        store, clock = connect(), ManualClock()
        election = Election(f"master_{number}", store, clock, 5.0)
        made.append((store, Committer(store, election, MasterSettings(), clock)))
    return made


def commit_together(
    masters: Sequence[tuple[MetadataStore, Committer]], turn: object, path: str, **conditions: str | None
) -> tuple[list[str], list[object]]:
    """The ids of fifty empty uploads, and what became of their commits, each at one of the masters."""
    store = masters[0][0]
    upload_ids = [hex_id((turn, number)) for number in range(RIVALS)]
    for number in range(RIVALS):
        store.insert_upload(make_upload((turn, number)))
    request = commit_request(path, chunks=0, **conditions)

    def commit(number: int) -> object:
        return outcome_of(lambda: masters[number % MASTERS][1].commit(upload_ids[number], request))

    return upload_ids, run_together([lambda number=number: commit(number) for number in range(RIVALS)])


def only_winner(outcomes: Sequence[object]) -> tuple[int, File, bool]:
    won = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, tuple)]
    assert len(won) == 1, outcomes
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == RIVALS - 1, outcomes
    file, is_new = outcomes[won[0]]  # type: ignore[misc]
    return won[0], file, is_new


def test_of_fifty_that_want_a_free_path_one_gets_it(connect: Connect) -> None:
    masters = committers(connect)
    upload_ids, outcomes = commit_together(masters, "free", "p", if_none_match="*")
    number, file, is_new = only_winner(outcomes)
    present = connect().find_file_by_key("a/p")
    assert present == file
    assert (file.file_id, is_new) == (upload_ids[number], True)
    assert (file.last_number, file.old_versions) == (1, ())


@pytest.mark.parametrize("turn", range(3))
def test_of_fifty_that_replace_the_same_content_one_does(connect: Connect, turn: int) -> None:
    masters = committers(connect)
    store, committer = masters[0]
    store.insert_upload(make_upload("first"))
    first, _ = committer.commit(hex_id("first"), commit_request("p", chunks=0))
    etag = first.to_info().etag
    upload_ids, outcomes = commit_together(masters, turn, "p", if_match=etag)
    number, file, is_new = only_winner(outcomes)
    present = connect().find_file_by_key("a/p")
    assert present is not None
    assert present.version is not None
    assert (present.file_id, is_new) == (first.file_id, False)
    assert present.version.version_id == upload_ids[number]
    assert (present.last_number, file.last_number, len(present.old_versions)) == (2, 2, 1)


def test_a_refused_commit_stays_refused_however_often_it_is_repeated(connect: Connect) -> None:
    """Also when its condition has come to hold since: its client was told that it failed."""
    masters = committers(connect)
    upload_ids, outcomes = commit_together(masters, "once", "p", if_none_match="*")
    number, file, _ = only_winner(outcomes)
    store, committer = masters[1]
    assert store.replace_file(file_changes.rename(file, "q", "now"))
    request = commit_request("p", chunks=0, if_none_match="*")
    for loser in [name for name in upload_ids if name != upload_ids[number]][:5]:
        assert isinstance(outcome_of(lambda loser=loser: committer.commit(loser, request)), PreconditionFailed)
    assert store.find_file_by_key("a/p") is None


def test_fifty_without_a_condition_happen_one_after_the_other(connect: Connect) -> None:
    masters = committers(connect)
    upload_ids, outcomes = commit_together(masters, "all", "p")
    assert not [outcome for outcome in outcomes if isinstance(outcome, (PreconditionFailed, TooManyVersions))]
    present = connect().find_file_by_key("a/p")
    assert present is not None
    assert present.version is not None
    versions = [old.version for old in present.old_versions] + [present.version]
    assert [version.number for version in versions] == list(range(1, RIVALS + 1))
    assert sorted(version.version_id for version in versions) == sorted(upload_ids)
