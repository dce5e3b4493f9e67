"""A cluster with files as people have them, for pictures of its pages; nodes can be killed and started again.

Times are shorter than those of users' clusters, so that a film of a minute shows how it heals.
"""

from __future__ import annotations

import base64
import contextlib
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from playwright.sync_api import Browser

from benchmarks.homes import Ports, make_home, scratch_folder
from common.launcher import Cluster, kill_node

KIB, MIB, GIB = 1024, 1024 * 1024, 1024 * 1024 * 1024
TIMEOUT_SECONDS = 60.0
FOLDER = "Expedition 2026/"
PICTURE = "summit-panorama.jpg"
_SETTINGS: dict[str, dict[str, Any]] = {
    "master": {
        "suspect_seconds": 1.5,
        "dead_seconds": 4,
        "repair_grace_seconds": 3,
        "repair_bytes_per_second": 12 * MIB,
        "rebalance_bytes_per_second": 0,
    },
    "worker": {"heartbeat_seconds": 0.5, "capacity_bytes": 2 * GIB, "reserve_bytes": 64 * MIB},
}
_SIZES = {
    "Expedition 2026/Day 1/camp.mp4": 38 * MIB,
    "Expedition 2026/Day 2/ridge.mp4": 25 * MIB,
    "Expedition 2026/Day 3/descent.mp4": 31 * MIB,
    "Expedition 2026/GPS tracks/all.gpx": 420 * KIB,
    "Expedition 2026/budget.xlsx": 48 * KIB,
    "Expedition 2026/interview with Aïcha.mp3": 9 * MIB,
    "Expedition 2026/map 1:25,000.pdf": 6 * MIB,
    "Expedition 2026/raw-sensor-data.tar.gz": 57 * MIB,
    "Backups/2026-01.tar.zst": 88 * MIB,
    "Datasets/weather.csv": 12 * MIB,
    "Music/field recording.flac": 21 * MIB,
    "Reports/Annual report.pdf": 3 * MIB,
    "thesis-final-FINAL.pdf": 4 * MIB,
    "日記.txt": 3 * KIB,
}
_TRASHED = {
    "Expedition 2026/duplicate of camp.mp4": 14 * MIB,
    "Reports/draft-1.docx": 96 * KIB,
    "Reports/draft-2.docx": 113 * KIB,
    "old-logo.svg": 11 * KIB,
}
_NOTES = """# Packing list

- rope, 60 m
- two tents
- satellite phone, charged
"""
# Mountains at dawn, one range before the other.
_PAINT = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1200, height: 675 });
  const draw = canvas.getContext("2d");
  const sky = draw.createLinearGradient(0, 0, 0, 560);
  const colours = [["#1c2b57", 0], ["#7a5c9c", .45], ["#f2a27a", .8], ["#fbd9a5", 1]];
  colours.forEach(([colour, at]) => sky.addColorStop(at, colour));
  draw.fillStyle = sky;
  draw.fillRect(0, 0, 1200, 675);
  draw.fillStyle = "#fff3d6";
  draw.beginPath();
  draw.arc(830, 330, 46, 0, 7);
  draw.fill();
  ["#8d7397", "#5d5480", "#3b3b66", "#20264a", "#0f1530"].forEach((colour, range) => {
    draw.fillStyle = colour;
    draw.beginPath();
    draw.moveTo(0, 675);
    for (let x = 0; x <= 1200; x += 6) {
      const ridge = Math.abs(((x / (260 - 30 * range) + range * .37) % 2) - 1) * (150 - 15 * range);
      draw.lineTo(x, 330 + 72 * range - ridge + 9 * Math.sin(x / 23 + range) + 5 * Math.sin(x / 7 + 3 * range));
    }
    draw.lineTo(1200, 675);
    draw.fill();
  });
  return canvas.toDataURL("image/jpeg", .9).split(",")[1];
}"""


class Stage:
    """A running cluster. base_url: its gateway's; folder: an empty one, for what a person may have on a desk."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self.base_url = cluster.config.gateway_url()
        self.folder = folder

    def kill(self, node_id: str) -> None:
        """As a power cut does."""
        node = next(node for node in self._cluster.nodes if node.node_id == node_id)
        kill_node(node)
        node.process.wait()

    def restart(self, node_id: str) -> None:
        self._cluster.start_node(node_id)

    def store(self, path: str, content: bytes) -> None:
        address = f"{self.base_url}/fs/{quote(path)}"
        requests.put(address, data=content, timeout=TIMEOUT_SECONDS).raise_for_status()

    def remove(self, path: str) -> None:
        requests.delete(f"{self.base_url}/fs/{quote(path)}", timeout=TIMEOUT_SECONDS).raise_for_status()

    def make(self, name: str, size_bytes: int) -> Path:
        """A file on the desk."""
        path = self.folder / name
        path.write_bytes(random.Random(name).randbytes(size_bytes))
        return path


@contextlib.contextmanager
def lit_stage(browser: Browser) -> Iterator[Stage]:
    """A cluster with its files, until the block is left."""
    with scratch_folder() as scratch:
        (scratch / "desk").mkdir()
        cluster = Cluster(make_home(scratch / "home", Ports(), settings=_SETTINGS))
        try:
            cluster.start()
            cluster.wait_until_ready()
            stage = Stage(cluster, scratch / "desk")
            _fill(stage, _painted(browser))
            yield stage
        finally:
            cluster.stop()


def _fill(stage: Stage, picture: bytes) -> None:
    for path, content in _contents({**_SIZES, **_TRASHED}):
        stage.store(path, content)
    stage.store(FOLDER + "packing list.md", _NOTES.encode())
    # Retouched twice: it has older versions.
    for version in (picture[:-2000], picture[:-1000], picture):
        stage.store(FOLDER + PICTURE, version)
    for path in _TRASHED:
        stage.remove(path)


def _contents(sizes: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    for path, size in sizes.items():
        yield path, random.Random(path).randbytes(size)


def _painted(browser: Browser) -> bytes:
    page = browser.new_page()
    painted = base64.b64decode(page.evaluate(_PAINT))
    page.close()
    return painted
