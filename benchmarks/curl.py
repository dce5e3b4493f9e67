"""Big transfers as a user makes them, with curl: one or several at once, timed from the first start to the last end."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.systems import HOST, System, SystemFailed

TRANSFER_SECONDS = 1800
_PIECE_BYTES = 1024 * 1024


def require_curl() -> str:
    """The first line of `curl --version`. Raises SystemFailed with what to do when it is not there."""
    if shutil.which("curl") is None:
        raise SystemFailed("curl is missing; big transfers are measured with it: install the package curl")
    return subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def url(system: System, path: str) -> str:
    return f"http://{HOST}:{system.port}{path}"


def put_raw(system: System, sources: Sequence[tuple[Path, str]]) -> float:
    """Upload each file to its name, all at once; seconds."""
    return _run([["-T", str(source), url(system, system.prefix + name)] for source, name in sources])


def put_form(system: System, source: Path, name: str) -> float:
    """Upload a file as a form, to the same path as raw uploads go; seconds."""
    path = (system.prefix + name).removeprefix("/fs/")
    return _run([["-F", f"file=@{source}", "-F", f"path={path}", url(system, system.form_path)]])


def get(system: System, names: Sequence[str]) -> float:
    """Download all at once, to nowhere; seconds."""
    return _run([[url(system, system.prefix + name)] for name in names])


def delete(system: System, names: Sequence[str]) -> None:
    """Free these files, one after the other."""
    for name in names:
        _run([["-X", "DELETE", url(system, system.prefix + name + system.delete_suffix)]])


def verify(system: System, name: str, sha256: str) -> None:
    """Download once more and compare. Raises SystemFailed when one byte differs."""
    command = ["curl", "-q", "-sS", "--fail", url(system, system.prefix + name)]
    digest = hashlib.sha256()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(_PIECE_BYTES):
            digest.update(piece)
    if process.returncode or digest.hexdigest() != sha256:
        raise SystemFailed(
            f"{system.name}: the download of {name} is not what was uploaded (curl {process.returncode})"
        )


def _run(commands: Sequence[Sequence[str]]) -> float:
    start = time.perf_counter()
    # -q: no ~/.curlrc; --noproxy: the operator's proxy is not meant for this machine.
    options = ["curl", "-q", "-sS", "--fail-with-body", "--noproxy", "*", "-w", "\n%{http_code}"]
    processes = [
        subprocess.Popen([*options, *_sink(command), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for command in commands
    ]
    try:
        outputs = [process.communicate(timeout=TRANSFER_SECONDS) for process in processes]
    except BaseException:
        for process in processes:
            process.kill()
            process.wait()
        raise
    seconds = time.perf_counter() - start
    for process, (output, problem), command in zip(processes, outputs, commands, strict=True):
        if process.returncode or not output.rpartition(b"\n")[2].startswith(b"2"):
            raise SystemFailed(f"curl {' '.join(command)}: {problem.decode()} {output[-500:].decode(errors='replace')}")
    return seconds


def _sink(command: Sequence[str]) -> Sequence[str]:
    """A plain GET's body goes to nowhere inside curl; other answers are short and may hold the reason of a failure."""
    return ["-o", "/dev/null"] if len(command) == 1 else []
