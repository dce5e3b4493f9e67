"""The first process of a host: makes its folders its own, runs its sshd, and does what its systemctl asks for.

`python init.py FOLDER`, in new mount, process and network namespaces. FOLDER holds sshd_config; what the host writes
below the system's folders is laid over them and never reaches the machine's own.
"""

from __future__ import annotations

import json
import os
import shlex
import socketserver
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.support.hosts.units import UnitFailed, Units

CONTROL = "/run/dfs-units"
_OWN = ("/etc", "/opt", "/var")
_CLIENT = """#!{python} -IS
import json, socket, sys
with socket.socket(socket.AF_UNIX) as init:
    init.connect({control!r})
    init.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    answer = json.loads(init.makefile().readline())
if answer["printed"] and "--quiet" not in sys.argv:
    print(answer["printed"])
sys.exit(answer["status"])
"""


def main(folder: Path) -> None:
    _make_folders_own(folder)
    subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")])
    units = Units()

    class Request(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                status, printed = 0, units.call(json.loads(self.rfile.readline()))
            except UnitFailed as error:
                status, printed = 1, str(error)
            self.wfile.write(json.dumps({"status": status, "printed": printed}).encode() + b"\n")

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(CONTROL, Request) as server:
        (folder / "up").touch()
        server.serve_forever()


def _make_folders_own(folder: Path) -> None:
    own = folder / "own"
    own.mkdir()
    _run(f"mount -t tmpfs own {shlex.quote(str(own))}")
    for path in (*_OWN, *_closed_to_others()):
        upper, work = own / path.strip("/").replace("/", "-"), own / f"work-{path.strip('/').replace('/', '-')}"
        upper.mkdir()
        work.mkdir()
        upper.chmod(0o755)
        _run(f"mount -t overlay own -o lowerdir={path},upperdir={upper},workdir={work} {path}")
    _run("mount -t proc proc /proc; mount -t tmpfs run /run; mkdir /run/sshd; mount -t tmpfs bin /usr/local/sbin")
    client = Path("/usr/local/sbin/systemctl")
    client.write_text(_CLIENT.format(python=sys.executable, control=CONTROL))
    client.chmod(0o755)


def _closed_to_others() -> list[str]:
    """Folders on the way to this interpreter that the services' user could not enter, such as /root."""
    ways = (Path(sys.executable), Path(os.path.realpath(sys.executable)))
    return sorted({str(parent) for way in ways for parent in way.parents if not parent.stat().st_mode & 1})


def _run(script: str) -> None:
    subprocess.run(["sh", "-euc", script], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
