"""Where a page's uploads come from in tests: files on this machine, chosen or dropped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page

_COPY = 1


def choose(page: Page, button: str, *paths: Path) -> None:
    """Press a button, and choose files, or one folder, in what the browser opens."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=button, exact=True).click()
    chooser.value.set_files(list(paths))


def drop(page: Page, *paths: Path) -> None:
    """Drag files and folders from outside of the browser over the page, and let go."""
    devtools = page.context.new_cdp_session(page)
    dragged = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": _COPY}
    for event in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": event, "x": 300, "y": 300, "data": dragged})
    devtools.detach()


def sent_from(page: Page) -> Sequence[int]:
    """Grows with every part of an upload that the page sends from now on: at which byte each begins."""
    offsets: list[int] = []
    page.on(
        "request",
        lambda request: offsets.append(int(request.headers["upload-offset"])) if request.method == "PATCH" else None,
    )
    return offsets
