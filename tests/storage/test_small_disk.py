"""A real file system that is full, has no inode left, or is read-only: the store says so and serves the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from common.environment import PROJECT_ROOT


def _can_mount() -> bool:
    """Whether this user may mount a file system that only one process sees."""
    if sys.platform != "linux":
        return False
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(probe, capture_output=True, check=False, timeout=30).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not _can_mount(), reason="this user may not mount anything on this machine")

_BEGIN = """
import subprocess, sys
from pathlib import Path
import pytest
from common.errors import DiskFailed, DiskFull
from tests.support.chunks import BLOCK, chunk_files, make_chunk, open_store, put, quarantined_files, read_data
root = Path(sys.argv[1])
def fill():
    for number in range(1000):
        try:
            put(store, make_chunk(BLOCK, number))
        except DiskFull:
            return number
    raise AssertionError("the disk does not get full")
def assert_kept(count):
    assert len(chunk_files(root)) == store.usage().chunk_count == open_store(root).usage().chunk_count == count
    for number in range(count):
        assert read_data(store, make_chunk(BLOCK, number)) == make_chunk(BLOCK, number).content
        assert store.verify(make_chunk(BLOCK, number).chunk_id)
store = open_store(root)
"""
_FULL = """
count = fill()
assert count > 2
assert_kept(count)
assert store.delete([make_chunk(BLOCK, 0).chunk_id]) == 1
assert store.put_aside([make_chunk(BLOCK, 1).chunk_id]) == 1
put(store, make_chunk(BLOCK, 0))
with pytest.raises(DiskFull):
    put(store, make_chunk(BLOCK, 1))
assert store.free_quarantined(-1) == 1
put(store, make_chunk(BLOCK, 1))
assert_kept(count)
"""
_READ_ONLY = """
for number in (0, 1):
    put(store, make_chunk(BLOCK, number))
damaged = chunk_files(root)[1]
content = damaged.read_bytes()
damaged.write_bytes(b"x" + content[1:])
subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
good, bad = chunk_files(root)[0].name, damaged.name
with pytest.raises(DiskFailed):
    put(store, make_chunk(BLOCK, 2))
with pytest.raises(DiskFailed):
    store.delete([good])
with pytest.raises(DiskFailed):
    store.put_aside([good])
with pytest.raises(DiskFailed):
    store.verify(bad)
assert store.verify(good)
assert store.find_held([good, bad]) == [good, bad]
assert store.usage().chunk_count == 2
assert quarantined_files(root) == []
subprocess.run(["mount", "-o", "remount,rw", str(root)], check=True)
put(store, make_chunk(BLOCK, 2))
assert not store.verify(bad)
assert store.usage().chunk_count == open_store(root).usage().chunk_count == 2
"""


@pytest.mark.parametrize(
    ("options", "script"),
    [("size=1m", _FULL), ("size=100m,nr_inodes=270", _FULL), ("size=100m", _READ_ONLY)],
    ids=["no space", "no inodes", "read-only"],
)
def test_a_disk_at_its_end_is_told_and_the_rest_is_served(options: str, script: str, tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o {options} none "$1" && exec "$2" -c "$3" "$1"'
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", str(tmp_path), sys.executable, _BEGIN + script],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
