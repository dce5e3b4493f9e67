"""Stands before a real gateway and passes everything on, but for what a test breaks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import requests

from tests.support.tiny_server import Exchange, Seen, serving

_NOT_PASSED_ON = ("connection", "transfer-encoding", "keep-alive", "date", "server", "content-length")


@dataclass
class Relay:
    """Its own address, what has been asked, and the present fault: True when it has answered by itself."""

    target: str
    url: str = ""
    fault: Callable[[Exchange, Relay], bool] = lambda _exchange, _relay: False
    seen: list[Seen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, method: str, beginning: str) -> list[Seen]:
        with self.lock:
            return [one for one in self.seen if one.method == method and one.target.startswith(beginning)]

    def ask(self, exchange: Exchange, altered: Seen | None = None) -> requests.Response:
        """What the gateway itself answers to this request, or to another one that a test makes of it."""
        one = altered or exchange.request
        kept = {name: value for name, value in one.headers.items() if name.lower() not in ("host", *_NOT_PASSED_ON)}
        return requests.request(
            one.method, self.target + one.target, headers=kept, data=one.body, timeout=60, allow_redirects=False
        )

    def pass_on(self, exchange: Exchange) -> None:
        self.answer(exchange, self.ask(exchange))

    def answer(self, exchange: Exchange, answer: requests.Response, body: bytes | None = None) -> None:
        """Send an answer of the gateway. body: sent instead of its own, whose length is announced all the same."""
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_PASSED_ON}
        sent = answer.content if body is None else body
        exchange.send(sent, answer.status_code, kept, length=len(answer.content))
        if len(sent) != len(answer.content):
            exchange.hang_up()


@contextlib.contextmanager
def relaying(target: str) -> Iterator[Relay]:
    """A relay before the gateway at `target` until the block is left."""
    relay = Relay(target)

    def answer(exchange: Exchange) -> None:
        with relay.lock:
            relay.seen.append(exchange.request)
        if not relay.fault(exchange, relay):
            relay.pass_on(exchange)

    with serving(answer) as server:
        relay.url = server.url
        yield relay
