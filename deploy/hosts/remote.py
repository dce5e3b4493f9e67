"""Do things on one host: a shell script by ssh, files by rsync. What changes something is said first, or only said."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from deploy.hosts.plan import Access, Host

Result = TypeVar("Result")
CONNECT_SECONDS = 10
# A step takes minutes where packages are fetched over a slow line, or a gateway's transfers are waited for.
STEP_SECONDS = 3600.0
NOT_SENT = ("__pycache__", "*.pyc", "/storage/*/data")
_AT_ONCE = 8


class RemoteFailed(Exception):
    """A step on a host has failed; the message is what the host printed last."""


class Remote:
    """One host, as root. say: prints a line; is_dry_run: nothing is changed, only said."""

    def __init__(self, host: Host, say: Callable[[str], None], *, is_dry_run: bool = False) -> None:
        self.host = host
        self._say = say
        self._is_dry_run = is_dry_run

    def do(self, what: str, script: str, given: str = "") -> None:
        """Change something, saying what. given: for the script's standard input; secrets go that way."""
        self.say(what)
        if not self._is_dry_run:
            self.ask(script, given)

    def ask(self, script: str, given: str = "") -> str:
        """Run a script that changes nothing; returns what it printed. Raises RemoteFailed."""
        access = self.host.access
        run = f"sh -euc {shlex.quote(script)}"
        command = [*_ssh(access), "--", _target(self.host), run if access.user == "root" else f"sudo -n {run}"]
        return self._run(command, given)

    def send(self, what: str, root: Path, names: Sequence[str], folder: str) -> None:
        """Copy files and folders, by their names below `root`; what else is in those folders there is removed."""
        self.say(what)
        access = self.host.access
        host = f"[{self.host.address}]" if ":" in self.host.address else self.host.address
        command = ["rsync", "--archive", "--relative", "--delete", "--chown=root:root", "--chmod=go=rX"]
        command += [f"--exclude={pattern}" for pattern in NOT_SENT]
        command += ["--rsh", shlex.join(_ssh(access))]
        command += [] if access.user == "root" else ["--rsync-path=sudo -n rsync"]
        if not self._is_dry_run:
            self._run([*command, *names, f"{access.user}@{host}:{folder}/"], "", root)

    def say(self, what: str) -> None:
        self._say(f"{self.host.ip}: {'would ' if self._is_dry_run else ''}{what}")

    def _run(self, command: Sequence[str], given: str, folder: Path | None = None) -> str:
        try:
            done = subprocess.run(
                command, input=given, capture_output=True, text=True, timeout=STEP_SECONDS, cwd=folder, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RemoteFailed(f"{self.host.ip}: {error}") from error
        if done.returncode != 0:
            lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            raise RemoteFailed(f"{self.host.ip}: " + (" | ".join(lines[-3:]) or f"status {done.returncode}"))
        return done.stdout


def on_each(remotes: Sequence[Remote], do: Callable[[Remote], Result]) -> list[Result]:
    """Call `do` for several hosts at once; raises RemoteFailed with every failure, after all have ended."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(do, remote) for remote in remotes]
    failures = [error for future in futures if (error := future.exception()) is not None]
    for error in failures:
        if not isinstance(error, RemoteFailed):
            raise error
    if failures:
        raise RemoteFailed("\n".join(str(error) for error in failures))
    return [future.result() for future in futures]


def _ssh(access: Access) -> list[str]:
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}", "-p", str(access.port)]
    command += ["-i", str(Path(access.identity).expanduser())] if access.identity else []
    return [*command, *access.options]


def _target(host: Host) -> str:
    return f"{host.access.user}@{host.address}"
