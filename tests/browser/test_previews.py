"""Each kind of file is shown in the page, and nothing of it ever runs there."""

from __future__ import annotations

import base64
import io
import wave

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import OpenPage
from tests.browser.manager import Manager, address_of
from tests.browser.test_hostile_content import FILES, is_harmed
from tests.support.client import GatewayClient

# Recorded by the browser itself: a second of a colour that changes.
_FILM = """async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
  const context = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(10), { mimeType: "video/webm" });
  const blob = new Promise((resolve) => { recorder.ondataavailable = ({ data }) => resolve(data); });
  recorder.start();
  for (let hue = 0; hue < 360; hue += 36) {
    context.fillStyle = `hsl(${hue} 80% 50%)`;
    context.fillRect(0, 0, 64, 48);
    await new Promise(requestAnimationFrame);
  }
  recorder.stop();
  const bytes = new Uint8Array(await (await blob).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""
_PICTURE = """() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
  return canvas.toDataURL("image/png").split(",")[1];
}"""
PDF = b"""%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 200 200]>> endobj
trailer <</Root 1 0 R>>
%%EOF
"""


def sound() -> bytes:
    """A second of silence."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    return written.getvalue()


@pytest.fixture
def shown(open_page: OpenPage, client: GatewayClient) -> Page:
    """A folder with a file of each kind."""
    page = open_page("/sign-in")
    made = {
        "picture.png": base64.b64decode(page.evaluate(_PICTURE)),
        "film.webm": base64.b64decode(page.evaluate(_FILM)),
        "sound.wav": sound(),
        "paper.pdf": PDF,
        "notes.txt": "first line\n<b>名</b>".encode(),
        "long.log": "ü".encode() * 200_000,
        "broken.png": b"no picture",
    }
    for name, content in made.items():
        client.stored(f"shown/{name}", content)
    page.goto(address_of("shown/"))
    return page


def test_each_kind_of_file_is_shown(shown: Page) -> None:
    manager = Manager(shown)

    def preview(name: str) -> Locator:
        if manager.dialog.count():
            manager.press("Close")
        return manager.details(name).locator(".preview")

    picture = preview("picture.png").locator("img")
    expect(picture).to_have_js_property("naturalWidth", 64)
    assert_accessible(shown)
    for name in ("film.webm", "sound.wav"):
        player = preview(name).locator("video, audio")
        # Its length and its kind are known, so it was read and understood.
        expect(player).not_to_have_js_property("readyState", 0)
        expect(player).to_have_js_property("error", None)
    with shown.expect_response(lambda answer: answer.url.endswith("/preview")) as answer:
        paper = preview("paper.pdf").locator("iframe")
    assert answer.value.headers["content-type"] == "application/pdf"
    expect(paper).to_have_attribute("title", "Preview of paper.pdf")
    expect(preview("notes.txt").locator("pre")).to_have_text("first line\n<b>名</b>")
    long = preview("long.log")
    expect(long).to_contain_text("The first 262 kB of 400 kB")
    expect(long).not_to_contain_text("\ufffd")
    expect(preview("broken.png")).to_contain_text("No preview")


def test_the_preview_of_a_hostile_file_runs_nothing(open_page: OpenPage, client: GatewayClient) -> None:
    for name, (content_type, text) in FILES.items():
        client.stored(f"hostile shown/{name}", text.encode(), headers={"Content-Type": content_type})
    page = open_page(address_of("hostile shown/"))
    manager = Manager(page)
    for name in FILES:
        manager.details(name)
        page.wait_for_load_state("networkidle")
        assert not is_harmed(page), name
        manager.press("Close")
