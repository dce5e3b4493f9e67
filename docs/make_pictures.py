"""Take the pictures of the pages that the documents show: a cluster of its own, real files, a real browser.

    dfs_env/bin/python -m docs.make_pictures [NAME ...]

Writes docs/pictures/<name>.png, with few enough colours to be small. It takes chromium and the packages of
requirements-dev.txt.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.chromium import Line, NoChromium, running_chromium
from benchmarks.stage import FOLDER, MIB, PICTURE, Stage, lit_stage

_PICTURES = Path(__file__).parent / "pictures"
_WIDE, _PHONE = {"width": 1200, "height": 760}, {"width": 390, "height": 780}
_LOW, _TALL = {"width": 1200, "height": 480}, {"width": 1200, "height": 1220}
_PARTLY = re.compile(r"^[2-9]\d %")
_COLOURS = 224
_READY_MS = 60_000
_IN_FOLDER = f"/?prefix={FOLDER.replace(' ', '+')}"


def _list(page: Page, _: Stage) -> None:
    page.goto(_IN_FOLDER)
    page.wait_for_load_state("networkidle")
    page.get_by_role("checkbox", name="Select budget.xlsx").check()
    page.get_by_role("checkbox", name="Select packing list.md").check()


def _folder(page: Page, _: Stage) -> None:
    page.goto(_IN_FOLDER)


def _details(page: Page, _: Stage) -> None:
    page.goto(_IN_FOLDER)
    page.get_by_role("button", name=f"Details of {PICTURE}").click()
    panel = page.get_by_role("dialog")
    expect(panel.get_by_label("Facts")).to_be_visible()
    expect(panel.locator("img")).to_have_js_property("complete", True)


def _uploads(page: Page, stage: Stage) -> None:
    page.goto(_IN_FOLDER)
    Line(page).limit(9 * MIB)
    names = {
        "GOPR0142.mp4": 64 * MIB,
        "GOPR0143.mp4": 48 * MIB,
        "field notes.txt": 20_000,
        "drone footage.mov": 90 * MIB,
    }
    page.locator("#input-files").set_input_files([stage.make(name, size) for name, size in names.items()])
    page.get_by_role("button", name="Pause GOPR0143.mp4").click()
    first = page.locator("#uploads-list li").filter(has_text="GOPR0142.mp4")
    expect(first.locator(".upload-status")).to_have_text(_PARTLY, timeout=_READY_MS)


def _trash(page: Page, _: Stage) -> None:
    page.goto("/trash")


def _cluster(page: Page, stage: Stage) -> None:
    """While what was on a worker that was killed is made again elsewhere."""
    page.goto("/cluster-view")
    stage.kill("worker_4")
    expect(page.locator("#numbers [data-cell=owed]")).not_to_have_text("0 replicas", timeout=_READY_MS)
    # So that the charts have something to show.
    page.wait_for_timeout(8000)


# Each with what the browser is told of itself. The cluster stands last: it breaks something.
_SHOTS: dict[str, tuple[Callable[[Page, Stage], None], dict[str, Any]]] = {
    "list-light": (_list, {}),
    "list-dark": (_list, {"color_scheme": "dark"}),
    "phone": (_folder, {"viewport": _PHONE, "color_scheme": "dark"}),
    "details": (_details, {}),
    "uploads": (_uploads, {}),
    "trash": (_trash, {"viewport": _LOW}),
    "cluster": (_cluster, {"viewport": _TALL}),
}


def main(names: list[str]) -> int:
    _PICTURES.mkdir(exist_ok=True)
    try:
        with running_chromium() as browser, lit_stage(browser) as stage:
            for name in names or _SHOTS:
                _take(browser, stage, name)
    except NoChromium as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _take(browser: Browser, stage: Stage, name: str) -> None:
    pose, options = _SHOTS[name]
    options = {"viewport": _WIDE, "reduced_motion": "reduce", "base_url": stage.base_url, **options}
    context = browser.new_context(**options)
    page = context.new_page()
    pose(page, stage)
    _write(_PICTURES / f"{name}.png", page.screenshot())
    # An upload would ask whether to leave.
    context.close()


def _write(path: Path, taken: bytes) -> None:
    """With a palette: a third of the size, and nobody sees it."""
    picture = Image.open(io.BytesIO(taken)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
