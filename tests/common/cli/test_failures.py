"""Which gateway is called with which key, and what an error of it comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.tiny_server import Exchange, refusing, serving


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "invalid_path", 1),
        (401, "unauthorized", 4),
        (403, "right_missing", 4),
        (404, "file_not_found", 5),
        (409, "path_taken", 6),
        (410, "file_deleted", 5),
        (412, "precondition_failed", 6),
        (413, "too_large", 7),
        (429, "too_many_requests", 3),
        (500, "internal_error", 1),
        (503, "no_master_answers", 3),
        (507, "cluster_full", 7),
    ],
)
def test_an_error_of_the_gateway_decides_the_exit_status(status: int, code: str, expected: int) -> None:
    def refuse(exchange: Exchange) -> None:
        exchange.send_problem({"code": code, "detail": "the reason", "request_id": "abc"}, status)

    with serving(refuse) as server:
        ran = CommandLine(server.url)("drain", "worker_1", "--json")
    assert (ran.status, ran.out) == (expected, "")
    assert ran.err == f"dfs: drain: {code}: the reason (request abc)\n"


def test_a_drain_that_stands_still_says_so_and_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.cli.cluster.PATIENCE_SECONDS", 0.0)
    stuck = {"chunks_left": 1, "bytes_left": 4096, "is_complete": False}
    states = [stuck, stuck, stuck, {**stuck, "chunks_left": 0, "bytes_left": 0, "is_complete": True}]

    def drain(exchange: Exchange) -> None:
        worker = {"worker_id": "worker_1", "is_draining": True, "drain": states.pop(0)}
        exchange.send_json(worker if exchange.request.method == "POST" else {"workers": [worker]})

    with serving(drain) as server:
        ran = CommandLine(server.url)("drain", "worker_1", "--wait").ok()
    assert ran.err.count("worker_1 is being emptied: 1 chunk (4.0 KiB) left, and nothing has left it") == 2
    assert ran.out == "worker_1 is empty and may be taken away\n"


def test_a_drain_that_cannot_end_says_why_at_once() -> None:
    left = {"chunks_left": 1, "bytes_left": 4096, "is_complete": False, "blocked": None}
    states = [left, *[{**left, "blocked": "no room"}] * 2, {**left, "chunks_left": 0, "is_complete": True}]

    def drain(exchange: Exchange) -> None:
        worker = {"worker_id": "worker_1", "is_draining": True, "drain": states.pop(0)}
        exchange.send_json(worker if exchange.request.method == "POST" else {"workers": [worker]})

    with serving(drain) as server:
        ran = CommandLine(server.url)("drain", "worker_1", "--wait").ok()
    assert ran.err.count("worker_1 is being emptied: 1 chunk (4.0 KiB) left; nothing can leave it now: no room") == 1


def test_a_drain_says_at_once_what_it_waits_for_and_guesses_at_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.cli.cluster.PATIENCE_SECONDS", 0.0)
    left = {
        "chunks_left": 1,
        "bytes_left": 4096,
        "is_complete": False,
        "blocked": None,
        "waits_for": "the order is new",
    }
    later = {**left, "waits_for": "copies are freed"}
    states = [left, left, later, {**left, "chunks_left": 0, "is_complete": True, "waits_for": None}]

    def drain(exchange: Exchange) -> None:
        worker = {"worker_id": "worker_1", "is_draining": True, "drain": states.pop(0)}
        exchange.send_json(worker if exchange.request.method == "POST" else {"workers": [worker]})

    with serving(drain) as server:
        ran = CommandLine(server.url)("drain", "worker_1", "--wait").ok()
    assert ran.err.splitlines()[0].endswith("1 chunk (4.0 KiB) left; it waits: the order is new")
    assert ran.err.count("it waits: copies are freed") == 1
    assert "nothing has left it" not in ran.err


def test_an_error_that_is_not_the_gateways_own_is_told_too() -> None:
    with serving(lambda exchange: exchange.send(b"<html>", 502, {"Content-Type": "text/html"})) as server:
        ran = CommandLine(server.url)("stat", "a")
    assert ran.status == 3
    assert "http_502: Bad Gateway" in ran.err


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"files": 7, "prefixes": [], "next_cursor": null}'])
def test_an_answer_that_is_none_is_one_line_and_no_traceback(body: bytes) -> None:
    with serving(lambda exchange: exchange.send(body, 200)) as server:
        for command in (("ls",), ("report",), ("jobs",), ("fsck",), ("keys", "list"), ("drain", "w")):
            ran = CommandLine(server.url)(*command)
            assert (ran.status, ran.err.count("\n")) == (1, 1), (command, ran)


def test_a_redirect_is_not_followed_so_the_key_goes_nowhere_else() -> None:
    with serving(lambda exchange: exchange.send(b"", 200)) as other:

        def send_away(exchange: Exchange) -> None:
            exchange.send(b"", 302, {"Location": other.url})

        with serving(send_away) as server:
            ran = CommandLine(server.url, {"DFS_KEY": "secret"})("stat", "a")
        assert ran.status == 1
        assert "http_302" in ran.err
        assert other.requests == []


def test_a_gateway_that_is_not_there_ends_with_3() -> None:
    with refusing() as url:
        ran = CommandLine(url)("ls")
    assert ran.status == 3
    assert "Connection refused" in ran.err


def test_the_key_comes_from_the_option_then_the_variable_then_the_file(tmp_path: Path) -> None:
    keys = tmp_path / "dfs"
    keys.mkdir()
    (keys / "key").write_text("from-file\n")
    (keys / "key").chmod(0o600)

    def authorization(variables: dict[str, str], *options: str) -> str | None:
        with serving(lambda exchange: exchange.send_json({"jobs": []})) as server:
            CommandLine(server.url, variables)("jobs", *options).ok()
            return server.requests[0].headers.get("Authorization")

    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert authorization({**home, "DFS_KEY": "from-variable"}, "--key", "from-option") == "Bearer from-option"
    assert authorization({**home, "DFS_KEY": "from-variable"}) == "Bearer from-variable"
    assert authorization(home) == "Bearer from-file"
    assert authorization({"HOME": str(tmp_path / "empty")}) is None


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".config" / "dfs").mkdir(parents=True)
    (tmp_path / ".config" / "dfs" / "key").write_text("key")
    (tmp_path / ".config" / "dfs" / "key").chmod(0o644)
    ran = CommandLine("http://127.0.0.1:1", {"HOME": str(tmp_path)})("ls")
    assert ran.status == 2
    assert "chmod 600" in ran.err


@pytest.mark.parametrize(
    "options",
    [
        ("--url", "ftp://host"),
        ("--url", "http://me:key@host"),
        ("--url", "http://host?x=1"),
        ("--url", "http://"),
        ("--key", "two words"),
        ("--key", "ключ"),
        ("--ca", "/no/such/file"),
    ],
)
def test_what_cannot_be_an_address_or_a_key_is_refused(options: tuple[str, str]) -> None:
    ran = CommandLine("http://127.0.0.1:1")("ls", *options)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "key@host" not in ran.err


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing() as nobody, serving(lambda exchange: exchange.send_json({"jobs": []})) as server:
        monkeypatch.setenv("HTTP_PROXY", nobody)
        monkeypatch.setenv("http_proxy", nobody)
        CommandLine(server.url)("jobs").ok()


def test_keys_and_links_are_asked_for_as_the_gateway_has_them() -> None:
    def answer(exchange: Exchange) -> None:
        key = {"key_id": "k1", "name": "me", "rights": ["read"], "prefix": "a/", "created_at": "now"}
        if exchange.request.target == "/links":
            exchange.send_json({"url": "http://host/fs/a?dfs_key=k1", "expires_at": "later"}, 201)
        elif exchange.request.method == "POST":
            exchange.send_json({**key, "key": "dfs_k1_secret"}, 201)
        elif exchange.request.method == "GET":
            is_last = "after=k1" in exchange.request.target
            exchange.send_json(
                {"keys": [{**key, "key_id": "k2"} if is_last else key], "next_after": None if is_last else "k1"}
            )
        else:
            exchange.send_json({**key, "revoked_at": "now"})

    with serving(answer) as server:
        dfs = CommandLine(server.url)
        made = dfs("keys", "make", "me", "--rights", "read,write", "--prefix", "a/").ok()
        assert made.out == "dfs_k1_secret\n"
        listed = dfs("keys", "list").ok().out.splitlines()
        assert [line.partition(",")[0] for line in listed] == ["k1  me: read below a/", "k2  me: read below a/"]
        dfs("keys", "revoke", "k1").ok()
        assert dfs("link", "a", "--method", "PUT", "--seconds", 60).ok().out == "http://host/fs/a?dfs_key=k1\n"
        assert dfs("keys", "make", "me", "--rights", "all").status == 2
    requests = server.requests
    assert requests[0].json() == {"name": "me", "rights": ["read", "write"], "prefix": "a/"}
    assert (requests[3].method, requests[3].target) == ("DELETE", "/keys/k1")
    assert requests[4].json() == {"path": "a", "method": "PUT", "seconds": 60}


def test_a_check_that_finds_something_waits_for_its_end_and_ends_with_1() -> None:
    difference = {"kind": "replica_missing", "file_id": "", "chunk_id": "c", "worker_id": "w", "explanation": "gone"}
    found = {"found": {"replica_missing": 2}, "differences": [difference], "is_verifying": True, "chunks_checked": 7}

    def answer(exchange: Exchange) -> None:
        is_over = exchange.request.method == "GET"
        progress = {**found, "finished_at": "now"} if is_over else {"finished_at": ""}
        exchange.send_json({"is_requested": not is_over, "progress": progress, "last_error": ""})

    with serving(answer) as server:
        ran = CommandLine(server.url)("fsck", "--verify")
    assert server.requests[0].target == "/cluster/fsck?verify=true"
    assert ran.status == 1
    assert ran.out.splitlines() == [
        "replica_missing c w: gone",
        "... and 1 more",
        "7 chunks checked: 2 differences",
        "  replica_missing: 2",
    ]


def test_a_failure_that_every_file_would_meet_ends_the_command_at_once(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).write_bytes(b"x")

    def refuse(exchange: Exchange) -> None:
        exchange.send_problem({"code": "unauthorized", "detail": "no key"}, 401)

    with serving(refuse) as server:
        ran = CommandLine(server.url)("put", "-r", tmp_path, "folder", "--parallel", 2)
    assert (ran.status, ran.err) == (4, "dfs: put: unauthorized: no key\n")
    assert len(server.requests) <= 4


def test_failures_of_one_kind_give_their_own_status_and_those_of_several_kinds_give_1() -> None:
    def refuse(exchange: Exchange) -> None:
        is_taken = exchange.request.target == "/fs/taken"
        exchange.send_problem({"code": "x", "detail": "y"}, 409 if is_taken else 404)

    with serving(refuse) as server:
        dfs = CommandLine(server.url)
        assert dfs("rm", "a", "b").status == 5
        mixed = dfs("rm", "a", "taken")
    assert mixed.status == 1
    assert mixed.err.splitlines() == ["dfs: a: x: y", "dfs: taken: x: y"]
