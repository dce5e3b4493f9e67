"""`put`: what is stored is what was sent, repeated where that is safe, and refused where a name cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.client import GatewayClient, sha256, some_bytes
from tests.support.cluster import MIB
from tests.support.command_line import CommandLine
from tests.support.names import AWKWARD_NAMES
from tests.support.relay import Relay
from tests.support.tiny_server import Exchange

CONTENT = some_bytes(MIB + 3, "put")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("size", [0, 1, MIB])
def test_files_of_every_size_are_stored_whole(
    dfs: CommandLine, client: GatewayClient, tmp_path: Path, size: int
) -> None:
    content = some_bytes(size)
    (tmp_path / "file").write_bytes(content)
    [record] = dfs("put", tmp_path / "file", f"put/{size}", "--json").ok().records
    assert (record["outcome"], record["size"], record["checksum"]["value"]) == ("stored", size, sha256(content))
    assert client.get(f"put/{size}").content == content


def test_standard_input_is_stored_as_it_comes(dfs: CommandLine, client: GatewayClient) -> None:
    dfs("put", "-", "put/input", stdin=CONTENT).ok()
    assert client.get("put/input").content == CONTENT


def test_the_options_reach_the_gateway(relay: Relay, source: Path) -> None:
    dfs = CommandLine(relay.url)
    options = ("--replication", 2, "--consistency", "all", "--content-type", "x/y", "--if-absent")
    [record] = dfs("put", source, "put/options", *options, "--json").ok().records
    assert (record["replication_factor"], record["content_type"]) == (2, "x/y")
    assert relay.asked("PUT", "/fs/")[0].headers["X-DFS-Consistency"] == "all"
    again = dfs("put", source, "put/options", "--if-absent")
    assert again.status == 6
    assert "precondition_failed" in again.err
    assert len(relay.asked("PUT", "/fs/")) == 2


def test_a_put_whose_answer_is_lost_is_sent_again(relay: Relay, client: GatewayClient, source: Path) -> None:
    def lose_first_answer(exchange: Exchange, relay: Relay) -> bool:
        if len(relay.asked("PUT", "/fs/")) != 1:
            return False
        relay.ask(exchange)
        exchange.hang_up()
        return True

    relay.fault = lose_first_answer
    # With --if-absent the second try meets the file that the first one made.
    [record] = CommandLine(relay.url)("put", source, "put/lost", "--if-absent", "--json").ok().records
    assert record["version"] == 1
    assert client.get("put/lost").content == CONTENT


def test_a_busy_gateway_is_asked_again(relay: Relay, source: Path) -> None:
    def be_busy_twice(exchange: Exchange, relay: Relay) -> bool:
        if len(relay.asked("PUT", "/fs/")) > 2:
            return False
        exchange.send_problem({"code": "gateway_busy", "detail": "later", "status": 503}, 503)
        return True

    relay.fault = be_busy_twice
    CommandLine(relay.url)("put", source, "put/busy").ok()
    assert len(relay.asked("PUT", "/fs/")) == 3


def test_what_is_stored_is_compared_with_what_was_sent(relay: Relay, client: GatewayClient, source: Path) -> None:
    other = client.stored("put/other", b"other")

    def answer_with_another(exchange: Exchange, _relay: Relay) -> bool:
        if exchange.request.method != "PUT":
            return False
        exchange.send_json(other, 201)
        return True

    relay.fault = answer_with_another
    ran = CommandLine(relay.url)("put", source, "put/compared")
    assert ran.status == 1
    assert "is not what was sent" in ran.err


def test_a_folder_and_its_empty_folders_come_back_the_same(dfs: CommandLine, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "empty" / "deep").mkdir(parents=True)
    names = sorted({name for name in AWKWARD_NAMES if "/" not in name})
    # That the gateway keeps all of them has tests of its own; here it is how a name gets there and back.
    for number, name in enumerate(name for name in names[::5] if _is_local(tree, name)):
        (tree / name).write_bytes(str(number).encode())
    assert len(os.listdir(tree)) > 15
    dfs("put", "-r", tree, "names").ok()
    dfs("get", "-r", "names", tmp_path / "back").ok()
    assert _contents(tmp_path / "back") == _contents(tree)
    again = dfs("put", "-r", "--skip-same", tree, "names", "--json").ok()
    assert {record["outcome"] for record in again.records if record["local"]} == {"unchanged"}


def test_names_that_cannot_be_are_told_of_and_the_others_are_stored(
    dfs: CommandLine, client: GatewayClient, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "good").write_bytes(b"1")
    Path(os.fsdecode(os.fsencode(tree) + b"/b\xe4d")).write_bytes(b"2")
    (tree / "link").symlink_to(tree / "good")
    (tree / "x.dfs-part").write_bytes(b"3")
    ran = dfs("put", "-r", tree, "bad-names")
    assert ran.status == 1
    assert "UTF-8" in ran.err
    assert "link: is no regular file" in ran.err
    assert "unfinished" in ran.err
    assert client.paths("bad-names/") == ["bad-names/good"]


def test_several_files_go_into_a_folder(dfs: CommandLine, client: GatewayClient, source: Path, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"b")
    dfs("put", source, tmp_path / "b", "several").ok()
    dfs("put", source, "several/sub/").ok()
    assert client.paths("several/") == ["several/b", "several/source.bin", "several/sub/source.bin"]
    ran = dfs("put", tmp_path / "b", tmp_path / "missing", "several")
    assert ran.status == 1
    assert "missing" in ran.err


def test_the_command_line_is_refused_where_it_could_mean_two_things(dfs: CommandLine, tmp_path: Path) -> None:
    assert dfs("put", tmp_path, "folder").status == 2
    assert dfs("put", "-r", tmp_path, tmp_path, "folder").status == 2
    assert dfs("put", "-", "a//b").status == 2
    assert dfs("put", "-", "../b").status == 2


def _is_local(folder: Path, name: str) -> bool:
    """Whether this machine can have a file of the name."""
    try:
        (folder / name).write_bytes(b"")
    except (OSError, ValueError):
        return False
    return True


def _contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_the_reason_for_a_refusal_is_seen_also_while_much_is_sent(dfs: CommandLine) -> None:
    # The factor is refused before the body is read, and the gateway closes without reading all of it.
    ran = dfs("put", "-", "put/refused", "--replication", 100, stdin=bytes(60 * MIB))
    assert ran.status == 1
    assert "invalid_request" in ran.err
