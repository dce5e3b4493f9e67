"""`GET /files` from its end, and up to a place."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient


def listing(browser: FlaskClient, **query: str | int) -> dict[str, Any]:
    answer = browser.get("/files", query_string=query)
    assert answer.status_code == 200, answer.text
    return {**answer.json, "paths": [file["path"] for file in answer.json["files"]]}


@pytest.fixture(scope="module", autouse=True)
def _some_files(ring: Any) -> None:
    for path in ("ordered/a", "ordered/b/1", "ordered/b/2", "ordered/c", "ordered/d"):
        assert ring.client.put(f"/fs/{path}", data=b"x").status_code == 201


def test_a_listing_begins_at_its_end_when_asked_to(browser: FlaskClient) -> None:
    query = {"prefix": "ordered/", "delimiter": "/", "order": "desc", "limit": 3}
    last = listing(browser, **query)
    assert (last["paths"], last["prefixes"]) == (["ordered/d", "ordered/c"], ["ordered/b/"])
    rest = listing(browser, **query, cursor=last["next_cursor"])
    assert (rest["paths"], rest["prefixes"], rest["next_cursor"]) == (["ordered/a"], [], None)


def test_what_is_between_two_places_is_listed_alone(browser: FlaskClient) -> None:
    query = {"prefix": "ordered/", "delimiter": "/", "limit": 1}
    ends = {order: listing(browser, **query, order=order)["next_cursor"] for order in ("asc", "desc")}
    between = listing(browser, prefix="ordered/", delimiter="/", cursor=ends["asc"], until=ends["desc"])
    assert (between["paths"], between["prefixes"], between["next_cursor"]) == (["ordered/c"], ["ordered/b/"], None)


@pytest.mark.parametrize("query", [{"order": "up"}, {"until": "x"}, {"order": "desc", "cursor": "x"}])
def test_an_order_or_a_place_that_there_is_not_is_refused(browser: FlaskClient, query: dict[str, str]) -> None:
    answer = browser.get("/files", query_string=query)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_request")
