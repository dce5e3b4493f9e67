"""OpenStack Swift under test: one machine, five devices, three replicas, as Debian's packages have it.

Nothing is installed and nothing under /etc is read: every server gets its configuration from the scratch folder and
runs as the present user. Where there is a choice, Swift gets the faster one: no authentication, no access log, no
middleware but what is needed, an object server process per device.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.swift_files import DEVICES, Ports, Server, servers, write_configuration
from benchmarks.systems import HOST, System, SystemFailed, free_ports

PACKAGES = "swift-proxy swift-account swift-container swift-object memcached"
PROGRAMS = ("swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server")
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
_PYTHON = "/usr/bin/python3"
# What swift-<name>-server does, but with swift.conf from our folder instead of /etc/swift.
_RUN = """
import sys
from swift.common import utils
utils.set_swift_dir(sys.argv[3])
from swift.common.wsgi import run_wsgi
options = {}
if sys.argv[2] == 'object-server':
    from swift.obj import server
    options['global_conf_callback'] = server.global_conf_callback
sys.exit(run_wsgi(sys.argv[1], sys.argv[2], **options))
"""


class SwiftSystem:
    """Swift's proxy, account, container and object servers and memcached: see System."""

    name = "swift"
    prefix = "/v1/AUTH_bench/files/"
    delete_suffix = ""
    form_path = ""
    front = "proxy"
    replicas = 3
    notes: tuple[str, ...] = (
        "five devices, three replicas; an object server process per device, one account and one container server,"
        " a proxy worker per core; memcached; the pipeline is catch_errors, cache, proxy-server, without"
        " authentication and access log",
        "durable as it is by default (objects are fsynced); its object server drops files over 5 MiB from the page"
        " cache by default, here they may stay (keep_cache_size);"
        " its timeouts between servers are raised, so that it does not fail under many clients",
        "no forms; no background daemons run (replicators, auditors, updaters)",
    )

    def __init__(self, home: Path) -> None:
        self._home = home
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        numbers = free_ports(4 + len(DEVICES))
        self._ports = Ports(numbers[0], numbers[1], numbers[2], numbers[3], tuple(numbers[4:]))
        self.port = self._ports.proxy

    def start(self) -> None:
        _require_packages()
        try:
            write_configuration(self._home, self._ports)
            self._start_memcached()
            for server in servers(self._home, self._ports):
                self._start_server(server)
            self._wait_until_it_stores()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for process in reversed(self._processes.values()):
            process.terminate()
        give_up_at = time.monotonic() + STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.1, give_up_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill_group(process)
            # A server that forks ends before its workers do.
            _kill_group(process)
        self._processes.clear()

    def services(self) -> Mapping[str, int]:
        return {name: process.pid for name, process in self._processes.items()}

    def stored_files(self) -> Iterable[Path]:
        for device in DEVICES:
            yield from (self._home / "devices" / device / "objects").glob("*/*/*/*.data")

    def memory_bound_bytes(self) -> int | None:
        return None

    def without_checksums(self) -> contextlib.AbstractContextManager[System | None]:
        return contextlib.nullcontext(None)

    def _start_memcached(self) -> None:
        user = ["-u", "root"] if os.geteuid() == 0 else []
        self._start("memcached", ["memcached", "-l", HOST, "-p", str(self._ports.memcached), *user])

    def _start_server(self, server: Server) -> None:
        command = [_PYTHON, "-c", _RUN, str(server.configuration), server.section, str(self._home / "etc")]
        self._start(server.name, command)

    def _start(self, name: str, command: list[str]) -> None:
        log = self._home / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        with open(log, "wb") as output:
            self._processes[name] = subprocess.Popen(
                command,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches the benchmark only, which then ends them in order.
                start_new_session=True,
            )

    def _wait_until_it_stores(self) -> None:
        """Make the container that everything goes to; Swift makes the account by itself."""
        container = self.prefix.rstrip("/")
        give_up_at = time.monotonic() + READY_SECONDS
        status: object = "no answer"
        while time.monotonic() < give_up_at:
            self._require_all_running()
            with contextlib.suppress(OSError, http.client.HTTPException):
                # The container first; an object proves that the object servers answer as well.
                status = [self._ask("PUT", path) for path in (container, f"{container}/probe")]
                status.append(self._ask("DELETE", f"{container}/probe"))
                if all(200 <= code < 300 for code in status):
                    return
            time.sleep(0.5)
        raise SystemFailed(f"Swift does not store after {READY_SECONDS:g} s ({status}); see {self._home / 'logs'}")

    def _ask(self, method: str, path: str) -> int:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request(method, path, body=b"x" if path.endswith("probe") and method == "PUT" else None)
            return connection.getresponse().status
        finally:
            connection.close()

    def _require_all_running(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = (self._home / "logs" / f"{name}.log").read_text(errors="replace")
                raise SystemFailed(f"Swift's {name} ended with status {process.returncode}: {log[-1500:]}")


def _require_packages() -> None:
    missing = [program for program in (*PROGRAMS, "swift-ring-builder", "memcached") if shutil.which(program) is None]
    if missing:
        raise SystemFailed(f"--peer swift needs {', '.join(missing)}: install the Debian packages {PACKAGES}")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Only what was started here is in this group: it was made for this process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, 9)
    process.wait()
