"""Make hosts of namespaces, with a key by which the test reaches them; end them with all that runs on them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.networks import Network, no_network
from tests.support.waiting import wait_until

_INIT = Path(__file__).with_name("init.py")
_SSHD = """
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
MaxStartups 100
"""


@dataclass(frozen=True)
class Machines:
    """Hosts by their names. ssh_options: for whoever calls ssh."""

    folder: Path
    addresses: dict[str, str]
    ssh_options: tuple[str, ...]

    def own(self, name: str, path: str) -> Path:
        """What the host has written below one of its folders, as seen from the machine."""
        pid = int((self.folder / name / "pid").read_text())
        return Path(f"/proc/{pid}/root{path}")


def no_machines() -> str:
    """Why hosts cannot be made here; empty when they can."""
    if reason := no_network():
        return reason
    wanted = {"/usr/sbin/sshd": "openssh-server", "ssh": "openssh-client", "rsync": "rsync", "setpriv": "util-linux"}
    missing = [package for program, package in wanted.items() if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


@contextlib.contextmanager
def machines(folder: Path, names: Sequence[str]) -> Iterator[Machines]:
    """Hosts that run until the block is left."""
    for key in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
    started: list[subprocess.Popen[bytes]] = []
    with contextlib.closing(Network(names)) as network:
        made = Machines(folder, network.addresses, options)
        try:
            started += [_start(made, name, network.namespace(name)) for name in names]
            for name, process in zip(names, started, strict=True):
                _wait_until_up(made, name, process)
            yield made
        finally:
            for process in started:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _start(made: Machines, name: str, namespace: str) -> subprocess.Popen[bytes]:
    home = made.folder / name
    home.mkdir()
    (home / "sshd_config").write_text(_SSHD.format(address=made.addresses[name], folder=made.folder))
    command = ["ip", "netns", "exec", namespace, "unshare", "--mount", "--pid", "--fork", "--kill-child"]
    with open(home / "init.txt", "wb") as output:
        return subprocess.Popen(
            [*command, sys.executable, str(_INIT), str(home)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_up(made: Machines, name: str, process: subprocess.Popen[bytes]) -> None:
    home = made.folder / name

    def is_up() -> bool:
        assert process.poll() is None, (home / "init.txt").read_text()
        return (home / "up").exists()

    wait_until(is_up, f"{name} is up")
    # unshare's only child.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (home / "pid").write_text(children[0])
