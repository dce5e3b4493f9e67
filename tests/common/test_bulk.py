"""Large pieces are taken at once where they come fast, and a slow sender's bytes are taken all the same."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import threading
from collections.abc import Iterator

import pytest

from common.bulk import receive_into
from common.silence import SilenceLimits
from tests.support.waiting import InBackground, wait_until

MUCH = 512 * 1024


@pytest.fixture(params=["by Python", "by the kernel"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection: the sender's, the receiver's. The receiver's time-out is kept in either way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = socket.create_connection(listener.getsockname(), timeout=20)
        receiver, _ = listener.accept()
    if request.param == "by Python":
        receiver.settimeout(20)
    else:
        SilenceLimits(receiver, 20, 20)
    with sender, receiver:
        yield sender, receiver


def received(receiver: socket.socket, room: int) -> bytes:
    buffer = bytearray(room)
    return bytes(buffer[: receive_into(receiver, memoryview(buffer))])


@pytest.mark.parametrize("room", [1, 4, 100, MUCH])
def test_what_a_sender_that_has_ended_sent_is_given_at_once(
    pair: tuple[socket.socket, socket.socket], room: int
) -> None:
    sender, receiver = pair
    sender.sendall(b"0123")
    sender.shutdown(socket.SHUT_WR)
    content = b""
    while piece := received(receiver, room):
        content += piece
    assert content == b"0123"


@pytest.mark.parametrize("size", [MUCH - 1, MUCH, MUCH + 1, 5 * 1024 * 1024 + 3])
@pytest.mark.parametrize("room", [1000, MUCH, 4 * 1024 * 1024])
def test_every_byte_comes_once_and_in_order(pair: tuple[socket.socket, socket.socket], size: int, room: int) -> None:
    sender, receiver = pair
    content = bytes(range(251)) * (size // 251 + 1)
    sending = InBackground(lambda: sender.sendall(content[:size]))
    left, found = size, b""
    while left:
        found += received(receiver, min(room, left))
        left = size - len(found)
    sending.result()
    assert found == content[:size]


def test_less_than_hoped_for_is_taken_when_the_time_is_over(pair: tuple[socket.socket, socket.socket]) -> None:
    sender, receiver = pair
    receiver.settimeout(0.2)
    sender.sendall(b"few")
    assert received(receiver, MUCH) == b"few"


@pytest.mark.parametrize("room", [100, MUCH])
def test_silence_is_a_time_out_and_the_time_stays_as_it_was(
    pair: tuple[socket.socket, socket.socket], room: int
) -> None:
    _, receiver = pair
    receiver.settimeout(0.1)
    with pytest.raises(TimeoutError):
        received(receiver, room)
    assert receiver.gettimeout() == 0.1


def test_after_a_large_piece_a_single_byte_wakes_again(pair: tuple[socket.socket, socket.socket]) -> None:
    """Whoever reads next with another call must not wait for half a megabyte."""
    sender, receiver = pair
    receiver.settimeout(0.1)
    with pytest.raises(TimeoutError):
        received(receiver, MUCH)
    receiver.settimeout(20)
    waiting = InBackground(lambda: receiver.recv(10))
    sender.sendall(b"x")
    assert waiting.result() == b"x"


@pytest.mark.parametrize("room", [100, MUCH])
def test_a_reset_ends_the_wait(pair: tuple[socket.socket, socket.socket], room: int) -> None:
    sender, receiver = pair
    waiting = InBackground(lambda: received(receiver, room))
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sender.close()
    with pytest.raises(ConnectionResetError):
        waiting.result()


def test_an_end_during_the_wait_gives_what_has_come(pair: tuple[socket.socket, socket.socket]) -> None:
    sender, receiver = pair
    begun = threading.Event()

    def wait() -> bytes:
        begun.set()
        return received(receiver, MUCH)

    waiting = InBackground(wait)
    assert begun.wait(20)
    sender.sendall(b"part")
    sender.shutdown(socket.SHUT_WR)
    assert waiting.result() == b"part"


def test_the_rest_of_a_message_is_not_waited_for_when_its_beginning_was_taken(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Less than the mark is left once the first bytes were taken; it must wake the reader all the same."""
    sender, receiver = pair
    size = 300_000

    def receive() -> bytes:
        found = b""
        while len(found) < size:
            found += received(receiver, size - len(found))
        return found

    receiving = InBackground(receive)
    content = bytes(range(250)) * (size // 250)
    for start in range(0, size, 50_000):
        sender.sendall(content[start : start + 50_000])
        wait_until(lambda: sender.fileno() >= 0 and _is_sent(sender), "the piece has arrived")
    # Far less than the time-out of 20 s.
    assert receiving.result(seconds=10.0) == content


def _is_sent(sender: socket.socket) -> bool:
    """Whether the peer's system has acknowledged all that was sent (tcp(7), SIOCOUTQ)."""
    return struct.unpack("i", fcntl.ioctl(sender, termios.TIOCOUTQ, bytes(4)))[0] == 0
