"""What the page costs a browser: when a folder's list is seen, what is loaded for it, memory amid a large upload.

    python3 -m benchmarks.page [--rounds 10] [--upload-gib 10 --until-gib 2]

A folder with 100,000 entries and an empty one are opened in turn, each time with nothing kept from before. With
--upload-gib, a file of that size, all of it a hole, is uploaded until so much of it was sent; the tab's heap is read
after garbage collection, before and again and again meanwhile. Replicas of what is sent take disk: three times as much.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.chromium import NoChromium, running_chromium
from benchmarks.homes import Ports, make_home, scratch_folder
from benchmarks.wide_folder import fill_folder
from common.config import Config
from common.launcher import Cluster

MIB, GIB = 1024 * 1024, 1024 * 1024 * 1024
WIDE, EMPTY, COUNT = "wide/", "empty/", 100_000
_SAMPLE_MS = 2000.0
# The largest of what was painted is known a moment after it was painted.
_PAINTS = """async () => {
  const paints = () => performance.getEntriesByName("first-contentful-paint");
  while (!paints().length) await new Promise(requestAnimationFrame);
  const first = paints()[0].startTime;
  let largest = 0;
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) largest = entry.startTime; })
    .observe({ type: "largest-contentful-paint", buffered: true });
  const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({ initiatorType }) => !["fetch", "xmlhttprequest"].includes(initiatorType));
  const bytes = loaded.reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  return { first, largest, bytes, requests: loaded.length };
}"""


@dataclass(frozen=True)
class Opened:
    """One folder opened once. *_ms: since the address was entered; bytes: of the page and what it loads, unpacked."""

    first_ms: float
    largest_ms: float
    bytes: int
    requests: int


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--upload-gib", type=float, default=0.0, help="size of the file; 0: none")
    parser.add_argument("--until-gib", type=float, default=2.0, help="how much of it to send")
    options = parser.parse_args(arguments)
    try:
        with running_chromium() as browser, scratch_folder() as scratch:
            _measure(browser, scratch, options)
    except NoChromium as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _measure(browser: Browser, scratch: Path, options: argparse.Namespace) -> None:
    config = make_home(scratch / "home", Ports())
    fill_folder(config.sqlite_path(), WIDE, COUNT)
    cluster = Cluster(config)
    try:
        cluster.start()
        cluster.wait_until_ready()
        if options.rounds:
            _measure_paint(browser, config, options.rounds)
        if options.upload_gib:
            _measure_heap(browser, config, scratch / "hole.bin", options)
    finally:
        cluster.stop()


def _measure_paint(browser: Browser, config: Config, rounds: int) -> None:
    seen: dict[str, list[Opened]] = {EMPTY: [], WIDE: []}
    # The first round fills the caches of the servers.
    for number in range(rounds + 1):
        for folder, opened in seen.items():
            found = _open(browser, f"{config.gateway_url()}/?prefix={folder}")
            if number:
                opened.append(found)
    for folder, opened in seen.items():
        first, largest = (median(one.first_ms for one in opened), median(one.largest_ms for one in opened))
        weight = f"{opened[0].bytes / 1000:.1f} kB in {opened[0].requests} requests"
        print(f"{folder:<7} first paint {first:6.0f} ms, largest {largest:6.0f} ms, {weight}")
    ratio = median(one.first_ms for one in seen[WIDE]) / median(one.first_ms for one in seen[EMPTY])
    print(f"first paint of {COUNT:,} entries: {ratio:.2f} x that of an empty folder")


def _open(browser: Browser, address: str) -> Opened:
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(address)
        seen: dict[str, Any] = page.evaluate(_PAINTS)
    finally:
        context.close()
    return Opened(seen["first"], seen["largest"], seen["bytes"], seen["requests"])


def _measure_heap(browser: Browser, config: Config, hole: Path, options: argparse.Namespace) -> None:
    hole.touch()
    os.truncate(hole, int(options.upload_gib * GIB))
    page = browser.new_page(base_url=config.gateway_url())
    page.goto("/")
    page.wait_for_load_state("networkidle")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    idle, samples, sent = _heap_bytes(devtools), [], 0
    page.locator("#input-files").set_input_files(hole)
    while sent < options.until_gib * GIB:
        page.wait_for_timeout(_SAMPLE_MS)
        samples.append(_heap_bytes(devtools))
        sent = _sent_bytes(page, hole.stat().st_size)
    print(
        f"heap of the tab, idle: {idle / MIB:.1f} MiB; after {sent / GIB:.1f} GiB of {options.upload_gib:g} GiB, ",
        end="",
    )
    print(f"{len(samples)} samples: at most {max(samples) / MIB:.1f} MiB, at the end {samples[-1] / MIB:.1f} MiB")
    page.close()


def _sent_bytes(page: Page, size: int) -> int:
    percent = page.locator("#uploads-list progress").get_attribute("value")
    return int(float(percent or 0) / 100 * size)


def _heap_bytes(devtools: CDPSession) -> float:
    devtools.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
