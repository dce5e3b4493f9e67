"""The gateway with keys, as a whole: their routes, wrong ones, the page's sign-in, and the audit log."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.support.ring import OPERATOR_KEY, REMOTE, SmallRing, ask, make_key

BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}


def test_keys_are_listed_without_their_secrets(keyed: SmallRing) -> None:
    made = make_key(keyed, ["write", "read"], prefix="a/", name="ünï")
    assert made["key"].startswith(f"dfs_{made['key_id']}_")
    text = made.pop("key")
    listed = ask(keyed, "GET", "/keys", OPERATOR_KEY)
    assert made in listed.json["keys"]
    assert made["rights"] == ["read", "write"]
    assert text.rpartition("_")[2] not in listed.text
    assert not {"salt", "digest"} & {name for key in listed.json["keys"] for name in key}
    revoked = ask(keyed, "DELETE", f"/keys/{made['key_id']}", OPERATOR_KEY).json
    assert revoked == {**made, "revoked_at": revoked["revoked_at"]}
    assert revoked["revoked_at"]
    assert ask(keyed, "DELETE", f"/keys/{made['key_id']}", OPERATOR_KEY).json == revoked
    active = ask(keyed, "GET", "/keys?active=true", OPERATOR_KEY).json["keys"]
    assert made["key_id"] not in {key["key_id"] for key in active}


def test_keys_are_listed_page_by_page(keyed: SmallRing) -> None:
    for _ in range(3):
        make_key(keyed, ["read"])
    seen, after = [], ""
    while after is not None:
        page = ask(keyed, "GET", f"/keys?limit=2&after={after}", OPERATOR_KEY).json
        seen += [key["key_id"] for key in page["keys"]]
        after = page["next_after"]
    assert seen == [key["key_id"] for key in ask(keyed, "GET", "/keys", OPERATOR_KEY).json["keys"]]
    assert len(seen) >= 3


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "n"},
        {"name": "n", "rights": []},
        {"name": "n", "rights": ["fly"]},
        {"name": "n", "rights": "read"},
        {"name": "", "rights": ["read"]},
        {"name": "n", "rights": ["read"], "prefix": "/a"},
        {"name": "n", "rights": ["read"], "prefix": 1},
        {"name": "n", "rights": ["admin"], "prefix": "a/"},
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(keyed: SmallRing, body: dict[str, Any]) -> None:
    answer = ask(keyed, "POST", "/keys", OPERATOR_KEY, json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("key_id", ["0" * 16, "x", "%2e%2e", "a%2Fb", "é"])
def test_a_key_that_there_is_not_cannot_be_revoked(keyed: SmallRing, key_id: str) -> None:
    assert ask(keyed, "DELETE", f"/keys/{key_id}", OPERATOR_KEY).status_code == 404


def test_wrong_keys_make_an_address_wait_and_nobody_else(keyed: SmallRing) -> None:
    right = make_key(keyed, ["read"])["key"]
    attacker, wrong = "198.51.100.7", right[:-1] + ("0" if right[-1] != "0" else "1")
    assert ask(keyed, "GET", "/files", right, client=attacker).status_code == 200
    tried = [401]
    while tried[-1] == 401 and len(tried) < 1000:
        tried.append(ask(keyed, "GET", "/files", wrong, client=attacker).status_code)
    assert tried[-1] == 429
    assert len(tried) > 20
    limited = ask(keyed, "POST", "/sign-in", client=attacker, data={"key": wrong})
    assert (limited.status_code, limited.json["code"]) == (429, "too_many_sign_ins")
    assert int(limited.headers["Retry-After"]) >= 1
    # Whoever shares the address and shows a key that the gateway knows is not hindered, nor is anybody elsewhere.
    assert ask(keyed, "GET", "/files", right, client=attacker).status_code == 200
    # The operator's key can be a weak one: from there it cannot be guessed on.
    assert ask(keyed, "GET", "/files", OPERATOR_KEY, client=attacker).status_code == 429
    assert ask(keyed, "POST", "/sign-in", client=attacker, data={"key": OPERATOR_KEY}).status_code == 429
    assert ask(keyed, "GET", "/files", OPERATOR_KEY, client="198.51.100.8").status_code == 200
    assert ask(keyed, "GET", "/files", right, client="198.51.100.8").status_code == 200
    assert ask(keyed, "GET", "/files", wrong, client="198.51.100.8").status_code == 401


# --- the page ---


def browser(ring: SmallRing, *, keeps_cookies: bool = True) -> FlaskClient:
    client = ring.gateway.app.test_client(use_cookies=keeps_cookies)
    client.environ_base["REMOTE_ADDR"] = REMOTE
    return client


def test_a_browser_signs_in_works_and_signs_out(keyed: SmallRing) -> None:
    key = make_key(keyed, ["read", "write", "delete"], prefix="page/")
    visitor = browser(keyed)
    sent = visitor.get("/?prefix=page%2Fa%20b%2F", headers=BROWSER)
    assert (sent.status_code, sent.headers["Location"]) == (
        303,
        "/sign-in?next=" + quote("/?prefix=page%2Fa%20b%2F", safe=""),
    )
    assert "WWW-Authenticate" not in sent.headers
    form = visitor.get(sent.headers["Location"], headers=BROWSER)
    assert 'name="next" value="/?prefix=page%2Fa%20b%2F"' in form.text
    assert "script" not in form.text
    fields = {"key": f" {key['key']} ", "next": "/?prefix=page%2Fa%20b%2F"}
    signed_in = visitor.post("/sign-in", data=fields, headers=BROWSER)
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "/?prefix=page%2Fa%20b%2F")
    cookie = signed_in.headers["Set-Cookie"]
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
        assert attribute in cookie
    assert "Secure" not in cookie
    assert key["key"].rpartition("_")[2] not in cookie
    page = visitor.get("/", headers=BROWSER)
    assert page.status_code == 200
    assert 'action="/sign-out"' in page.text
    assert visitor.put("/fs/page/x", data=b"x", headers=BROWSER).status_code == 201
    assert visitor.put("/fs/page/x", data=b"x").json["code"] == "cross_site_request"
    out = visitor.post("/sign-out", headers=BROWSER)
    assert (out.status_code, out.headers["Location"]) == (303, "/sign-in")
    assert visitor.get("/", headers=BROWSER).status_code == 303


def test_a_script_is_not_offered_what_a_browser_asks_a_password_for(keyed: SmallRing) -> None:
    visitor = browser(keyed)
    scripts = [{"Sec-Fetch-Mode": "cors"}, {"X-Requested-With": "XMLHttpRequest"}]
    for headers, scheme in [
        ({}, "Basic"),
        ({"Sec-Fetch-Mode": "navigate"}, "Basic"),
        *((one, "Bearer") for one in scripts),
    ]:
        answer = visitor.get("/files", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"].split()[0]) == (401, scheme)


def test_a_wrong_key_in_the_form_is_said_so_there(keyed: SmallRing) -> None:
    visitor = browser(keyed)
    answer = visitor.post("/sign-in", data={"key": "wrong", "next": "/?prefix=a"}, headers=BROWSER)
    assert (answer.status_code, "WWW-Authenticate" in answer.headers) == (401, False)
    assert "not known" in answer.text
    assert 'value="/?prefix=a"' in answer.text
    assert "wrong" not in answer.text.partition("<form")[2]
    assert visitor.post("/sign-in", data={"key": "x"}).json["code"] == "unauthorized"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/%0d%0aX: y\r\nX: y",
        "evil.example",
        "javascript:alert(1)",
        "/ü",
        " /",
        "",
    ],
)
def test_signing_in_leads_nowhere_else(keyed: SmallRing, target: str) -> None:
    answer = browser(keyed).post("/sign-in", data={"key": OPERATOR_KEY, "next": target}, headers=BROWSER)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_another_sites_page_signs_nobody_in_or_out(keyed: SmallRing) -> None:
    foreign = {**BROWSER, "Sec-Fetch-Site": "cross-site", "Accept": "*/*"}
    for target in ("/sign-in", "/sign-out"):
        answer = browser(keyed).post(target, data={"key": OPERATOR_KEY}, headers=foreign)
        assert (answer.status_code, answer.json["code"]) == (403, "cross_site_request")


def test_the_cookie_of_a_tls_connection_is_for_such_alone(keyed: SmallRing) -> None:
    for extra in ({"base_url": "https://localhost"}, {"headers": {**BROWSER, "X-Forwarded-Proto": "https"}}):
        options: dict[str, Any] = {"headers": BROWSER, **extra}
        answer = browser(keyed).post("/sign-in", data={"key": OPERATOR_KEY}, **options)
        name, _, rest = answer.headers["Set-Cookie"].partition("=")
        assert (name, rest.endswith("; Secure"), "Domain" in rest) == ("__Host-dfs_session", True, False)
        shown = {"Cookie": f"{name}={rest.partition(';')[0]}"}
        other = browser(keyed, keeps_cookies=False)
        assert other.get("/", **{**options, "headers": {**options["headers"], **shown}}).status_code == 200
        assert other.get("/", headers={**BROWSER, **shown}).status_code == 303


@pytest.mark.parametrize("body", [b"\xff", b"key=" + b"a" * 20000, b"&".join([b"a=b"] * 100)])
def test_a_form_that_is_none_is_refused(keyed: SmallRing, body: bytes) -> None:
    assert browser(keyed).post("/sign-in", data=body).status_code == 400


# --- the audit log ---


def test_who_did_what_to_which_path_is_written_down(keyed: SmallRing) -> None:
    key = make_key(keyed, ["read", "write"], prefix="log/", name="ünï")
    text, key_id = key["key"], key["key_id"]
    visitor = "192.0.2.77"
    stored = ask(keyed, "PUT", "/fs/log/é", text, client=visitor, data=b"x").json
    ask(keyed, "GET", f"/files/{stored['file_id']}", text, client=visitor, headers={"X-Request-ID": "the-request"})
    ask(keyed, "DELETE", f"/files/{stored['file_id']}", text, client=visitor)
    ask(keyed, "GET", "/fs/other", text, client=visitor)
    ask(keyed, "GET", "/fs/log/é", client=visitor)
    ask(keyed, "GET", "/fs/log/é", text[:-1] + "x", client=visitor)
    url = ask(keyed, "POST", "/links", text, client=visitor, json={"path": "log/é", "method": "GET", "seconds": 9}).json
    ask(keyed, "GET", url["url"].removeprefix("http://localhost"), client=visitor)
    ask(keyed, "GET", "/health", client=visitor)
    lines = [line for line in keyed.audit() if line["client"] == visitor]
    me = {"actor": f"key {key_id}", "key_id": key_id, "key_name": "ünï"}
    told = [{name: line.get(name) for name in ("actor", "event", "route", "paths", "status")} for line in lines]
    actor = me["actor"]
    assert told == [
        {"actor": actor, "event": "PUT", "route": "/fs/<path>", "paths": ["log/é"], "status": 201},
        {"actor": actor, "event": "GET", "route": "/files/<file_id>", "paths": ["log/é"], "status": 200},
        {"actor": actor, "event": "DELETE", "route": "/files/<file_id>", "paths": None, "status": 403},
        {"actor": actor, "event": "GET", "route": "/fs/<path>", "paths": ["other"], "status": 403},
        {"actor": "nobody", "event": "GET", "route": "/fs/<path>", "paths": None, "status": 401},
        {"actor": "nobody", "event": "GET", "route": "/fs/<path>", "paths": None, "status": 401},
        {"actor": actor, "event": "POST", "route": "/links", "paths": ["log/é"], "status": 201},
        {"actor": f"link of {actor}", "event": "GET", "route": "/fs/<path>", "paths": ["log/é"], "status": 200},
    ]
    assert {name: lines[0][name] for name in me} == me
    assert lines[0]["target"] == "/fs/log/é"
    assert lines[1]["request_id"] == "the-request"
    assert lines[2]["target"] == f"/files/{stored['file_id']}"


def test_a_line_says_what_was_changed_where_the_path_alone_does_not(keyed: SmallRing) -> None:
    visitor = "192.0.2.78"

    def change(method: str, target: str, **options: Any) -> Any:
        answer = ask(keyed, method, target, OPERATOR_KEY, client=visitor, **options)
        assert answer.status_code < 300, answer.data
        return answer.json

    file_id = change("PUT", "/fs/told/a", data=b"x")["file_id"]
    change("PATCH", f"/files/{file_id}", json={"path": "told/b"})
    change("PUT", "/fs/told/b", data=b"y")
    change("POST", f"/files/{file_id}/restore", json={"version": 1})
    change("DELETE", "/fs/told/b")
    change("POST", f"/files/{file_id}/restore", json={"path": "told/c"})
    change("DELETE", f"/files/{file_id}?permanent=true")
    change("PUT", "/fs/told/d", data=b"x")
    change("DELETE", "/fs/told/d?permanent=true")
    change("POST", "/trash/empty", json={"prefix": "told/"})
    made = change("POST", "/keys", json={"name": "told", "rights": ["read"], "prefix": "told/"})
    change("POST", "/links", json={"path": "told/e", "method": "PUT", "seconds": 9})
    change("PUT", "/quotas?prefix=told/", json={"max_files": 7})
    change("DELETE", "/quotas?prefix=told/")
    change("POST", "/cluster/fsck?verify=true")
    lines = [line for line in keyed.audit() if line["client"] == visitor]
    assert [(line.get("paths"), line.get("about")) for line in lines] == [
        (["told/a"], None),
        (["told/b", "told/a"], None),
        (["told/b"], None),
        (["told/b"], {"version": 1}),
        (["told/b"], {"is_permanent": False}),
        (["told/c", "told/c"], {"version": 3}),
        (["told/c"], {"is_permanent": True}),
        (["told/d"], None),
        (["told/d"], {"is_permanent": True}),
        (["told/"], {"deleted": 0, "more": False}),
        (None, {"key_id": made["key_id"], "name": "told", "rights": ["read"], "prefix": "told/"}),
        (["told/e"], {"method": "PUT", "seconds": 9}),
        (["told/"], {"max_bytes": None, "max_files": 7}),
        (["told/"], None),
        (None, {"is_verifying": True}),
    ]


def test_no_secret_is_written_down_anywhere(keyed: SmallRing) -> None:
    key = make_key(keyed, ["read", "write", "admin"])["key"]
    ask(keyed, "PUT", "/fs/secret", key, data=b"x")
    url = ask(keyed, "POST", "/links", key, json={"path": "secret", "method": "GET", "seconds": 9}).json["url"]
    target = url.removeprefix("http://localhost")
    assert ask(keyed, "GET", target).status_code == 200
    ask(keyed, "GET", target + "0")
    visitor = browser(keyed)
    cookie = visitor.post("/sign-in", data={"key": key}, headers=BROWSER).headers["Set-Cookie"]
    visitor.get("/", headers=BROWSER)
    ask(keyed, "GET", "/files", "a-key-that-is-wrong")
    # Taken for its id.
    assert ask(keyed, "DELETE", f"/keys/{key}", OPERATOR_KEY).status_code == 404
    logged = keyed.logged()
    assert '"/fs/secret"' in logged
    secret = key.rpartition("_")[2]
    signature, session = target.rpartition("=")[2], cookie.partition(";")[0].rpartition(".")[2]
    database = keyed.config.sqlite_path().read_bytes() + Path(f"{keyed.config.sqlite_path()}-wal").read_bytes()
    assert secret.encode() not in database
    for word in (secret, signature, session, OPERATOR_KEY, "a-key-that-is-wrong", keyed.config.cluster.secret):
        assert len(word) >= 16
        assert word not in logged
        assert hashlib.sha256(word.encode()).hexdigest() not in logged
