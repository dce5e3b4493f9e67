"""What the gateway signs passes for exactly what it was signed for: links, sessions, and what is shown besides."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from api_gateway.access.credentials import shown_key, shown_session
from api_gateway.access.links import LINK_RULE, Links
from api_gateway.access.sessions import Sessions
from api_gateway.access.signing import Signer
from common.auth import derive_key
from common.errors import InvalidPath, InvalidRequest, LinkRefused
from common.wire import Headers
from tests.support.clocks import StepClock
from tests.support.names import AWKWARD_NAMES

KEY_ID = "0123456789abcdef"
MAX_SECONDS = 1000


def signer(*secrets: str, context: str = "link") -> Signer:
    return Signer([derive_key(secret, context) for secret in secrets])


def links(*secrets: str, clock: StepClock | None = None) -> Links:
    return Links(signer(*(secrets or ("s",))), clock or StepClock(), MAX_SECONDS)


def parts(url: str) -> tuple[str, dict[str, str]]:
    """The path and the query of a link, as the gateway gets them."""
    split = urlsplit(url)
    return unquote(split.path).removeprefix("/fs/"), dict(parse_qsl(split.query, strict_parsing=True))


def is_taken(made: Links, path: str, query: dict[str, str], method: str = "GET", rule: str = LINK_RULE) -> bool:
    try:
        return made.verify(method, rule, path, query) == KEY_ID
    except LinkRefused:
        return False


@pytest.mark.parametrize("name", [*AWKWARD_NAMES[::7], "a/b c", "%2F", "50%", "a?b&c=d#e", "folder/"])
def test_a_link_is_for_its_path_whatever_that_is(name: str) -> None:
    made = links()
    url = made.make(KEY_ID, name, "GET", 60).url
    assert url.isascii()
    path, query = parts(url)
    assert path == name
    assert is_taken(made, path, query)
    assert not is_taken(made, path + "x", query)


def test_a_link_is_for_one_method_and_head_goes_with_get() -> None:
    made = links()
    for method, allowed in (("GET", {"GET", "HEAD"}), ("PUT", {"PUT"})):
        path, query = parts(made.make(KEY_ID, "a", method, 60).url)
        tried = {m for m in ("GET", "HEAD", "PUT", "DELETE", "POST", "PATCH") if is_taken(made, path, query, m)}
        assert tried == allowed


def test_a_link_ends_when_it_says() -> None:
    clock = StepClock()
    made = links(clock=clock)
    link = made.make(KEY_ID, "a", "GET", 60)
    path, query = parts(link.url)
    clock.now = link.expires_at - 0.5
    assert is_taken(made, path, query)
    clock.now = link.expires_at
    assert not is_taken(made, path, query)


def test_nothing_of_a_link_can_be_changed_left_out_or_added() -> None:
    made = links()
    path, query = parts(made.make(KEY_ID, "a", "GET", 60).url)
    for name, value in query.items():
        for changed in ("", value[:-1], value + "0", "0" + value, value.upper() + " ", value + "\n"):
            assert not is_taken(made, path, {**query, name: changed}), (name, changed)
        assert not is_taken(made, path, {other: query[other] for other in query if other != name}), name
    assert not is_taken(made, path, {**query, "permanent": "true"})
    assert not is_taken(made, path, query, rule="/files/<file_id>")
    assert not is_taken(made, path, query, rule="")


def test_two_links_make_no_third() -> None:
    made = links()
    one, two = (parts(made.make(KEY_ID, path, "GET", seconds).url) for path, seconds in (("a", 60), ("b", 70)))
    for name in one[1]:
        if one[1][name] != two[1][name]:
            assert not is_taken(made, one[0], {**one[1], name: two[1][name]})
    assert not is_taken(made, two[0], one[1])
    longer = parts(made.make(KEY_ID, "1a", "GET", 60).url)[1]
    assert not is_taken(made, "a", {**longer, "dfs_expires": longer["dfs_expires"] + "1"})


@pytest.mark.parametrize(
    ("path", "method", "seconds"),
    [("a", "DELETE", 60), ("a", "get", 60), ("a", "HEAD", 60), ("a", "GET", 0), ("a", "GET", MAX_SECONDS + 1)],
)
def test_a_link_that_must_not_be_is_not_made(path: str, method: str, seconds: int) -> None:
    with pytest.raises(InvalidRequest):
        links().make(KEY_ID, path, method, seconds)


def test_a_link_for_what_no_path_may_be_is_not_made() -> None:
    for path in ("", "/a", "a//b", "../a", "a\0"):
        with pytest.raises(InvalidPath):
            links().make(KEY_ID, path, "GET", 60)


def test_what_was_signed_with_the_secret_before_counts_while_that_is_valid() -> None:
    path, query = parts(links("old").make(KEY_ID, "a", "GET", 60).url)
    assert is_taken(links("new", "old"), path, query)
    assert not is_taken(links("new"), path, query)


def test_a_session_leads_to_its_key_until_it_ends() -> None:
    clock = StepClock()
    sessions = Sessions(signer("s", context="session"), clock, 60)
    value = sessions.begin(KEY_ID)
    assert sessions.key_of(value) == KEY_ID
    assert shown_session(Headers({"cookie": f"a=b; dfs_session={value}; c=d"}), is_secure=False) == value
    clock.now += 60
    assert sessions.key_of(value) is None


def test_nothing_of_a_session_can_be_changed() -> None:
    sessions = Sessions(signer("s", context="session"), StepClock(), 60)
    key_id, expires, signature = sessions.begin(KEY_ID).split(".")
    assert int(expires) == 1060
    forged = [
        f"{'f' * 16}.{expires}.{signature}",
        f"{key_id}.{int(expires) + 1}.{signature}",
        f"{key_id}{expires[0]}.{expires[1:]}.{signature}",
        f"{key_id}.0{expires}.{signature}",
        f"{key_id}.{expires}.{signature[:-1]}",
        f"{key_id}.{expires}.{signature}0",
        f"{key_id}.{expires}.{'0' * 64}",
        f"{key_id}.{expires}.",
        f"{key_id}.{expires}",
        "",
    ]
    assert [value for value in forged if sessions.key_of(value) is not None] == []


def test_a_session_is_no_link_and_a_link_no_session() -> None:
    clock = StepClock()
    one = signer("s", context="session").sign(KEY_ID, "1060")
    assert not signer("s", context="link").is_right(one, KEY_ID, "1060")
    assert not signer("s", context="session").is_right(one, f"{KEY_ID}1060")
    assert Sessions(signer("t", context="session"), clock, 60).key_of(f"{KEY_ID}.1060.{one}") is None


def test_the_cookie_is_for_the_browser_alone() -> None:
    sessions = Sessions(signer("s"), StepClock(), 60)
    plain, secure = sessions.cookie("v", is_secure=False), sessions.cookie("v", is_secure=True)
    assert plain == "dfs_session=v; Max-Age=60; Path=/; HttpOnly; SameSite=Strict"
    assert secure == f"__Host-{plain}; Secure"
    assert sessions.cookie("", is_secure=False).startswith("dfs_session=; Max-Age=0; Path=/;")


def _basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("authorization", "shown"),
    [
        (None, None),
        ("", ""),
        ("Bearer k:e y", "k:e y"),
        ("bearer k", "k"),
        ("BEARER   k  ", "k"),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("Token k", ""),
        ("k", ""),
        (_basic(b"any:k:e y"), "k:e y"),
        (_basic(b":k"), "k"),
        (_basic("ünï:k".encode()), "k"),
        (_basic(b"k"), ""),
        (_basic(b"any:\xff\xfe"), ""),
        ("Basic %%%", ""),
        ("Basic ", ""),
        ("Basic \udcff", ""),
        ("Bearer \udcff", "\udcff"),
    ],
)
def test_a_key_is_shown_as_bearer_or_as_password(authorization: str | None, shown: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    assert shown_key(Headers(headers)) == shown


@pytest.mark.parametrize(
    ("cookie", "shown"),
    [
        ("", None),
        ("dfs_session=", None),
        ("dfs_session=a.b", "a.b"),
        ("x=y;dfs_session=a", "a"),
        ("xdfs_session=a", None),
        ('dfs_session="a"', None),
        ("dfs_session=a b", None),
        ("dfs_session=" + "a" * 201, None),
    ],
)
def test_a_session_is_shown_as_a_cookie(cookie: str, shown: str | None) -> None:
    assert shown_session(Headers({"cookie": cookie} if cookie else {}), is_secure=False) == shown


@pytest.mark.parametrize("is_secure", [True, False])
def test_over_tls_a_session_counts_that_no_other_host_can_have_planted_and_in_plain_http_none_of_tls(
    is_secure: bool,
) -> None:
    headers = Headers({"cookie": "dfs_session=plain; __Host-dfs_session=secure"})
    assert shown_session(headers, is_secure=is_secure) == ("secure" if is_secure else "plain")
    other = Headers({"cookie": "dfs_session=plain" if is_secure else "__Host-dfs_session=secure"})
    assert shown_session(other, is_secure=is_secure) is None
