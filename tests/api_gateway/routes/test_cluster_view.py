"""The cluster view as a whole page: what it writes without any script."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import api_gateway
from api_gateway.routes.cluster_rows import WORKER_STATES, view_of
from api_gateway.routes.cluster_view import add_cluster_view
from api_gateway.verdict import LEVELS, summarise
from common.actors import ADMIN, READ, Actor
from common.edge import Edge
from tests.support.logs import recording_log
from tests.support.ring import MASTER, WORKER, SmallRing

PACKAGE = Path(api_gateway.__file__).parent
GB = 10**9


def worker(**changes: Any) -> dict[str, Any]:
    return {
        "worker_id": "worker_1",
        "state": "alive",
        "url": "http://10.0.0.1:5001",
        "zone": "",
        "capacity_bytes": 100 * GB,
        "used_bytes": 12 * GB,
        "free_bytes": 88 * GB,
        "chunk_count": 3000,
        "version": "1.0",
        "last_heartbeat_age_seconds": 1.4,
        "quarantined_count": 0,
        "is_configured": True,
        "is_lost": False,
        "is_reconciled": True,
        "is_draining": False,
        "drain": None,
        **changes,
    }


NEVER = {"url": "", "state": "dead", "capacity_bytes": 0, "last_heartbeat_age_seconds": None, "is_reconciled": False}
DRAIN = {"chunks_left": 3000, "bytes_left": 12 * GB, "is_complete": False, "blocked": None}


def cluster(*workers: dict[str, Any], **replication: Any) -> dict[str, Any]:
    scrub = {"name": "scrub worker_1", "state": "reading", "progress": {"progress": 0.4321}, "last_error": ""}
    repair = {"name": "repair", "state": "busy", "progress": {"under_way": 3, "seconds_left": 40}, "last_error": ""}
    trim = {"name": "trim", "state": "failed", "progress": {"trimmed": 0}, "last_error": "the <database>"}
    seen = {
        "leader": MASTER,
        "masters": [{"master_id": MASTER, "state": "alive", "url": "http://x", "is_leader": True, "version": "1.0"}],
        "workers": list(workers),
        "replication": {
            "replication_factor": 3,
            "under_replicated_chunks": 0,
            "under_replicated_by_copies": {},
            "owed_replicas": 0,
            "owed_bytes": 0,
            "repair_bytes_per_second": 0,
            "repair_seconds_left": 0,
            "is_held_back": False,
            "pending_free_bytes": 0,
            "due_free_bytes": 0,
            **replication,
        },
        "jobs": [repair, trim, scrub],
    }
    return {**seen, "summary": summarise(seen)}


class Cells(HTMLParser):
    """The texts of the places that the script fills, by their names, each with what they were in every row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.ids: list[str] = []
        self._open: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        name = values.get("data-cell")
        if name:
            self.texts.setdefault(name, []).append("")
        if tag not in ("meta", "link", "input", "br"):
            self._open.append(name)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "link", "input", "br"):
            self._open.pop()

    def handle_data(self, data: str) -> None:
        name = next((one for one in reversed(self._open) if one), None)
        if name:
            self.texts[name][-1] += data.strip()


def page_of(seen: dict[str, Any], rights: frozenset[str] = frozenset({READ, ADMIN})) -> str:
    app = Flask("api_gateway", root_path=str(PACKAGE))

    def guard(call: Any) -> None:
        call.actor = Actor("somebody", rights)

    add_cluster_view(app, Edge(app, recording_log()[0], guard), lambda: seen)
    answer = app.test_client().get("/cluster-view")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return answer.text


@pytest.mark.parametrize(
    ("changes", "state", "note"),
    [
        ({}, "alive", ""),
        ({"zone": "a"}, "alive", "zone a"),
        ({"state": "suspect"}, "suspect", ""),
        ({"state": "dead"}, "dead", ""),
        ({"state": "dead", "is_lost": True}, "lost", ""),
        ({"state": "maintenance"}, "maintenance", ""),
        (NEVER, "never", ""),
        ({"state": "draining", "is_draining": True, "drain": DRAIN}, "draining", "3,000 chunks left"),
        (
            {"state": "draining", "is_draining": True, "drain": {**DRAIN, "waits_for": "uploads go on"}},
            "draining",
            "3,000 chunks left; waiting: uploads go on",
        ),
        (
            {"state": "draining", "is_draining": True, "drain": {**DRAIN, "blocked": "no room"}},
            "draining",
            "3,000 chunks left; cannot go on: no room",
        ),
        ({"state": "draining", "is_draining": True, "drain": {**DRAIN, "is_complete": True}}, "empty", ""),
        ({"is_reconciled": False}, "alive", "its disk is yet to be compared with the records"),
        ({"quarantined_count": 1, "is_configured": False}, "alive", "1 file in quarantine; taken out of config.json"),
    ],
)
def test_each_state_of_a_worker_has_its_word_and_what_else_to_know(
    changes: dict[str, Any], state: str, note: str
) -> None:
    page = page_of(cluster(worker(**changes)))
    word = next(one.word for one in WORKER_STATES if one.key == state)
    (row,) = [row for row in re.findall(r'<tr role="row" data-key=".*?</tr>', page, re.DOTALL) if "worker_1" in row]
    texts = Cells(row).texts
    assert (texts["state"], texts["note"]) == ([word], [note])


def test_numbers_are_written_as_people_read_them() -> None:
    page = page_of(
        cluster(
            worker(),
            owed_replicas=4,
            owed_bytes=5 * GB,
            under_replicated_chunks=3,
            under_replicated_by_copies={"1": 1, "2": 2},
            repair_bytes_per_second=2_000_000.4,
            pending_free_bytes=2 * GB,
            due_free_bytes=1,
        )
    )
    texts = Cells(page).texts
    assert texts["used"] == ["12 %", "12 GB of 100 GB, 12 %", ""]
    assert (texts["chunks"][0], texts["age"][0], texts["verified"][0]) == ("3,000", "1 s ago", "43 %")
    assert texts["owed"] == ["4 replicas"]
    assert texts["owed_note"] == ["5.0 GB; copies left: 1 chunk with 1, 2 chunks with 2; 2.0 MB/s"]
    assert texts["pending_note"] == ["1 byte now, the rest after its time in the trash"]
    assert texts["now"] == ["3 copies under way, 40 s left", "", ""]


def test_a_job_that_failed_shows_its_error_as_text() -> None:
    page = page_of(cluster(worker()))
    assert "the &lt;database&gt;" in page
    assert "<database>" not in page


def test_every_symbol_and_badge_that_a_page_may_need_is_there() -> None:
    page = page_of(cluster(worker()))
    symbols = set(re.findall(r'<symbol id="icon-([\w-]+)"', page))
    assert {*LEVELS, *(state.icon for state in WORKER_STATES)} <= symbols
    assert set(re.findall(r'<div data-state="(\w+)">', page)) == {state.key for state in WORKER_STATES}
    ids = Cells(page).ids
    assert len(ids) == len(set(ids))


def test_a_gateway_that_reaches_no_master_says_so_and_claims_nothing_else() -> None:
    seen = {
        "leader": None,
        "masters": [{"master_id": MASTER, "state": "dead", "url": "http://x", "is_leader": False, "version": ""}],
        "workers": [],
        "replication": {},
        "jobs": [],
        "problem": "no master answers",
    }
    page = page_of({**seen, "summary": summarise(seen)})
    assert "No master answers" in page
    assert "Only the masters know the workers" in page
    assert Cells(page).texts["used"] == ["unknown", ""]


def test_before_any_worker_is_known_the_page_says_how_to_start_one() -> None:
    assert "python3 storage/worker_1/worker1.py" in page_of(cluster())


def test_who_may_not_change_the_cluster_is_told_and_has_no_buttons() -> None:
    page = page_of(cluster(worker()), frozenset({READ}))
    assert 'data-act="' not in page
    assert "the right <code>admin</code>" in page
    assert 'data-act="drain"' in page_of(cluster(worker()))


def test_a_draining_worker_is_offered_back_and_one_never_seen_nothing() -> None:
    page = page_of(cluster(worker(state="draining", is_draining=True, drain=DRAIN), worker(worker_id="w", **NEVER)))
    assert 'data-act="undrain" aria-label="Take back worker_1">' in page
    assert 'data-act="drain" aria-label="Drain w" hidden>' in page


def test_the_fields_of_a_job_are_there_for_the_script() -> None:
    row = next(row for row in view_of(cluster(worker()))["jobs"] if row["name"] == "repair")
    fields = json.loads(row["fields"])
    assert ["seconds_left", "seconds", "left", ""] in fields
    assert ["copied_chunks", "count", "chunks copied", "chunk copied"] in fields


@pytest.mark.parametrize(("number", "words"), [(0, ""), (1, "1 chunk copied"), (1200, "1,200 chunks copied")])
def test_a_job_tells_its_progress_in_words(number: int, words: str) -> None:
    job = {"name": "repair", "state": "idle", "last_error": "", "progress": {"copied_chunks": number}}
    assert view_of({**cluster(worker()), "jobs": [job]})["jobs"][0]["now"] == words


@pytest.fixture(scope="module")
def texts(ring: SmallRing) -> str:
    return ring.client.get("/cluster-view").text


def test_the_view_of_a_real_cluster_has_all_of_its_nodes(texts: str, browser: FlaskClient) -> None:
    cells = Cells(texts).texts
    assert WORKER in cells["worker_id"]
    assert MASTER in texts
    assert browser.get("/cluster").json["summary"]["level"] in LEVELS
    jobs = {job["name"] for job in browser.get("/cluster/jobs").json["jobs"] if not job["name"].startswith("scrub ")}
    described = {row["name"] for row in view_of(browser.get("/cluster").json)["jobs"] if row["what"]}
    assert jobs <= described, "a job without a word on what it does"


def test_every_module_of_the_view_is_served_and_light(texts: str, browser: FlaskClient) -> None:
    scripts = sorted((PACKAGE / "static" / "js" / "cluster").glob("*.js"))
    assert len(scripts) > 5
    for script in scripts:
        answer = browser.get(f"/static/js/cluster/{script.name}")
        assert answer.mimetype == "text/javascript"
        for imported in re.findall(r'from "(\.\.?/[^"]+)"', answer.text):
            assert (script.parent / imported).is_file(), imported
    assert sum(script.stat().st_size for script in scripts) < 25_000
