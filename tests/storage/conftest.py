"""A store has hundreds of folders, which take longer to make and to remove than any test; so they are made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.chunk_store import ChunkStore
from tests.support.chunks import open_store


@pytest.fixture(scope="session")
def _folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest.fixture
def root(_folders: Path) -> Iterator[Path]:
    """A data folder without any file in it; its empty folders may be there already."""
    yield _folders
    for path in _folders.rglob("*"):
        if path.is_file():
            path.unlink()


@pytest.fixture
def store(root: Path) -> ChunkStore:
    """An empty store on `root`."""
    return open_store(root)
