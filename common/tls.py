"""TLS on any service, by files that the configuration names: what servers show, and whom clients and servers believe.

It makes the contexts of the `ssl` module, whose sockets behave as the rest of `common` expects of one; only that they
keep their time-outs themselves has to be known elsewhere (`silence.py`, `bulk.py`).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.errors import CannotStart
from common.settings import ClusterSettings, GatewaySettings

_CLIENT_HELLO = b"\x16"


@dataclass(frozen=True)
class TlsFiles:
    """The files of one section of the configuration; an empty `certificate` means no TLS."""

    section: str
    certificate: str = ""
    key: str = ""
    ca: str = ""

    @classmethod
    def of_cluster(cls, home: Path, settings: ClusterSettings) -> TlsFiles:
        """For masters and workers, and for whoever calls them."""
        return cls._below(home, "cluster", settings.tls_certificate, settings.tls_key, settings.tls_ca)

    @classmethod
    def of_gateway(cls, home: Path, settings: GatewaySettings) -> TlsFiles:
        """For the gateway's clients."""
        return cls._below(home, "gateway", settings.tls_certificate, settings.tls_key, "")

    @classmethod
    def _below(cls, home: Path, section: str, *paths: str) -> TlsFiles:
        return cls(section, *(str(home / path) if path else "" for path in paths))


class TlsSocket(ssl.SSLSocket):
    """A socket over TLS that can be peeked at and shut down as a plain one."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """With flags, what comes on the wire; so a peek tells whether anything is there, not what."""
        if not flags:
            return super().recv(buflen)
        return b"?" if self.pending() else socket.socket.recv(self, buflen, flags)

    def shutdown(self, how: int) -> None:
        """Not the base class's, after which another thread would send in clear what it has to say."""
        socket.socket.shutdown(self, how)


def server_context(files: TlsFiles) -> ssl.SSLContext | None:
    """What a server shows; with a CA, it asks the same of its clients. None without TLS. Raises CannotStart."""
    if not files.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _configure(context, files)
    if files.ca:
        context.verify_mode = ssl.CERT_REQUIRED
    # Tickets come when nothing was asked: a kept connection that has something to read would pass for a stale one.
    context.num_tickets = 0
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext | None:
    """Whom a client believes: servers with a certificate of the CA, else of one that the system trusts."""
    if not files.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _configure(context, files)
    if not files.ca:
        context.load_default_certs()
    return context


def only_context(files: TlsFiles) -> ssl.SSLContext | None:
    """For a client that believes in exactly the server's own certificate, by whatever name it is called."""
    if not files.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TlsSocket
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with _explained(files.section, "tls_certificate", files.certificate):
        context.load_verify_locations(files.certificate)
    return context


def begin_tls(sock: ssl.SSLSocket, refusal: bytes) -> bool:
    """Agree on keys with a client within the socket's time-out; one that does not speak TLS is sent `refusal`."""
    # Its first byte; it stays where it is.
    if sock.recv(1, socket.MSG_PEEK) not in (_CLIENT_HELLO, b""):
        socket.socket.send(sock, refusal)
        return False
    sock.do_handshake()
    return True


def receive_raw(sock: socket.socket, limit: int) -> bytes:
    """What comes on the wire, whatever it says."""
    return socket.socket.recv(sock, limit) if isinstance(sock, ssl.SSLSocket) else sock.recv(limit)


def _configure(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TlsSocket
    for name, path in (("tls_certificate", files.certificate), ("tls_key", files.key)):
        with _explained(files.section, name, path):
            Path(path).read_bytes()
    with _explained(files.section, "tls_key", files.key):
        # An empty password: a key that asks for one fails, where a server would else wait for somebody to type it.
        context.load_cert_chain(files.certificate, files.key, password="")
    if files.ca:
        with _explained(files.section, "tls_ca", files.ca):
            context.load_verify_locations(files.ca)


@contextlib.contextmanager
def _explained(section: str, name: str, path: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        detail = {
            "KEY_VALUES_MISMATCH": "it is not the key of the certificate",
            "NO_CERTIFICATE_OR_CRL_FOUND": "it holds no certificate",
        }.get(error.reason or "", f"it is no usable PEM file ({error.reason or error})")
        raise CannotStart(f"{section}.{name}: {path}: {detail}") from None
    except OSError as error:
        raise CannotStart(f"{section}.{name}: {path}: {error.strerror}") from None
