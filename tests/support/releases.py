"""The last release, by its code: the latest tag, else the commit that CHANGELOG.md names for its newest release."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from common.version import OLDEST_PROTOCOL, PROTOCOL, VERSION

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("common", "api_gateway", "master_node", "storage")
# A heading with a date, and the line below it that names the commit.
_RELEASED = re.compile(r"^## \[([0-9.]+)\] - \d{4}-\d\d-\d\d\n+Commit `([0-9a-f]{40})`", re.MULTILINE)


class NoLastRelease(Exception):
    """There is no code of a last release to be had here; the message says why."""


@dataclass(frozen=True)
class Release:
    """revision: as git knows it."""

    name: str
    revision: str


def last_release() -> Release:
    """The release before this code; raises NoLastRelease."""
    if not _git("rev-parse", "--git-dir"):
        raise NoLastRelease("this is no clone of the repository, or there is no git")
    release = _tagged() or _in_changelog((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    if release is None:
        raise NoLastRelease("there was no release yet: no tag, and none in CHANGELOG.md that names its commit")
    if not _git("rev-parse", "--verify", "--quiet", f"{release.revision}^{{commit}}"):
        is_shallow = _git("rev-parse", "--is-shallow-repository").strip() == b"true"
        how = "this clone is shallow: git fetch --unshallow --tags" if is_shallow else "the repository lacks it"
        raise NoLastRelease(f"the code of {release.name}, {release.revision}, is not here; {how}")
    return release


def unpack(release: Release, folder: Path) -> None:
    """Put the release's code there; raises NoLastRelease where this code does not work together with it."""
    with tarfile.open(fileobj=io.BytesIO(_git("archive", release.revision, *PACKAGES))) as packed:
        member = packed.extractfile("common/version.py")
        assert member is not None
        found = re.search(rb"^PROTOCOL = (\d+)$", member.read(), re.MULTILINE)
        protocol = int(found[1]) if found else 1
        if not OLDEST_PROTOCOL <= protocol <= PROTOCOL:
            raise NoLastRelease(f"{release.name} speaks protocol {protocol}: such an update is no rolling one")
        for name in packed.getnames():
            assert not name.startswith(("/", "..")), name
        packed.extractall(folder)


def _tagged() -> Release | None:
    # A clone of a release has its own tag, too.
    choice = ("--match", "v[0-9]*", "--exclude", f"v{VERSION}")
    tag = _git("describe", "--tags", *choice, "--abbrev=0", "HEAD").decode().strip()
    return Release(tag, tag) if tag else None


def _in_changelog(text: str) -> Release | None:
    named = (Release(f"v{found[1]}", found[2]) for found in _RELEASED.finditer(text))
    return next((release for release in named if release.name != f"v{VERSION}"), None)


def _git(*arguments: str) -> bytes:
    """What git prints; nothing where it fails."""
    git = shutil.which("git")
    if git is None:
        return b""
    return subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, check=False).stdout
