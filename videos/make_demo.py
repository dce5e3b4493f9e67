"""Record the film that README opens with: the real page, a real cluster, and a worker that is really killed.

    dfs_env/bin/python -m videos.make_demo

Writes videos/demo.mp4. It takes chromium, ffmpeg (`apt-get install ffmpeg`) and the packages of requirements-dev.txt.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, ViewportSize, expect

from benchmarks.chromium import Line, NoChromium, running_chromium
from benchmarks.stage import FOLDER, MIB, Stage, lit_stage

_FILM = Path(__file__).parent / "demo.mp4"
_SIZE: ViewportSize = {"width": 1280, "height": 720}
_FRAMES_PER_SECOND = 15
_READY_MS = 60_000
_UPLOADED = "raw footage.tar"
_KILLED = "worker_2"
# What the page itself does not show: what is going on, and where the mouse is.
_OVERLAY = """() => {
  const caption = document.createElement("div");
  caption.id = "film-caption";
  caption.popover = "manual";
  Object.assign(caption.style, { position: "fixed", inset: "auto 0 24px 0", margin: "0 auto",
    width: "fit-content", maxWidth: "85%", padding: "12px 22px", border: 0, borderRadius: "10px",
    background: "rgb(12 18 30 / .92)",
    color: "#fff", font: "600 22px/1.35 system-ui, sans-serif", textAlign: "center", pointerEvents: "none" });
  const mouse = document.createElement("div");
  mouse.popover = "manual";
  Object.assign(mouse.style, { position: "fixed", inset: "0 auto auto 0", margin: 0, padding: 0, border: 0,
    width: "22px", height: "22px", background: "#e5484d", opacity: ".75", borderRadius: "50%", translate: "-40px 0",
    pointerEvents: "none", overflow: "visible" });
  document.body.append(caption, mouse);
  addEventListener("mousemove", ({ clientX, clientY }) => {
    mouse.style.translate = `${clientX - 11}px ${clientY - 11}px`;
  }, true);
  // What is opened last lies on top, also of dialogs.
  window.film = (text) => {
    for (const one of [caption, mouse]) { one.hidePopover(); }
    caption.textContent = text;
    if (text) caption.showPopover();
    mouse.showPopover();
  };
}"""


class Film:
    """What the page shows, as the browser draws it, with captions; `write` makes a film of it."""

    def __init__(self, page: Page, folder: Path) -> None:
        self._page = page
        self._folder = folder
        self._frames: list[tuple[float, Path]] = []
        self._devtools = page.context.new_cdp_session(page)
        self._devtools.on("Page.screencastFrame", self._keep)

    def start(self) -> None:
        self._devtools.send("Page.startScreencast", {"format": "jpeg", "quality": 92})

    def open(self, address: str, caption: str) -> None:
        self._page.goto(address)
        self._page.evaluate(_OVERLAY)
        self.say(caption, 0)

    def say(self, caption: str, seconds: float = 3.0) -> None:
        """Show a caption, and let it be read."""
        self._page.evaluate("caption => film(caption)", caption)
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        self._page.wait_for_timeout(1000 * seconds)

    def click(self, target: Locator) -> None:
        """Move the mouse there as a hand does, and click."""
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box is not None
        self._page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=20)
        self.wait(0.3)
        target.click()

    def write(self, target: Path) -> None:
        """Frames come when something changes: each is shown until the next one."""
        self._devtools.send("Page.stopScreencast")
        times = [at for at, _ in self._frames]
        lengths = [after - at for at, after in pairwise(times)] + [2.0]
        lines = [
            f"file '{path}'\nduration {length:.3f}\n" for (_, path), length in zip(self._frames, lengths, strict=True)
        ]
        listed = self._folder / "frames.txt"
        listed.write_text("".join(lines) + f"file '{self._frames[-1][1]}'\n", encoding="utf-8")
        reading = ["ffmpeg", "-y", "-loglevel", "error", "-f", "concat", "-safe", "0", "-i", str(listed)]
        coding = ["-c:v", "libx264", "-preset", "slow", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
        shape = ["-vf", f"fps={_FRAMES_PER_SECOND},scale={_SIZE['width']}:{_SIZE['height']}"]
        subprocess.run([*reading, *shape, *coding, str(target)], check=True)

    def _keep(self, frame: dict[str, Any]) -> None:
        path = self._folder / f"{len(self._frames):05d}.jpg"
        path.write_bytes(base64.b64decode(frame["data"]))
        self._frames.append((frame["metadata"]["timestamp"], path))
        self._devtools.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})


def main() -> int:
    if shutil.which("ffmpeg") is None:
        print("no ffmpeg: apt-get install ffmpeg", file=sys.stderr)
        return 1
    try:
        with running_chromium() as browser, lit_stage(browser) as stage, tempfile.TemporaryDirectory() as frames:
            context = browser.new_context(viewport=_SIZE, base_url=stage.base_url, accept_downloads=True)
            page = context.new_page()
            film = Film(page, Path(frames))
            _play(film, page, stage)
            film.write(_FILM)
    except NoChromium as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{_FILM.name}: {_FILM.stat().st_size / 1e6:.1f} MB")
    return 0


def _play(film: Film, page: Page, stage: Stage) -> None:
    source = stage.make(_UPLOADED, 56 * MIB)
    _upload(film, page, source)
    _look_inside(film, page)
    _kill(film, page, stage)
    _download(film, page, source)
    _heal(film, page, stage)


def _upload(film: Film, page: Page, source: Path) -> None:
    folder = f"/?prefix={FOLDER.replace(' ', '+')}"
    film.open(folder, "A distributed file system: every chunk of a file lies on three of five workers")
    film.start()
    film.wait(3.5)
    Line(page).limit(11 * MIB)
    film.say("Upload: a file is chosen, or dropped anywhere on the page", 0.5)
    with page.expect_file_chooser() as chooser:
        film.click(page.get_by_role("button", name="Upload files"))
    chooser.value.set_files(source)
    status = page.locator("#uploads-list .upload-status").first
    expect(status).to_contain_text("left", timeout=_READY_MS)
    film.say("It goes on by itself when the connection or the gateway fails", 0)
    expect(page.locator("#uploads-total")).to_contain_text("1 of 1 file", timeout=_READY_MS)
    film.say("Stored: on disk at two workers at least before it is acknowledged", 2.5)


def _look_inside(film: Film, page: Page) -> None:
    film.say("Where is it?", 0.5)
    film.click(page.get_by_role("button", name=f"Details of {_UPLOADED}"))
    film.say("Where is it?", 0.5)
    film.click(page.get_by_role("button", name="Show where its chunks are"))
    expect(page.get_by_label("Chunks").locator("tbody tr").first).to_be_visible()
    page.get_by_label("Chunks").locator("tbody tr").nth(4).scroll_into_view_if_needed()
    film.say("Each of its chunks has three copies, each on another worker", 3.5)


def _kill(film: Film, page: Page, stage: Stage) -> None:
    film.open("/cluster-view", "The cluster: five workers, and all is well")
    film.wait(3)
    page.locator("#workers-title").scroll_into_view_if_needed()
    film.say(f"kill -9: {_KILLED} is gone, with all that it held", 0.5)
    stage.kill(_KILLED)
    expect(_state(page, _KILLED)).to_have_text("Dead", timeout=_READY_MS)
    film.wait(2)


def _download(film: Film, page: Page, source: Path) -> None:
    film.open(f"/?prefix={FOLDER.replace(' ', '+')}", "The file still downloads ...")
    film.wait(0.5)
    film.click(page.get_by_role("checkbox", name=f"Select {_UPLOADED}"))
    toolbar = page.get_by_role("toolbar", name="What to do with the selected entries")
    with page.expect_download() as download:
        film.click(toolbar.get_by_role("button", name="Download"))
    received = hashlib.sha256(Path(download.value.path()).read_bytes()).hexdigest()
    assert received == hashlib.sha256(source.read_bytes()).hexdigest(), "the file was changed"
    film.say(f"... byte for byte: SHA-256 {received[:16]}..., as it was uploaded", 3.5)


def _heal(film: Film, page: Page, stage: Stage) -> None:
    film.open("/cluster-view", "Meanwhile the lost copies are made again on the other workers")
    owed = page.locator("#numbers [data-cell=owed]")
    expect(owed).not_to_have_text("0 replicas", timeout=_READY_MS)
    film.wait(3)
    page.locator("#charts-title").scroll_into_view_if_needed()
    film.wait(3)
    expect(owed).to_have_text("0 replicas", timeout=_READY_MS)
    page.evaluate("scrollTo(0, 0)")
    film.say("Healed: every chunk has its three copies again", 3)
    stage.restart(_KILLED)
    film.say(f"{_KILLED} comes back, is compared with the records, and takes part again", 0)
    expect(_state(page, _KILLED)).to_have_text("Alive", timeout=_READY_MS)
    film.wait(4)


def _state(page: Page, worker_id: str) -> Locator:
    return page.locator(f"#workers tr[data-key={worker_id}] [data-cell=state]")


if __name__ == "__main__":
    sys.exit(main())
