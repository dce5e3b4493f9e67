"""Each right against each route of the gateway: a route that is not in the table here fails the first test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from api_gateway.access.links import Links
from api_gateway.access.needs import NEEDS, need_of, require_complete
from api_gateway.access.sessions import Sessions
from api_gateway.access.signing import Signer
from common.actors import NOBODY, Actor
from common.auth import ClusterSecret
from common.clock import Clock, SystemClock
from common.errors import RightMissing
from tests.support.client import file_part, form_body, path_part
from tests.support.clocks import StepClock
from tests.support.ring import OPERATOR_KEY, REMOTE, SmallRing
from tests.support.tus import MEDIA_TYPE, VERSION, encode_metadata

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
PATCH = {"Upload-Offset": "0", "Content-Type": MEDIA_TYPE}
READ, WRITE, DELETE, ADMIN = "read", "write", "delete", "admin"
MINE, OTHER = "mine/", "other/"


@dataclass
class Who:
    """One who asks: with which headers, and what they may do where."""

    headers: dict[str, str] = field(default_factory=dict)
    rights: frozenset[str] = frozenset()
    prefix: str = ""
    is_known: bool = True


class Scene:
    """A gateway with keys of every kind, and a file under `mine/` for each try."""

    def __init__(self, ring: SmallRing) -> None:
        self.ring = ring
        self.count = 0
        self._askers = itertools.count()
        self._file: dict[str, Any] | None = None
        self._trashed: dict[str, Any] | None = None
        self._upload: str | None = None
        self.people = self._make_people()

    def ask(self, method: str, target: str, who: dict[str, str] | None = None, **options: Any) -> TestResponse:
        """From an address that nobody else has, so that no wrong key makes another wait.

        who: the headers that say who asks; headers, of the options: what the route takes besides.
        """
        headers = {**(who or {}), **options.pop("headers", {})}
        number = next(self._askers)
        remote = {"REMOTE_ADDR": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"}
        client = self.ring.gateway.app.test_client(use_cookies=False)
        return client.open(target, method=method, headers=headers, environ_overrides=remote, **options)

    def as_operator(self, method: str, target: str, **options: Any) -> TestResponse:
        return self.ask(method, target, bearer(OPERATOR_KEY), **options)

    def make_key(self, rights: list[str], prefix: str = "") -> dict[str, Any]:
        made = self.as_operator("POST", "/keys", json={"name": "k", "rights": rights, "prefix": prefix})
        assert made.status_code == 201, made.json
        return made.json

    def file(self) -> dict[str, Any]:
        """An active file under `mine/`."""
        if self._file is None:
            stored = self.as_operator("PUT", f"/fs/{self.new_path()}", data=b"x")
            assert stored.status_code == 201, stored.json
            self._file = stored.json
        return self._file

    def trashed(self) -> dict[str, Any]:
        """A file that was under `mine/`."""
        if self._trashed is None:
            self._trashed, self._file = self.file(), None
            assert self.as_operator("DELETE", f"/files/{self._trashed['file_id']}").status_code == 200
        return self._trashed

    def upload(self) -> str:
        """The address of an upload that is under way to a path under `mine/`."""
        if self._upload is None:
            target, options = to_new_upload()(self)
            begun = self.as_operator("POST", target, **options)
            assert begun.status_code == 201, begun.json
            self._upload = begun.headers["Location"]
        return self._upload

    def forget(self) -> None:
        """What these gave may have been changed."""
        self._file = self._trashed = self._upload = None

    def new_path(self) -> str:
        self.count += 1
        return f"{MINE}{self.count}"

    def _make_people(self) -> dict[str, Who]:
        people = {
            "nobody": Who(is_known=False),
            "a wrong key": Who(bearer("dfs_" + "0" * 16 + "_" + "0" * 64), is_known=False),
            "no key at all": Who(bearer("x"), is_known=False),
            "the operator": Who(bearer(OPERATOR_KEY), frozenset({READ, WRITE, DELETE, ADMIN})),
        }
        for rights in ([READ], [WRITE], [DELETE], [ADMIN]):
            people[rights[0]] = Who(bearer(self.make_key(rights)["key"]), frozenset(rights))
        for rights in ([READ], [WRITE], [DELETE], [READ, WRITE, DELETE]):
            for prefix in (MINE, OTHER):
                key = self.make_key(rights, prefix)["key"]
                people[f"{' '.join(rights)} in {prefix}"] = Who(bearer(key), frozenset(rights), prefix)
        revoked = self.make_key([READ, WRITE, DELETE, ADMIN])
        assert self.as_operator("DELETE", f"/keys/{revoked['key_id']}").status_code == 200
        people["a revoked key"] = Who(bearer(revoked["key"]), is_known=False)
        reader = self.make_key([READ])
        people["a session"] = Who(session(self.sessions(), reader["key_id"]), frozenset({READ}))
        people["an expired session"] = Who(session(self.sessions(StepClock()), reader["key_id"]), is_known=False)
        people["a revoked key's session"] = Who(session(self.sessions(), revoked["key_id"]), is_known=False)
        return people

    def sessions(self, clock: Clock | None = None) -> Sessions:
        """As the gateway makes them; with a clock that stands in 1970, those of then."""
        return Sessions(Signer(self.derive("page session")), clock or SystemClock(), 3600)

    def links(self, clock: Clock | None = None) -> Links:
        return Links(Signer(self.derive("link")), clock or SystemClock(), 3600)

    def derive(self, context: str) -> tuple[bytes, ...]:
        return ClusterSecret(self.ring.config.cluster.secret).derive_keys(context)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def session(sessions: Sessions, key_id: str) -> dict[str, str]:
    return {"Cookie": f"dfs_session={sessions.begin(key_id)}", **OWN_PAGE}


@dataclass(frozen=True)
class Try:
    """How a route is asked for something under `mine/`, who may, and what those get.

    rights: one of these; none: whoever is known; None: anybody at all may. is_whole: the whole cluster is concerned.
    """

    rights: frozenset[str] | None
    ask: Callable[[Scene], tuple[str, dict[str, Any]]]
    status: int = 200
    is_whole: bool = False
    is_spent: bool = False


def to(target: str, **options: Any) -> Callable[[Scene], tuple[str, dict[str, Any]]]:
    return lambda _: (target, options)


def to_file(suffix: str, **options: Any) -> Callable[[Scene], tuple[str, dict[str, Any]]]:
    return lambda scene: (f"/files/{scene.file()['file_id']}{suffix}", options)


def to_path(**options: Any) -> Callable[[Scene], tuple[str, dict[str, Any]]]:
    return lambda scene: (f"/fs/{scene.file()['path']}", options)


def to_new_upload() -> Callable[[Scene], tuple[str, dict[str, Any]]]:
    def ask(scene: Scene) -> tuple[str, dict[str, Any]]:
        metadata = encode_metadata(path=scene.new_path())
        return "/uploads", {"headers": {**VERSION, "Upload-Length": "1", "Upload-Metadata": metadata}}

    return ask


def to_upload(headers: Mapping[str, str] | None = None) -> Callable[[Scene], tuple[str, dict[str, Any]]]:
    return lambda scene: (scene.upload(), {"headers": {**VERSION, **(headers or {})}})


def a_form(scene: Scene) -> tuple[str, dict[str, Any]]:
    form = form_body([path_part(scene.new_path()), file_part("f", b"x")], "B")
    return "/files", {"data": form, "content_type": "multipart/form-data; boundary=B"}


def one(*rights: str) -> frozenset[str]:
    return frozenset(rights)


TRIES: dict[tuple[str, str], Try] = {
    ("GET", "/health"): Try(None, to("/health")),
    ("GET", "/ready"): Try(None, to("/ready")),
    ("GET", "/metrics"): Try(one(READ, ADMIN), to("/metrics"), is_whole=True),
    ("GET", "/openapi.json"): Try(one(), to("/openapi.json")),
    ("GET", "/docs"): Try(one(), to("/docs")),
    ("GET", "/static/<path:filename>"): Try(None, to("/static/css/base.css")),
    ("GET", "/sign-in"): Try(None, to("/sign-in")),
    ("POST", "/sign-in"): Try(None, to("/sign-in", data={"key": OPERATOR_KEY}), 303),
    ("POST", "/sign-out"): Try(None, to("/sign-out"), 303),
    ("GET", "/"): Try(one(READ), to(f"/?prefix={MINE}")),
    ("GET", "/trash"): Try(one(READ), to(f"/trash?prefix={MINE}")),
    ("GET", "/files"): Try(one(READ), to(f"/files?prefix={MINE}")),
    ("POST", "/files"): Try(one(WRITE), a_form, 201),
    ("GET", "/files/<file_id>"): Try(one(READ), to_file("")),
    ("GET", "/files/<file_id>/chunks"): Try(one(READ), to_file("/chunks")),
    ("GET", "/files/<file_id>/checksum"): Try(one(READ), to_file("/checksum")),
    ("GET", "/files/<file_id>/download"): Try(one(READ), to_file("/download")),
    # The scene's files have no type.
    ("GET", "/files/<file_id>/preview"): Try(one(READ), to_file("/preview"), 415),
    ("DELETE", "/files/<file_id>"): Try(one(DELETE), to_file(""), is_spent=True),
    ("POST", "/files/<file_id>/delete"): Try(one(DELETE), to_file("/delete"), is_spent=True),
    ("POST", "/files/<file_id>/restore"): Try(
        one(WRITE), lambda scene: (f"/files/{scene.trashed()['file_id']}/restore", {}), is_spent=True
    ),
    ("PATCH", "/files/<file_id>"): Try(
        one(WRITE),
        lambda scene: (f"/files/{scene.file()['file_id']}", {"json": {"path": scene.new_path()}}),
        is_spent=True,
    ),
    ("PUT", "/fs/<anypath:path>"): Try(one(WRITE), to_path(data=b"y")),
    ("GET", "/fs/<anypath:path>"): Try(one(READ), to_path()),
    ("DELETE", "/fs/<anypath:path>"): Try(one(DELETE), to_path(), is_spent=True),
    ("POST", "/trash/empty"): Try(one(DELETE), to("/trash/empty", json={"prefix": MINE})),
    ("GET", "/archive"): Try(one(READ), lambda scene: (f"/archive?path={scene.file()['path']}", {})),
    ("POST", "/archive"): Try(one(READ), lambda scene: ("/archive", {"data": {"path": scene.file()["path"]}})),
    ("POST", "/uploads"): Try(one(WRITE), to_new_upload(), 201),
    ("GET", "/uploads/<upload_id>"): Try(one(WRITE), to_upload()),
    ("PATCH", "/uploads/<upload_id>"): Try(one(WRITE), to_upload(PATCH), 204, is_spent=True),
    ("DELETE", "/uploads/<upload_id>"): Try(one(WRITE), to_upload(), 204, is_spent=True),
    ("POST", "/uploads/<upload_id>"): Try(
        one(WRITE), to_upload({**PATCH, "X-HTTP-Method-Override": "PATCH"}), 204, is_spent=True
    ),
    ("POST", "/links"): Try(one(READ), to("/links", json={"path": f"{MINE}1", "method": "GET", "seconds": 60}), 201),
    ("POST", "/keys"): Try(one(ADMIN), to("/keys", json={"name": "n", "rights": ["read"]}), 201, is_whole=True),
    ("GET", "/keys"): Try(one(ADMIN), to("/keys"), is_whole=True),
    ("DELETE", "/keys/<key_id>"): Try(one(ADMIN), to("/keys/" + "0" * 16), 404, is_whole=True),
    ("GET", "/quotas"): Try(one(ADMIN), to("/quotas"), is_whole=True),
    ("PUT", "/quotas"): Try(one(ADMIN), to("/quotas?prefix=nowhere/", json={"max_files": 1}), is_whole=True),
    ("DELETE", "/quotas"): Try(one(ADMIN), to("/quotas?prefix=never/"), 404, is_whole=True),
    ("GET", "/cluster"): Try(one(READ, ADMIN), to("/cluster"), is_whole=True),
    ("GET", "/cluster-view"): Try(one(READ, ADMIN), to("/cluster-view"), is_whole=True),
    ("GET", "/cluster/jobs"): Try(one(READ, ADMIN), to("/cluster/jobs"), is_whole=True),
    ("POST", "/cluster/workers/<worker_id>/drain"): Try(
        one(ADMIN), to("/cluster/workers/worker_9/drain"), 404, is_whole=True
    ),
    ("POST", "/cluster/workers/<worker_id>/undrain"): Try(
        one(ADMIN), to("/cluster/workers/worker_9/undrain"), 404, is_whole=True
    ),
    ("POST", "/cluster/fsck"): Try(one(ADMIN), to("/cluster/fsck"), 202, is_whole=True),
    ("GET", "/cluster/fsck"): Try(one(ADMIN), to("/cluster/fsck"), is_whole=True),
}


@pytest.fixture(scope="module")
def scene(keyed: SmallRing) -> Scene:
    return Scene(keyed)


def routes_of(scene: Scene) -> set[tuple[str, str]]:
    rules = scene.ring.gateway.app.url_map.iter_rules()
    return {(method, rule.rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}


def test_every_route_is_tried(scene: Scene) -> None:
    assert routes_of(scene) == TRIES.keys() == NEEDS.keys()


def test_a_route_of_which_the_table_says_nothing_cannot_be_served() -> None:
    require_complete([("GET", "/files"), ("HEAD", "/files"), ("OPTIONS", "/new")])
    with pytest.raises(LookupError, match="/new"):
        require_complete([("GET", "/files"), ("POST", "/new")])


def expected(who: Who, trial: Try) -> tuple[int, str]:
    """The status and the problem's code, "" where there need be none."""
    if trial.rights is None:
        return trial.status, ""
    if not who.is_known:
        return 401, "unauthorized"
    if not trial.rights:
        return trial.status, ""
    if not who.rights & trial.rights:
        return 403, "right_missing"
    if who.prefix and (trial.is_whole or who.prefix != MINE):
        return 403, "outside_prefix"
    return trial.status, ""


@pytest.mark.parametrize("route", TRIES, ids=" ".join)
def test_who_may_use_the_route_and_who_may_not(scene: Scene, route: tuple[str, str]) -> None:
    trial = TRIES[route]
    outcomes = {}
    for name, who in scene.people.items():
        target, options = trial.ask(scene)
        answer = scene.ask(route[0], target, who.headers, **options)
        status, code = expected(who, trial)
        body = answer.json if answer.is_json else None
        if (answer.status_code, (body or {}).get("code", "") if code else "") != (status, code):
            outcomes[name] = (answer.status_code, answer.data[:200])
        if answer.status_code < 400 and trial.is_spent:
            scene.forget()
    assert outcomes == {}


@pytest.mark.parametrize("route", [route for route in TRIES if route[0] == "GET"], ids=" ".join)
def test_head_needs_what_get_needs(scene: Scene, route: tuple[str, str]) -> None:
    trial = TRIES[route]
    for name in ("nobody", "read", "write in other/", "a revoked key"):
        target, options = trial.ask(scene)
        who = scene.people[name]
        assert scene.ask("HEAD", target, who.headers, **options).status_code == expected(who, trial)[0], name


@pytest.mark.parametrize("route", TRIES, ids=" ".join)
def test_a_method_in_other_letters_is_none(scene: Scene, route: tuple[str, str]) -> None:
    """It reached the same handler once, and the table of needs had no row for it."""
    target, options = TRIES[route].ask(scene)
    who = scene.people["read in mine/"]
    for method in (route[0].lower(), route[0].title()):
        overrides = {"REQUEST_METHOD": method, "REMOTE_ADDR": REMOTE}
        given = {**options, "headers": {**who.headers, **options.get("headers", {})}}
        asked = EnvironBuilder(target, environ_overrides=overrides, **given)
        _, status, _ = run_wsgi_app(scene.ring.gateway.app, asked.get_environ())
        assert status.startswith("405"), method


def test_what_the_table_does_not_name_needs_an_administrator() -> None:
    for method in ("delete", "DELETE", "PROPFIND"):
        with pytest.raises(RightMissing):
            need_of(method, "/new").check(Actor("a reader", frozenset({READ})))
    need_of("OPTIONS", "/files").check(NOBODY)
    need_of("DELETE", "").check(NOBODY)


def test_what_is_not_there_is_so_for_those_only_who_may_come_in(scene: Scene) -> None:
    for method, target, status in (("GET", "/no", 404), ("DELETE", "/files", 405), ("OPTIONS", "/files", 200)):
        for name, who in scene.people.items():
            assert scene.ask(method, target, who.headers).status_code == (status if who.is_known else 401), name


def test_a_change_by_a_session_must_say_where_it_comes_from(scene: Scene) -> None:
    key = scene.make_key([READ, WRITE, DELETE])
    headers = session(scene.sessions(), key["key_id"])
    target = f"/fs/{scene.new_path()}"
    assert scene.ask("PUT", target, headers, data=b"x").status_code == 201
    del headers["Sec-Fetch-Site"]
    for extra in ({}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        answer = scene.ask("PUT", target, {**headers, **extra}, data=b"y")
        assert (answer.status_code, answer.json["code"]) == (403, "cross_site_request"), extra
    assert scene.ask("GET", target, headers).data == b"x"
    assert scene.ask("PUT", target, {**headers, "Origin": "http://localhost"}, data=b"z").status_code == 200


# --- prefixes ---


def test_a_key_sees_and_moves_files_of_its_prefix_only(scene: Scene) -> None:
    who = bearer(scene.make_key([READ, WRITE, DELETE], MINE)["key"])
    inside, outside = scene.file(), scene.as_operator("PUT", "/fs/outside", data=b"x").json
    scene.forget()

    def code(method: str, target: str, **options: Any) -> str:
        answer = scene.ask(method, target, who, **options)
        return answer.json.get("code", "") if answer.status_code >= 400 else "ok"

    move = {"json": {"path": "outside2"}}
    assert code("PATCH", f"/files/{inside['file_id']}", **move) == "outside_prefix"
    assert code("PATCH", f"/files/{outside['file_id']}", json={"path": scene.new_path()}) == "outside_prefix"
    assert code("DELETE", f"/files/{inside['file_id']}") == "ok"
    assert code("POST", f"/files/{inside['file_id']}/restore", **move) == "outside_prefix"
    inner = {"json": {"path": scene.new_path()}}
    assert code("POST", f"/files/{inside['file_id']}/restore", **inner) == "ok"
    assert code("PATCH", f"/files/{inside['file_id']}", json={"path": scene.new_path()}) == "ok"
    assert code("DELETE", f"/files/{inside['file_id']}?permanent=true") == "ok"
    for target in ("/fs/outside", "/fs/mine", "/fs/mine%2F..%2Foutside", "/fs/./mine/x"):
        assert code("GET", target) in ("outside_prefix", "invalid_path", "file_not_found"), target
    assert code("GET", "/fs/outside") == code("GET", "/fs/mine") == "outside_prefix"
    assert scene.as_operator("GET", "/fs/outside").data == b"x"


def test_a_listing_begins_at_the_keys_prefix_and_never_leaves_it(scene: Scene) -> None:
    who = bearer(scene.make_key([READ], MINE)["key"])
    for path in ("a", f"{MINE}sub/a", f"{MINE}sub/b", "zzz"):
        scene.as_operator("PUT", f"/fs/{path}", data=b"x")
    for target in ("/files", "/files?prefix=", f"/files?prefix={MINE}"):
        assert all(file["path"].startswith(MINE) for file in scene.ask("GET", target, who).json["files"])
    assert {f["path"] for f in scene.ask("GET", f"/files?prefix={MINE}sub/", who).json["files"]} == {
        f"{MINE}sub/a",
        f"{MINE}sub/b",
    }
    for prefix in ("a", "mine", "m", "/", "zzz"):
        assert scene.ask("GET", f"/files?prefix={prefix}", who).json["code"] == "outside_prefix"
    for prefix in ("a", "/", "zzz"):
        assert scene.ask("GET", f"/?prefix={prefix}", who).status_code == 403
    everything = scene.as_operator("GET", "/files?limit=1").json["next_cursor"]
    assert scene.ask("GET", f"/files?cursor={everything}", who).status_code == 400
    for prefix in ("", "m", "mine"):
        page = scene.ask("GET", f"/?prefix={prefix}", who).text
        assert ">sub</a>" in page
        assert "zzz" not in page


def test_no_file_of_a_form_is_stored_when_one_of_them_may_not_be(scene: Scene) -> None:
    who = bearer(scene.make_key([WRITE], MINE)["key"])
    good, bad = scene.new_path(), "form-outside"
    form = form_body([path_part(good), path_part(bad), file_part("f", b"x"), file_part("g", b"y")], "B")
    answer = scene.ask("POST", "/files", who, data=form, content_type="multipart/form-data; boundary=B")
    assert (answer.status_code, answer.json["code"]) == (403, "outside_prefix")
    for path in (good, bad):
        assert scene.as_operator("GET", f"/fs/{path}").status_code == 404


# --- links ---


def test_a_link_works_without_a_key_for_what_it_was_made_for_alone(scene: Scene) -> None:
    path = f"{MINE}link é %?#"
    key = scene.make_key([READ, WRITE], MINE)
    who = bearer(key["key"])
    put, get = (link(scene, who, path, method) for method in ("PUT", "GET"))
    assert scene.ask("PUT", put, data=b"by link").status_code == 201
    assert scene.ask("GET", get).data == b"by link"
    assert scene.ask("HEAD", get).status_code == 200
    assert scene.ask("GET", get, {"Range": "bytes=0-1"}).data == b"by"
    refused = [("GET", put), ("PUT", get), ("DELETE", get), ("DELETE", put)]
    refused += [("GET", get.replace("link", "other")), ("GET", get + "&permanent=true"), ("GET", get[:-1])]
    refused += [("GET", "/files?" + get.partition("?")[2]), ("GET", "/?" + get.partition("?")[2])]
    for method, target in refused:
        answer = scene.ask(method, target, data=b"no" if method == "PUT" else None)
        assert (answer.status_code, answer.json["code"]) == (403, "link_refused"), (method, target)
    assert scene.ask("GET", get).data == b"by link"
    scene.as_operator("DELETE", f"/keys/{key['key_id']}")
    assert scene.ask("GET", get).json["code"] == "link_refused"


def test_a_link_needs_the_right_that_it_gives(scene: Scene) -> None:
    people = scene.people
    for name, method, path, code in (
        ("read", "PUT", f"{MINE}1", "right_missing"),
        ("write", "GET", f"{MINE}1", "right_missing"),
        ("read in mine/", "GET", "other/1", "outside_prefix"),
        ("read", "DELETE", f"{MINE}1", "invalid_request"),
        ("read", "GET", "../x", "invalid_path"),
    ):
        body = {"path": path, "method": method, "seconds": 60}
        assert scene.ask("POST", "/links", people[name].headers, json=body).json["code"] == code


def test_an_expired_link_and_one_of_a_weaker_key_are_refused(scene: Scene) -> None:
    path = scene.file()["path"]
    reader = scene.make_key([READ], MINE)["key_id"]
    assert scene.ask("GET", scene.links().make(reader, path, "GET", 60).url).status_code == 200
    for made, code in (
        (scene.links(StepClock()).make(reader, path, "GET", 60), "link_refused"),
        (scene.links().make("0" * 16, path, "GET", 60), "link_refused"),
        (scene.links().make(reader, "outside", "GET", 60), "outside_prefix"),
    ):
        assert scene.ask("GET", made.url).json["code"] == code
    assert scene.ask("PUT", scene.links().make(reader, path, "PUT", 60).url, data=b"").json["code"] == "right_missing"


def test_a_link_of_the_operator_works_too(scene: Scene) -> None:
    path = scene.file()["path"]
    target = link(scene, bearer(OPERATOR_KEY), path, "GET")
    assert OPERATOR_KEY not in target
    assert scene.ask("GET", target).data == b"x"


def link(scene: Scene, who: dict[str, str], path: str, method: str) -> str:
    """A link as the gateway makes it, without scheme and host."""
    made = scene.ask("POST", "/links", who, json={"path": path, "method": method, "seconds": 60})
    assert made.status_code == 201, made.json
    assert made.json["expires_at"].endswith("Z")
    url: str = made.json["url"]
    assert url.startswith("http://localhost/fs/")
    return url.removeprefix("http://localhost")
