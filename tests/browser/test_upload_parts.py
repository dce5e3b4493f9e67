"""The parts of the page's uploads that need neither a server nor a person, each driven as a module in the browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage

Run = Any


@pytest.fixture
def run(open_page: OpenPage) -> Run:
    """Runs the body of an async function with all exports of the given modules as names."""
    # The lightest page of the same origin and the same policy.
    page = open_page("/sign-in")

    def run(modules: str, body: str, argument: object = None) -> Any:
        return _run(page, modules.split(), body, argument)

    return run


def _run(page: Page, modules: list[str], body: str, argument: object) -> Any:
    imports = [f"Object.assign(parts, await import('/static/js/uploads/{module}.js'));" for module in modules]
    # One object and no globals: what a test uses is what the module exports.
    code = f"async (argument) => {{ const parts = {{}}; {' '.join(imports)} {body} }}"
    return page.evaluate(code, argument)


def test_a_name_that_is_taken_gets_a_number_before_its_extension(run: Run) -> None:
    names = {
        "a.txt": "a (1).txt",
        "docs/a.b.txt": "docs/a.b (1).txt",
        "x/archive.tar.gz": "x/archive (1).tar.gz",
        "README": "README (1)",
        ".profile": ".profile (1)",
        "a.folder/name": "a.folder/name (1)",
        "version 1.2 final": "version 1.2 final (1)",
        "名.pdf": "名 (1).pdf",
    }
    assert run("../common/naming", "return argument.map((path) => parts.numbered(path, 1));", list(names)) == list(
        names.values()
    )


def test_a_numbered_name_is_never_too_long_nor_cut_within_a_character(run: Run) -> None:
    names = ["x" * 255, "x" * 251 + ".txt", "🙂" * 63, "🙂" * 62 + ".bin"]
    made = run("../common/naming", "return argument.map((name) => parts.numbered(`folder/${name}`, 12));", names)
    for name, path in zip(names, made, strict=True):
        stem, _, tail = path.removeprefix("folder/").rpartition(" (12)")
        assert name.startswith(stem)
        assert name.endswith(tail)
        assert len(path.removeprefix("folder/").encode()) <= 255


def test_what_is_stored_is_never_sent_again(run: Run) -> None:
    states = ["waiting", "sending", "retrying", "asking", "failed", "paused", "cancelled", "done"]
    body = "return argument.filter((state) => parts.mayFollow('done', state) || parts.mayFollow('cancelled', state));"
    assert run("states", body, states) == ["done"]


def test_an_upload_refuses_a_state_that_cannot_follow(run: Run) -> None:
    body = """
      const upload = new parts.Upload(1, { path: "a", file: new File(["x"], "a") }, { answer: null });
      upload.become("sending");
      upload.become("done");
      try { upload.become("waiting"); } catch (error) { return [error.message, upload.state, upload.file]; }"""
    assert run("upload", body) == ["an upload cannot go from done to waiting", "done", None]


def test_the_speed_falls_when_nothing_moves_and_ignores_what_was_there_before(run: Run) -> None:
    body = """
      const meter = new parts.SpeedMeter();
      const seen = [];
      meter.restart(5_000_000, 0);
      for (let second = 1; second <= 20; second += 1) meter.note(5_000_000 + second * 1000, second * 1000);
      seen.push(meter.bytesPerSecond, meter.secondsLeft(2000));
      for (let second = 21; second <= 60; second += 1) meter.note(5_020_000, second * 1000);
      seen.push(meter.bytesPerSecond < 1, meter.secondsLeft(2000));
      return seen;"""
    speed, seconds, is_still, left = run("speed", body)
    assert speed == pytest.approx(1000)
    assert seconds == pytest.approx(2)
    assert (is_still, left) == (True, None)


def test_every_answer_is_understood(run: Run) -> None:
    meanings = [
        (503, True, "Passing"),
        (423, True, "Passing"),
        (409, True, "Passing"),
        (404, True, "Forgotten"),
        (410, True, "Forgotten"),
        (404, False, "Refused"),
        (412, False, "NameTaken"),
        (401, True, "Refused"),
        (403, False, "Refused"),
        (413, False, "Refused"),
        (507, True, "Refused"),
        (400, False, "Refused"),
    ]
    body = """
      return argument.map(([status, isKnown]) => {
        const reply = { status, problem: { title: "Wrong", detail: "the reason" }, header: () => null };
        const error = parts.verdict(reply, isKnown);
        return [Object.keys(parts).find((name) => parts[name] === error.constructor), error.message];
      });"""
    found = run("verdict", body, [(status, is_known) for status, is_known, _ in meanings])
    assert [kind for kind, _ in found] == [kind for _, _, kind in meanings]
    for kind, message in found:
        assert message.endswith((": the reason", "then retry.")) == (kind == "Refused")


def test_the_server_says_how_long_to_wait_in_seconds_or_as_a_date(run: Run) -> None:
    body = """
      const after = (text) => parts.verdict({ status: 503, problem: {}, header: () => text }, true).after;
      const inAMinute = new Date(Date.now() + 60_000).toUTCString();
      return [after("7"), after(inAMinute), after("999999"), after("soon"), after(null)];
    """
    seconds, until, longest, unreadable, unsaid = run("verdict", body)
    assert (seconds, longest, unreadable, unsaid) == (7, 300, None, None)
    assert 50 < until <= 60


def test_the_waits_grow_up_to_a_limit_and_are_never_the_same_for_all(run: Run) -> None:
    body = "return [1, 2, 3, 50].map((failures) => [0, 0.999].map((chance) => parts.backoff(failures, () => chance)));"
    shortest, *_, longest = run("verdict", body)
    assert shortest == [pytest.approx(250), pytest.approx(500, rel=0.01)]
    assert longest == [pytest.approx(5000), pytest.approx(10_000, rel=0.01)]


def test_what_expired_is_not_offered_again_and_leaves_the_storage(run: Run) -> None:
    body = """
      let now = 1000;
      const memory = new parts.Memory(localStorage, () => now);
      const print = parts.fingerprint("docs/a", { name: "a", size: 5, lastModified: 7 });
      memory.keep(print, { url: "/uploads/1", expires: 2000 });
      const before = [memory.find(print).url, memory.all().size];
      now = 2001;
      return [...before, memory.all().size, memory.find(print), localStorage.length];"""
    assert run("memory", body) == ["/uploads/1", 1, 0, None, 0]


def test_of_thousands_of_uploads_a_hundred_at_most_have_a_row(run: Run) -> None:
    body = """
      const uploads = Array.from({ length: 2_000 }, (_, id) => {
        const upload = new parts.Upload(id, { path: `f${id}`, file: new File(["x"], "f") }, { answer: null });
        if (id < 1000) upload.become("sending");
        if (id < 997) upload.become("done");
        return upload;
      });
      const { rows, left } = parts.shownOf(uploads);
      const { counts, size } = parts.totalOf(uploads);
      return [rows.map((upload) => upload.id), left, counts, size];"""
    rows, left, counts, size = run("upload window", body)
    assert rows == [997, 998, 999, *range(1000, 1020), *range(996, 976, -1)]
    assert left == {"open": 0, "waiting": 980, "finished": 977}
    assert counts == {"sending": 3, "waiting": 1000, "done": 997}
    assert size == 2_000


def test_a_dropped_folder_is_read_to_its_end_with_all_folders_below(run: Run) -> None:
    """What the browser gives for a dropped folder cannot be made by a script; this is of the same shape."""
    body = """
      const file = (fullPath) => ({ isFile: true, fullPath, file: (give) => give(new File(["x"], "x")) });
      const folder = (fullPath, children) => ({ isFile: false, fullPath, createReader() {
        let at = 0;
        // As Chromium does: a hundred at a time, then none.
        return { readEntries: (give) => give(children.slice(at, (at += 100))) };
      } });
      const broken = { isFile: true, fullPath: "/top/broken", file: (give, fail) => fail(new Error()) };
      const many = Array.from({ length: 250 }, (_, index) => file(`/top/many/${index}`));
      const top = folder("/top", [file("/top/a"), folder("/top/empty", []), broken, folder("/top/many", many)]);
      const items = [{ kind: "file", webkitGetAsEntry: () => top }, { kind: "string" },
        { kind: "file", webkitGetAsEntry: () => null, getAsFile: () => new File(["y"], "alone") }];
      const found = [], unreadable = [];
      for await (const batch of parts.dropped({ items }, (path) => unreadable.push(path))) {
        found.push(...batch.map(({ path, file }) => [path, file !== null]));
      }
      return [found, unreadable];"""
    found, unreadable = run("sources", body)
    many = [[f"top/many/{index}", True] for index in range(250)]
    assert found == [["top/a", True], ["top/empty/", False], *many, ["alone", True]]
    assert unreadable == ["top/broken"]
