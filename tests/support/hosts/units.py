"""A stand-in for systemd, as far as this project's units go: reads the real unit files, runs what they say.

It knows sockets that are held open and shared (Sockets=, Wants=), notification of readiness, a clean stop of the
main process, folders that systemd makes, the user. It restarts nothing by itself and hardens nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

FOLDER = Path("/etc/systemd/system")
PROJECT = Path(__file__).resolve().parents[3]
READY_SECONDS = 60.0
_SUFFIXES = {"h": 3600.0, "s": 1.0}
Unit = dict[str, list[str]]


class UnitFailed(Exception):
    """What systemctl prints before it ends with status 1."""


def read_unit(name: str) -> Unit:
    """The settings of a unit with its drop-ins, all sections together; an empty value forgets those before it."""
    file, instance = _file(name)
    if not file.exists():
        raise UnitFailed(f"Unit {name} not found.")
    unit: Unit = {}
    for path in (file, *sorted((FOLDER / f"{name}.d").glob("*.conf"))):
        for line in path.read_text().splitlines():
            key, equals, value = line.strip().partition("=")
            if equals and not key.startswith("#"):
                unit[key] = [*unit.get(key, []), value.replace("%i", instance)] if value else []
    return unit


class Units:
    """What runs on a host. Safe for several callers at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unit_locks: dict[str, threading.Lock] = {}
        self._sockets: dict[str, list[socket.socket]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._numbers = itertools.count()

    def call(self, arguments: list[str]) -> str:
        """What `systemctl` with these arguments prints; raises UnitFailed."""
        verb, *names = [one for one in arguments if not one.startswith("-") and one != "MainPID"]
        if verb == "show":
            process = self._processes.get(names[0])
            return str(process.pid if process is not None and process.poll() is None else 0)
        if verb == "is-active":
            if self._is_active(names[0]):
                return "active"
            raise UnitFailed("inactive")
        for name in names:
            with self._lock:
                lock = self._unit_locks.setdefault(name, threading.Lock())
            with lock:
                for step in {"restart": ("stop", "start")}.get(verb, (verb,)):
                    {"start": self._start, "stop": self._stop, "enable": _enable, "disable": _disable}[step](name)
        return ""

    def _is_active(self, name: str) -> bool:
        process = self._processes.get(name)
        return name in self._sockets or (process is not None and process.poll() is None)

    def _start(self, name: str) -> None:
        unit = read_unit(name)
        if self._is_active(name):
            return
        if name.endswith(".socket"):
            self._sockets[name] = [_listen(address) for address in unit["ListenStream"]]
            return
        for wanted in " ".join(unit.get("Wants", [])).split():
            if wanted.endswith(".socket"):
                self._start(wanted)
        own = f"{name.removesuffix('.service')}.socket"
        sockets = [one for source in {*unit.get("Sockets", []), own} for one in self._sockets.get(source, [])]
        _make_folders(unit)
        notify = f"@dfs-notify-{next(self._numbers)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind("\0" + notify[1:])
            ready.settimeout(0.05)
            self._processes[name] = process = _spawn(name, unit, sockets, notify)
            _wait_until_ready(name, process, ready)

    def _stop(self, name: str) -> None:
        for one in self._sockets.pop(name, []):
            one.close()
        process = self._processes.pop(name, None)
        if process is None or process.poll() is not None:
            return
        # KillMode=mixed: the main process first, what it leaves behind afterwards.
        process.send_signal(signal.SIGTERM)
        limit = read_unit(name)["TimeoutStopSec"][-1]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(float(limit.rstrip("hs")) * _SUFFIXES.get(limit[-1], 1.0))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _spawn(name: str, unit: Unit, sockets: list[socket.socket], notify: str) -> subprocess.Popen[bytes]:
    user, group = unit["User"][-1], unit["Group"][-1]
    command = ["setpriv", "--reuid", user, "--regid", group, "--init-groups", "--no-new-privs"]
    descriptors = [one.fileno() for one in sockets]
    if descriptors:
        command += [sys.executable, str(PROJECT / "tests/support/activated.py"), ",".join(map(str, descriptors))]
    variables = dict(one.split("=", 1) for line in unit["Environment"] for one in line.split())
    journal = Path("/var/log/journal") / f"{name}.txt"
    journal.parent.mkdir(parents=True, exist_ok=True)
    with open(journal, "ab") as output:
        return subprocess.Popen(
            [*command, *unit["ExecStart"][-1].split()],
            cwd=unit["WorkingDirectory"][-1],
            env={"PATH": os.defpath, "NOTIFY_SOCKET": notify, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=int(unit["UMask"][-1], 8),
            pass_fds=descriptors,
        )


def _wait_until_ready(name: str, process: subprocess.Popen[bytes], ready: socket.socket) -> None:
    for _ in range(int(READY_SECONDS / 0.05)):
        with contextlib.suppress(TimeoutError):
            if ready.recv(1024) == b"READY=1":
                return
        if process.poll() is not None:
            raise UnitFailed(f"Job for {name} failed: it ended with status {process.returncode}.")
    raise UnitFailed(f"Job for {name} failed: it was not ready within {READY_SECONDS:g} s.")


def _make_folders(unit: Unit) -> None:
    for key, parent in (("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log")):
        for name in unit.get(key, []):
            folder = Path(parent, name)
            folder.mkdir(exist_ok=True, mode=0o750)
            shutil.chown(folder, unit["User"][-1], unit["Group"][-1])


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_server((host, int(port)), backlog=2048)


def _enable(name: str) -> None:
    """As the real one: a link, so that it can be seen whether removing leaves any."""
    for target in read_unit(name)["WantedBy"]:
        folder = FOLDER / f"{target}.wants"
        folder.mkdir(exist_ok=True)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(_file(name)[0])


def _disable(name: str) -> None:
    for folder in FOLDER.glob("*.wants"):
        (folder / name).unlink(missing_ok=True)


def _file(name: str) -> tuple[Path, str]:
    """The file of a unit, and its instance where the file is a template's."""
    stem, suffix = name.rsplit(".", 1)
    prefix, at, instance = stem.partition("@")
    return FOLDER / (f"{prefix}@.{suffix}" if at else name), instance
