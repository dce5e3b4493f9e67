"""What systemd gives a service at its start, and what it wants to hear: listening sockets, and that the service is up.

A socket that systemd holds outlives the process that serves it: connections wait in its queue, or are taken by the next
process. See sd_listen_fds(3) and sd_notify(3); where nothing is given, nothing is done.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from common.environment import inherited_sockets, take_notify_address

# How long idle connections are kept by a process that is being replaced. A client at work sends its next request within
# that time, and learns from the answer that the one after it needs another connection.
IDLE_SECONDS = 1.0
_FIRST_DESCRIPTOR = 3


@dataclass(frozen=True)
class Activation:
    """What this process was given. notify_address: a datagram socket; empty: nobody wants to hear."""

    socket_count: int
    notify_address: str

    @property
    def idle_seconds(self) -> float:
        """How long a stop keeps idle connections: not at all where nobody goes on taking new ones."""
        return IDLE_SECONDS if self.socket_count else 0.0

    def listeners(self) -> list[socket.socket]:
        """The sockets that were given; to be asked for once."""
        return [socket.socket(fileno=_FIRST_DESCRIPTOR + number) for number in range(self.socket_count)]

    def tell_ready(self) -> None:
        """Tell that the service is up, so that nothing is stopped for one that does not come up."""
        if not self.notify_address:
            return
        # "@" stands for the zero byte of an address that is no file.
        address = "\0" + self.notify_address[1:] if self.notify_address.startswith("@") else self.notify_address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1", address)


def take_activation() -> Activation:
    """To be asked once, by the process that systemd has started."""
    return Activation(inherited_sockets(), take_notify_address())
