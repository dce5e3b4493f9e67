"""TLS between services: who is believed, who is not, and that everything else goes on as without it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from common.auth import ClusterSecret
from common.calls import Answer, Call, json_answer
from common.edge import internal_edge
from common.errors import CannotStart, PeerUnreachable
from common.http import Abort, HttpPool
from common.tls import TlsFiles, client_context, only_context, server_context
from tests.support.certificates import Pair, make_ca, make_certificate
from tests.support.environment import SECRET
from tests.support.logs import recording_log
from tests.support.own_server import OwnServer, connection_threads, own_server
from tests.support.waiting import InBackground, wait_until

TIMEOUT = 20.0
LARGE = 3 * 1024 * 1024 + 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ca(folder: Path) -> Pair:
    return make_ca(folder)


@pytest.fixture(scope="module")
def files(folder: Path, ca: Pair) -> TlsFiles:
    """Of a member: a certificate of the CA, and the CA that the others' must come from."""
    pair = make_certificate(folder, "node", ca)
    return TlsFiles("cluster", str(pair.certificate), str(pair.key), str(ca.certificate))


@pytest.fixture(scope="module")
def stranger(folder: Path, ca: Pair) -> TlsFiles:
    """Believes in the CA, and has a certificate of another one."""
    pair = make_certificate(folder, "stranger", make_ca(folder, "other"))
    return TlsFiles("cluster", str(pair.certificate), str(pair.key), str(ca.certificate))


def make_app() -> Flask:
    app = Flask("tests")
    edge = internal_edge(app, recording_log()[0], ClusterSecret(SECRET))

    @edge.route("PUT", "/echo")
    def echo(call: Call) -> Answer:
        body = call.body.read_all(LARGE)
        return Answer(200, [("Content-Length", str(len(body)))], (body,))

    @edge.route("GET", "/scheme")
    def scheme(call: Call) -> Answer:
        return json_answer({"scheme": call.environ["wsgi.url_scheme"]})

    @edge.route("GET", "/silence")
    def silence(call: Call) -> Answer:
        wait_until(lambda: call.environ["dfs.socket"].recv(1, socket.MSG_PEEK) == b"", "the caller has gone")
        return json_answer({})

    return app


@pytest.fixture
def server(files: TlsFiles) -> Iterator[OwnServer]:
    with own_server(make_app(), tls=server_context(files)) as running:
        yield running


def url(server: OwnServer) -> str:
    return f"https://127.0.0.1:{server.address[1]}"


def pool_with(files: TlsFiles, **changes: Any) -> HttpPool:
    return HttpPool(ClusterSecret(SECRET), client_context(TlsFiles(**{**files.__dict__, **changes})))


def test_members_talk_over_kept_connections_in_small_and_in_large(server: OwnServer, files: TlsFiles) -> None:
    pool = pool_with(files)
    for size in (0, 1, 65536, LARGE):
        with pool.call("PUT", f"{url(server)}/echo", timeout_seconds=TIMEOUT, body=bytes(size)) as answer:
            assert answer.read() == bytes(size)
    assert pool.call_json("GET", f"{url(server)}/scheme", timeout_seconds=TIMEOUT) == {"scheme": "https"}
    begun = pool.begin("PUT", f"{url(server)}/echo", timeout_seconds=TIMEOUT, body=b"begun")
    assert begun is not None
    assert begun.finish() == b"begun"
    assert connection_threads() == 1
    pool.close()
    wait_until(lambda: connection_threads() == 0, "the server has seen the end")


def test_a_call_is_broken_off_by_another_thread(server: OwnServer, files: TlsFiles) -> None:
    pool, abort = pool_with(files), Abort()
    with pool.call("GET", f"{url(server)}/scheme", timeout_seconds=TIMEOUT) as answer:
        answer.json()

    def ask() -> None:
        with pool.call("GET", f"{url(server)}/silence", timeout_seconds=TIMEOUT, abort=abort) as answer:
            answer.json()

    call = InBackground(ask)
    abort.abort()
    with pytest.raises(PeerUnreachable):
        call.result(TIMEOUT)


def test_a_peer_that_says_nothing_is_given_up(server: OwnServer, files: TlsFiles) -> None:
    pool = pool_with(files)
    with pytest.raises(PeerUnreachable), pool.call("GET", f"{url(server)}/silence", timeout_seconds=0.3) as answer:
        answer.json()


def test_a_client_with_another_ca_s_certificate_or_none_is_refused(
    server: OwnServer, files: TlsFiles, stranger: TlsFiles
) -> None:
    bare = ssl.create_default_context(cafile=files.ca)
    for pool in (pool_with(stranger), HttpPool(ClusterSecret(SECRET), bare)):
        with pytest.raises(PeerUnreachable):
            pool.call_json("GET", f"{url(server)}/scheme", timeout_seconds=TIMEOUT)


def test_a_server_with_another_ca_s_certificate_or_name_is_refused(
    files: TlsFiles, stranger: TlsFiles, folder: Path, ca: Pair
) -> None:
    elsewhere = make_certificate(folder, "elsewhere", ca, "127.0.0.2")
    other = TlsFiles("cluster", str(elsewhere.certificate), str(elsewhere.key), files.ca)
    for shown in (stranger, other):
        with own_server(make_app(), tls=server_context(shown)) as server, pytest.raises(PeerUnreachable):
            pool_with(files).call_json("GET", f"{url(server)}/scheme", timeout_seconds=TIMEOUT)


def test_tls_at_one_end_only_is_refused(server: OwnServer, files: TlsFiles) -> None:
    address = server.address[1]
    for pool, wrong in ((pool_with(files), f"http://127.0.0.1:{address}"), (HttpPool(), url(server))):
        with pytest.raises(PeerUnreachable, match="one end only"):
            pool.call_json("GET", wrong, timeout_seconds=TIMEOUT)


def test_who_speaks_no_tls_is_told_so(server: OwnServer) -> None:
    reply = server.ask(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
    assert reply.status == 400
    assert b"https://" in reply.body


def test_who_says_nothing_or_nonsense_is_cut_off(files: TlsFiles) -> None:
    with own_server(make_app(), tls=server_context(files), head_seconds=0.3) as server:
        silent, dripping, broken = (server.caller() for _ in range(3))
        dripping.send(b"\x16\x03\x01")
        broken.send(b"\x16" + bytes(100))
        for caller in (silent, dripping):
            assert caller.is_ended()
        wait_until(lambda: connection_threads() == 0, "nobody is served any more")
        assert server.reports == []


def test_only_tls_1_2_and_newer_is_spoken(files: TlsFiles) -> None:
    for context in (server_context(files), client_context(files), only_context(files)):
        assert context is not None
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_who_knows_the_very_certificate_believes_in_it_by_any_name(folder: Path, ca: Pair) -> None:
    elsewhere = make_certificate(folder, "gateway", ca, "127.0.0.3")
    gateway = TlsFiles("gateway", str(elsewhere.certificate), str(elsewhere.key))
    other = make_certificate(folder, "impostor", ca)
    with own_server(make_app(), tls=server_context(gateway)) as server:
        health = HttpPool(tls=only_context(gateway)).call_json("GET", f"{url(server)}/health", timeout_seconds=TIMEOUT)
        assert health == {"status": "ok"}
        impostor = HttpPool(tls=only_context(TlsFiles("gateway", str(other.certificate), str(other.key))))
        with pytest.raises(PeerUnreachable):
            impostor.call_json("GET", f"{url(server)}/health", timeout_seconds=TIMEOUT)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("certificate", None, "cluster.tls_certificate: .*No such file"),
        ("certificate", "no certificate", "cluster.tls_key: .*no usable PEM"),
        ("key", None, "cluster.tls_key: .*No such file"),
        ("key", "another", "cluster.tls_key: .*not the key of the certificate"),
        ("ca", None, "cluster.tls_ca: .*No such file"),
        ("ca", "no certificate", "cluster.tls_ca: .*no certificate"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    name: str, content: str | None, expected: str, files: TlsFiles, stranger: TlsFiles, tmp_path: Path
) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(Path(stranger.key).read_text() if content == "another" else content)
    wrong = TlsFiles(**{**files.__dict__, name: str(path)})
    for make in (server_context, client_context):
        with pytest.raises(CannotStart, match=expected):
            make(wrong)
