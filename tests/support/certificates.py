"""Certificates of a test's own, made with the openssl command; valid for 127.0.0.1 and a day."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: Path
    key: Path


def make_ca(folder: Path, name: str = "ca") -> Pair:
    """A certificate that others can come from."""
    return _make(folder, name, "-addext", "basicConstraints=critical,CA:TRUE")


def make_certificate(folder: Path, name: str, ca: Pair, address: str = "127.0.0.1") -> Pair:
    """A certificate of `ca` for one address."""
    signed = ("-CA", str(ca.certificate), "-CAkey", str(ca.key), "-addext", "basicConstraints=critical,CA:FALSE")
    return _make(folder, name, *signed, "-addext", f"subjectAltName=IP:{address}")


def _make(folder: Path, name: str, *options: str) -> Pair:
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-out", str(pair.certificate), "-keyout", str(pair.key), "-days", "1", "-subj", f"/CN={name}"]
    subprocess.run([*command, *files, *options], check=True, capture_output=True)
    return pair
