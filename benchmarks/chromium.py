"""The browser that pages are tested, measured and photographed in: the system's own chromium, driven by Playwright.

Playwright never fetches a browser of its own. DFS_TEST_CHROMIUM names another program than those that are looked for.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, Page, sync_playwright

VARIABLE = "DFS_TEST_CHROMIUM"
MISSING = f"no chromium: apt-get install chromium (or have {VARIABLE} name one)"
_UNLIMITED = -1
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# The clusters are on this machine, whatever proxy the environment names.
_OPTIONS = ("--no-proxy-server", "--disable-gpu", "--disable-background-networking")


class NoChromium(Exception):
    """There is no browser on this machine."""


def find_chromium() -> str:
    """The program's path. Raises NoChromium, also when the one that was named does not exist."""
    wanted = os.environ.get(VARIABLE, "")
    found = [path for path in map(shutil.which, [wanted] if wanted else _PROGRAMS) if path]
    if not found:
        raise NoChromium(MISSING)
    return found[0]


@contextlib.contextmanager
def running_chromium(*options: str) -> Iterator[Browser]:
    """A browser without a window, until the block is left. options: further ones of its command line."""
    program = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*_OPTIONS, *options])
        try:
            yield browser
        finally:
            browser.close()


class Line:
    """The page's connection to the gateway."""

    def __init__(self, page: Page) -> None:
        self._devtools = page.context.new_cdp_session(page)

    def limit(self, bytes_per_second: int) -> None:
        """Of what is sent; what is received stays as it is."""
        self._devtools.send("Network.enable")
        self._emulate(bytes_per_second)

    def free(self) -> None:
        self._emulate(_UNLIMITED)

    def _emulate(self, upload_bytes_per_second: int) -> None:
        conditions = {"offline": False, "latency": 0, "downloadThroughput": _UNLIMITED}
        limits = {**conditions, "uploadThroughput": upload_bytes_per_second}
        self._devtools.send("Network.emulateNetworkConditions", limits)
