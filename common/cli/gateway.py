"""Calls to the gateway: what every command sends the same way, which errors an answer means, and when to try again.

Nothing of the user's environment has a say (no proxy variables, no .netrc): the key goes to the given URL alone, and a
redirect is not followed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.util.wait import wait_for_read

from common.cli.failures import Failure, Refused, Unreachable, Untrusted
from common.clock import Clock

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
MAX_PAUSE_SECONDS = 8.0
PAGE = 1000
_PIECE_BYTES = 256 * 1024
_MAX_CONNECTIONS = 64
Result = TypeVar("Result")


@dataclass(frozen=True)
class Access:
    """Where the gateway is and how to come in. ca: a file of certificates to trust; None: those of the system."""

    url: str
    key: str = ""
    ca: str | None = None


@dataclass(frozen=True)
class Patience:
    """How often something is tried, the pause doubling each time."""

    tries: int
    first_pause_seconds: float

    def pause_seconds(self, failed: int, wanted_seconds: float) -> float:
        """failed: how many tries in a row. wanted_seconds: what the gateway asks for, within reason."""
        own = self.first_pause_seconds * 2.0 ** (failed - 1) * random.uniform(0.75, 1.25)
        return min(MAX_PAUSE_SECONDS, max(own, wanted_seconds))


# A question fails soon; a transfer outlasts the restart of a gateway.
SHORT = Patience(tries=5, first_pause_seconds=0.2)
LONG = Patience(tries=8, first_pause_seconds=0.25)


class Gateway:
    """One gateway; safe for any number of threads."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self.url = access.url.rstrip("/")
        self.clock = clock
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = access.ca or True
        self._session.headers.update({"User-Agent": "dfs-command-line", "Accept-Encoding": "identity"})
        if access.key:
            self._session.headers["Authorization"] = f"Bearer {access.key}"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(pool_maxsize=_MAX_CONNECTIONS))

    def close(self) -> None:
        self._session.close()

    def ask(self, target: str, query: Mapping[str, str] | None = None) -> Any:
        """The JSON of a GET. Raises Failure."""
        return self.patiently(SHORT, lambda: self.send("GET", target, query=query))

    def send(
        self,
        method: str,
        target: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        value: Any = None,
        body: Any = None,
    ) -> Any:
        """Make one request and return the JSON of its answer, without a second try.

        value: to be sent as JSON. body: bytes, or an iterable of them, with `__len__` where the length is known.
        """
        answer = self.open(method, target, query=query, headers=headers, value=value, body=body)
        with answer:
            try:
                return answer.json() if answer.status_code != 204 else {}
            except requests.exceptions.JSONDecodeError:
                raise Failure(f"{self.url} answered with something that is no JSON; is it the gateway?") from None
            except requests.RequestException as error:
                raise self._unreachable(error) from None

    def tell(self, method: str, target: str, headers: Mapping[str, str], body: Any = None) -> Mapping[str, str]:
        """The same, for an answer that says everything in its header fields; returns those."""
        with self.open(method, target, headers=headers, body=body) as answer:
            try:
                # To its end, so that the connection serves the next request.
                for _ in answer.iter_content(_PIECE_BYTES):
                    pass
            except requests.RequestException as error:
                raise self._unreachable(error) from None
            return answer.headers

    def open(
        self,
        method: str,
        target: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        value: Any = None,
        body: Any = None,
    ) -> requests.Response:
        """An answer whose body has not been read; it is to be closed. Raises Refused, Unreachable."""
        try:
            answer = self._session.request(
                method,
                self.url + target,
                params=query,
                headers=dict(headers or {}),
                json=value,
                data=body,
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            )
            if answer.status_code >= 300:
                with answer:
                    raise _refusal(answer)
        except requests.RequestException as error:
            raise self._unreachable(error) from None
        return answer

    def pieces(self, answer: requests.Response) -> Iterator[bytes]:
        """The body as it comes. Raises Unreachable when it ends before its announced length."""
        try:
            yield from answer.iter_content(_PIECE_BYTES)
        except requests.RequestException as error:
            raise self._unreachable(error) from None

    def patiently(self, patience: Patience, attempt: Callable[[], Result]) -> Result:
        """Repeat what is safe to repeat, while the failure is one that may pass."""
        failed = 0
        while True:
            try:
                return attempt()
            except Failure as failure:
                failed += 1
                if not failure.is_retryable or failed >= patience.tries:
                    raise
                self.clock.sleep(patience.pause_seconds(failed, failure.retry_after_seconds))

    def _unreachable(self, error: requests.RequestException) -> Failure:
        if isinstance(error, requests.exceptions.SSLError):
            return Untrusted(f"the certificate of {self.url} cannot be trusted ({_reason(error)}); see --ca")
        if isinstance(error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)):
            return Unreachable(f"{self.url} does not answer, or broke off: {_reason(error)}")
        return Failure(f"{self.url} cannot be asked: {_reason(error)}")


class _Connection(HTTPConnection):
    """Stops sending a body when the answer is there already.

    A gateway that refuses an upload says so at once and closes soon; who goes on sending sees a broken connection and
    never the reason. Not over TLS, where bytes that arrive may be the protocol's own.
    """

    def send(self, data: Any) -> None:
        if self.sock is not None and wait_for_read(self.sock, timeout=0):
            raise BrokenPipeError("the answer came before the end of the request")
        super().send(data)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _Adapter(requests.adapters.HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {**self.poolmanager.pool_classes_by_scheme, "http": _Pool}


def fs(path: str) -> str:
    """The address of a path."""
    return "/fs/" + quote(path, safe="/")


def _refusal(answer: requests.Response) -> Refused:
    """The error that an answer carries, whatever stands in between."""
    problem: Any = {}
    if "json" in answer.headers.get("Content-Type", ""):
        try:
            problem = answer.json()
        except ValueError:
            problem = {}
    problem = problem if isinstance(problem, dict) else {}
    retry_after = answer.headers.get("Retry-After", "")
    return Refused(
        answer.status_code,
        str(problem.get("code") or f"http_{answer.status_code}"),
        str(problem.get("detail") or answer.reason or "no reason was given"),
        str(problem.get("request_id") or answer.headers.get("X-Request-ID") or ""),
        float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 6 else 0.0,
    )


def _reason(error: requests.RequestException) -> str:
    """The innermost reason: the wrappers around it repeat the address and the pool."""
    reason: object = error
    while isinstance(reason, BaseException):
        inner = getattr(reason, "reason", None) or next((a for a in reason.args if isinstance(a, BaseException)), None)
        if inner is None:
            break
        reason = inner
    return str(reason).rpartition(": ")[2] or type(error).__name__
