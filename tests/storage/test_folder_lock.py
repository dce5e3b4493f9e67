"""A data folder serves one worker, one process at a time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from common.errors import CannotStart
from storage.folder_lock import FolderLock


def test_a_worker_takes_its_folder_again_and_again(tmp_path: Path) -> None:
    for _ in range(3):
        lock = FolderLock(tmp_path / "data", "worker_1")
        lock.take()
        lock.release()


def test_another_workers_folder_is_refused_with_its_owner(tmp_path: Path) -> None:
    first = FolderLock(tmp_path, "worker_1")
    first.take()
    first.release()
    with pytest.raises(CannotStart, match="worker_1"):
        FolderLock(tmp_path, "worker_2").take()


def test_a_refused_folder_can_still_be_taken_by_its_owner(tmp_path: Path) -> None:
    owner = FolderLock(tmp_path, "worker_1")
    owner.take()
    owner.release()
    stranger = FolderLock(tmp_path, "worker_2")
    with pytest.raises(CannotStart):
        stranger.take()
    stranger.release()
    FolderLock(tmp_path, "worker_1").take()


@pytest.mark.skipif(sys.platform == "win32", reason="the lock of a folder in use is POSIX only")
def test_a_folder_in_use_is_refused_also_to_its_owner(tmp_path: Path) -> None:
    first = FolderLock(tmp_path, "worker_1")
    first.take()
    with pytest.raises(CannotStart, match="uses the folder"):
        FolderLock(tmp_path, "worker_1").take()
    first.release()
    FolderLock(tmp_path, "worker_1").take()
