"""The services' OpenAPI documents are valid, and describe exactly the routes that there are."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api_gateway.openapi.rights import with_rights
from api_gateway.wiring import build_gateway
from common.config import load_config
from common.openapi.build import build_document
from common.openapi.model import Description
from common.openapi.service import DOCUMENT_PATH
from common.serving import Service
from master_node.wiring import build_master
from storage.wiring import build_worker
from tests.support.checked import DESCRIPTIONS
from tests.support.cluster import write_home
from tests.support.environment import clear_settings
from tests.support.signing import signed_open

KEY = "the-key-of-the-operator"
AS_OPERATOR = {"Authorization": f"Bearer {KEY}"}
_RULE_VARIABLE = re.compile(r"<[^>]+>|\{\w+\}")


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Service]]:
    """One service of each kind, built as its entry point does it, and not started."""
    clear_settings(monkeypatch)
    # With a key the gateway knows who may come in, also while no master answers.
    write_home(tmp_path, variables={"DFS_GATEWAY_API_KEY": KEY})
    config = load_config(tmp_path)
    built = {
        "gateway": build_gateway(config, "gateway"),
        "master": build_master(config, "master_1"),
        "worker": build_worker(config, "worker_1"),
    }
    yield built
    for service in built.values():
        service.stop()
        for handler in logging.getLogger(f"dfs.{service.node_id}").handlers:
            handler.close()


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_every_route_is_described_and_nothing_else(services: dict[str, Service], kind: str) -> None:
    routes = {
        (method, _without_names(rule.rule))
        for rule in services[kind].app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    described = {(one.method, _without_names(one.rule)) for one in DESCRIPTIONS[kind].operations}
    # Flask answers both of them wherever it can: they are described where they are of use, and in the text.
    assert {route for route in routes if route[0] not in ("HEAD", "OPTIONS")} == described - {
        route for route in described if route[0] in ("HEAD", "OPTIONS")
    }
    assert described <= routes


@pytest.mark.parametrize("description", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_the_document_is_valid_openapi(description: Description) -> None:
    document = build_document(description)
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


@pytest.mark.parametrize("description", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_every_operation_has_a_name_and_a_place_of_its_own(description: Description) -> None:
    operations = description.operations
    assert len({operation.name for operation in operations}) == len(operations)
    assert len({(operation.method, operation.rule) for operation in operations}) == len(operations)
    assert {operation.tag for operation in operations} == set(description.tags)


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_a_service_serves_its_document(services: dict[str, Service], tmp_path: Path, kind: str) -> None:
    secret = load_config(tmp_path).cluster.secret
    answer = signed_open(services[kind].app.test_client(), DOCUMENT_PATH, secret=secret, headers=AS_OPERATOR)
    document = build_document(DESCRIPTIONS[kind])
    assert answer.json == (with_rights(document) if kind == "gateway" else document)


@pytest.mark.parametrize("kind", ["master", "worker"])
def test_every_internal_route_refuses_who_does_not_know_the_secret(services: dict[str, Service], kind: str) -> None:
    client = services[kind].app.test_client()
    open_to_all = {"/health": 200, "/ready": 503, "/metrics": 401}
    for operation in DESCRIPTIONS[kind].operations:
        path = _RULE_VARIABLE.sub("1", operation.rule)
        answer = client.open(path, method=operation.method, environ_overrides={"REMOTE_ADDR": "10.0.0.9"}, json={})
        expected = open_to_all.get(operation.rule, 403)
        assert (operation.rule, answer.status_code) == (operation.rule, expected), operation.method


def test_the_gateway_says_which_right_each_operation_needs() -> None:
    document = with_rights(build_document(DESCRIPTIONS["gateway"]))
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    paths = document["paths"]
    assert paths["/fs/{path}"]["put"]["x-right"] == paths["/files"]["post"]["x-right"] == "write"
    assert paths["/fs/{path}"]["head"]["x-right"] == "read"
    assert paths["/cluster"]["get"]["x-right"] == "read or admin"
    assert {"link": []} in paths["/fs/{path}"]["get"]["security"]
    assert {"link": []} not in paths["/fs/{path}"]["delete"]["security"]
    assert paths["/health"]["get"]["security"] == paths["/sign-in"]["post"]["security"] == []


def test_the_page_shows_every_operation_and_shape(services: dict[str, Service]) -> None:
    page = services["gateway"].app.test_client().get("/docs", headers=AS_OPERATOR)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    # The frame, which every page has, and its symbols have ids of their own.
    ids = re.findall(r'id="([^"]+)"', page.text.partition("<article")[2].partition("</article>")[0])
    shown = {f"shape-{name}" for name in build_document(DESCRIPTIONS["gateway"])["components"]["schemas"]}
    shown |= {operation.name for operation in DESCRIPTIONS["gateway"].operations}
    assert set(ids) == shown
    assert len(ids) == len(shown)


def test_the_page_needs_no_script_and_nothing_from_elsewhere(services: dict[str, Service]) -> None:
    text = services["gateway"].app.test_client().get("/docs", headers=AS_OPERATOR).text
    assert "<script" not in text
    addresses = re.findall(r'(?:href|src|action)="([^"]*)"', text)
    ids = set(re.findall(r'id="([^"]+)"', text))
    assert {address[1:] for address in addresses if address.startswith("#")} <= ids
    assert {address for address in addresses if not address.startswith("#")} == {
        *("/", "/trash", "/cluster-view", "/docs", "/openapi.json", "/static/css/base.css"),
        *("/static/css/docs.css", "/static/icon.svg"),
    }


def _without_names(rule: str) -> str:
    return _RULE_VARIABLE.sub("{}", rule)
