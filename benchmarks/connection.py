"""One client of the load generator: a keep-alive connection, non-blocking, with one request under way."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator

from benchmarks.answers import Answer, BadAnswer
from benchmarks.lanes import Request

Address = tuple[str, int]


class Client:
    """Sends the next of its requests whenever it is told to; knows nothing of the other clients."""

    def __init__(
        self, address: Address, selector: selectors.BaseSelector, requests: Iterator[Request], stop_at: float
    ) -> None:
        """stop_at: performance-counter seconds after which no further request is begun."""
        self._address = address
        self._selector = selector
        self._requests = requests
        self._stop_at = stop_at
        self._socket: socket.socket | None = None
        self._unsent: list[memoryview] = []
        self._is_reused = False
        self.request = Request((), None, None)
        self.answer = Answer()
        self.sent_at = 0.0

    def begin_next(self) -> bool:
        """Send the next request; False when there is none or the time is over."""
        request = next(self._requests, None) if time.perf_counter() < self._stop_at else None
        if request is None:
            self.close()
            return False
        self.request = request
        self.send()
        return True

    def send(self) -> None:
        """Send the present request, over a new connection where the server closed the old one. Raises OSError."""
        self.answer = Answer(keeps_body=self.request.expected is not None)
        self._is_reused = self._socket is not None
        if self._socket is None:
            self._connect()
        self._unsent = [memoryview(part) for part in self.request.parts]
        self.sent_at = time.perf_counter()
        self._push()

    def on_event(self, mask: int, buffer: memoryview) -> bool:
        """Go on after the selector's news; True when the answer is complete. Raises OSError or BadAnswer."""
        if mask & selectors.EVENT_WRITE:
            self._push()
        return bool(mask & selectors.EVENT_READ) and self._receive(buffer)

    def finish(self) -> None:
        """Make ready for the next request: a connection that the server ends, or that is out of step, is closed."""
        if self.answer.closes or self._unsent:
            self.close()

    def problem(self) -> str:
        """What is wrong with the answer; empty when it is right."""
        answer, request = self.answer, self.request
        where = bytes(request.parts[0][:60])
        if not 200 <= answer.status < 300:
            return f"status {answer.status} for {where!r}"
        if request.body_bytes is not None and answer.body_bytes != request.body_bytes:
            return f"{answer.body_bytes} bytes instead of {request.body_bytes} for {where!r}"
        if request.expected is not None and answer.body != request.expected:
            return f"wrong bytes for {where!r}"
        return ""

    def close(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address, timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def _push(self) -> None:
        assert self._socket is not None
        was_waiting = self._selector.get_key(self._socket).events & selectors.EVENT_WRITE
        try:
            while self._unsent:
                self._drop_sent(self._socket.sendmsg(self._unsent))
        except BlockingIOError:
            if not was_waiting:
                self._selector.modify(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self)
            return
        except (BrokenPipeError, ConnectionResetError):
            # The server may have answered before it closed; the next read shows that.
            pass
        if was_waiting:
            self._selector.modify(self._socket, selectors.EVENT_READ, self)

    def _drop_sent(self, sent: int) -> None:
        while self._unsent and sent >= len(self._unsent[0]):
            sent -= len(self._unsent.pop(0))
        if sent:
            self._unsent[0] = self._unsent[0][sent:]

    def _receive(self, buffer: memoryview) -> bool:
        assert self._socket is not None
        try:
            count = self._socket.recv_into(buffer)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            count = 0
        if count:
            return self.answer.feed(buffer[:count])
        return self._on_end()

    def _on_end(self) -> bool:
        """The server has closed: a proper end, a kept connection that it had given up (ask again), or an error."""
        if self.answer.end():
            self.answer.closes = True
            return True
        if self._is_reused and not self.answer.started:
            self.close()
            self.send()
            return False
        raise BadAnswer("the server closed the connection before the end of its answer")
