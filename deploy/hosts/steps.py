"""What is done on one host: checks, a version with its environment, configuration, units, start and stop, removal.

Every step may be repeated. How files lie on a host: deploy/README.md.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from common.version import VERSION
from deploy.hosts.plan import GATEWAY, HAND_OVER, SOCKET, WORKER, Host, Plan
from deploy.hosts.remote import Remote

ROOT = Path(__file__).resolve().parents[2]
# What a host needs of the project.
PARTS = ("api_gateway", "common", "master_node", "storage", "deploy", "docs", "README.md")
SCRIPTS = ("run_all_mac_or_linux.sh", "requirements.txt")
CODE, CURRENT, PREVIOUS = "/opt/dfs", "/opt/dfs/current", "/opt/dfs/previous"
CONFIGURATION, DATA, LOGS = "/etc/dfs", "/var/lib/dfs", "/var/log/dfs"
UNITS = "/etc/systemd/system"
_LEAST_FREE_BYTES = 1024**3
_CHECK = """
command -v systemctl rsync >/dev/null || {{ echo "systemd and rsync are needed"; exit 1; }}
{python} -c 'import sys; sys.exit("Python 3.10 or newer is needed") if sys.version_info < (3, 10) else 0'
{python} -c 'import venv, ensurepip' || {{ echo "the module venv is missing: install python3-venv"; exit 1; }}
for folder in /opt /var; do
    free=$(($(df -Pk $folder | tail -1 | tr -s ' ' | cut -d' ' -f4) * 1024))
    [ $free -ge {least} ] || {{ echo "$folder has only $free bytes free"; exit 1; }}
done
{python} - <<'END'
import socket, subprocess, sys, time
for unit, port in {ports}:
    if subprocess.call(["systemctl", "is-active", "--quiet", unit]):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError as error:
                sys.exit(f"port {{port}} of {{unit}} cannot be used: {{error.strerror}}")
print(f"Python {{sys.version.split()[0]}}, clock {{time.time():.0f}}")
END
"""


def make_version() -> str:
    """The name of what lies here now: its release, and what tells it from any other content."""
    digest = hashlib.sha256()
    for name in (*PARTS, *SCRIPTS):
        for path in sorted((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name]):
            relative = path.relative_to(ROOT)
            if path.is_file() and _is_sent(relative):
                digest.update(f"{relative.as_posix()}\0".encode() + path.read_bytes())
    return f"{VERSION}-{digest.hexdigest()[:8]}"


def check(remote: Remote) -> str:
    """Whether the host can take its nodes; returns its Python and its clock. Raises RemoteFailed."""
    ports = [(SOCKET if node.kind == GATEWAY else node.unit, node.port) for node in remote.host.nodes]
    script = _CHECK.format(python=shlex.quote(remote.host.access.python), least=_LEAST_FREE_BYTES, ports=repr(ports))
    return remote.ask(script).strip()


def put_version(remote: Remote, version: str, wheels: Path | None) -> None:
    """Copy the code and make its environment. wheels: a folder of packages for hosts that reach no package index."""
    folder, access = f"{CODE}/{version}", remote.host.access
    remote.do(f"make {folder}", f"mkdir -p {folder}")
    remote.send(f"send the code to {folder}", ROOT, (*PARTS, *SCRIPTS), folder)
    if access.environment:
        environment = shlex.quote(access.environment)
        remote.do(f"use the packages of {access.environment}", f"ln -sfn {environment} {folder}/dfs_env")
        return
    variables = f"PYTHON={shlex.quote(access.python)}"
    if wheels is not None:
        remote.send(f"send the packages to {CODE}/wheels", wheels, (".",), f"{CODE}/wheels")
        variables += f" PIP_NO_INDEX=1 PIP_FIND_LINKS={CODE}/wheels"
    script = f"cd {folder} && env {variables} ./run_all_mac_or_linux.sh --set-up requirements.txt"
    remote.do(f"make {folder}/dfs_env with the packages", script)


def put_configuration(remote: Remote, plan: Plan) -> None:
    """The user, the folders, config.json and the secrets, which go by standard input only."""
    remote.do(
        "make the user dfs and the folders",
        f"""
        id -u dfs >/dev/null 2>&1 ||
            useradd --system --user-group --no-create-home --home-dir {DATA} --shell /usr/sbin/nologin dfs
        install -d -o root -g dfs -m 0750 {CONFIGURATION}
        install -d -o dfs -g dfs -m 0750 {DATA} {LOGS}
        """,
    )
    paths = (ROOT / "deploy" / "systemd" / "paths.env").read_text()
    _put_file(remote, f"{CONFIGURATION}/config.json", plan.config)
    _put_file(remote, f"{CONFIGURATION}/.env", paths + plan.secrets_of(remote.host))


def check_version(remote: Remote, version: str) -> None:
    """Have each node of the host load its configuration with this version. Raises RemoteFailed."""
    for node in remote.host.nodes:
        command = as_service(version, f"{node.command} --check")
        remote.do(f"check that {version} can run {node.node_id}", f"{command} >/dev/null")


def switch(remote: Remote, version: str, plan: Plan) -> None:
    """Make this version the one that a node runs when it is started next."""
    units, drop_in = f"{CODE}/{version}/deploy/systemd", f"{UNITS}/{SOCKET}.d"
    remote.do(
        f"switch to {version}",
        f"""
        if [ "$(readlink {CURRENT})" != {CODE}/{version} ]; then
            if [ -L {CURRENT} ]; then cp -P {CURRENT} {PREVIOUS}.new; mv -T {PREVIOUS}.new {PREVIOUS}; fi
            ln -sfn {CODE}/{version} {CURRENT}.new
            mv -T {CURRENT}.new {CURRENT}
        fi
        install -m 0644 {units}/*.service {units}/*.socket {UNITS}/
        mkdir -p {drop_in}
        printf '[Socket]\\nListenStream=\\nListenStream=%s\\n' {_gateway_address(remote.host, plan)} \\
            >{drop_in}/address.conf
        systemctl daemon-reload
        """,
    )


def forget_older(remote: Remote) -> None:
    """Keep the version that runs and the one before it."""
    script = f"""
        for folder in {CODE}/*/; do
            folder=${{folder%/}}
            case "$folder" in {CURRENT} | {PREVIOUS} | {CODE}/wheels) continue ;; esac
            case "$folder" in "$(readlink {CURRENT})" | "$(readlink {PREVIOUS})") continue ;; esac
            rm -rf "$folder"
        done
        """
    remote.do("remove versions before the last one", script)


def start(remote: Remote, kind: str) -> None:
    """Have the host's nodes of this kind run, now and after each boot of the host. One that runs is left alone."""
    for node in remote.host.nodes:
        if node.kind == kind:
            remote.do(f"start {node.node_id}", f"systemctl enable --quiet {node.unit}; systemctl start {node.unit}")


def stop(remote: Remote, kind: str) -> None:
    """Stop the host's nodes of this kind, until they are started or the host boots."""
    for node in remote.host.nodes:
        if node.kind == kind:
            # Where the socket stays, the next client would start the gateway again.
            units = f"{SOCKET} {HAND_OVER} {node.unit}" if kind == GATEWAY else node.unit
            file = f"{UNITS}/dfs-{kind}" + (".service" if kind == GATEWAY else "@.service")
            remote.do(f"stop {node.node_id}", f"if [ -e {file} ]; then systemctl stop {units}; fi")


def restart(remote: Remote, node_id: str) -> None:
    """Stop a node cleanly and start it; returns once it serves."""
    unit = next(node.unit for node in remote.host.nodes if node.node_id == node_id)
    remote.do(f"restart {node_id}", f"systemctl restart {unit}")


def exchange_gateway(remote: Remote) -> None:
    """Put a new gateway process in the place of the old one, both on one socket for as long as that takes.

    The old one ends when its transfers have, or after gateway.drain_seconds; so does the one that stood in for it.
    """
    remote.do("have a second gateway process take connections, too", f"systemctl start {HAND_OVER}")
    unit = f"dfs-{GATEWAY}.service"
    # Should the new version not come up a second time, the process that stands in goes on.
    remote.do("let the first one finish, and start it anew", f"systemctl stop {unit}; systemctl start {unit}")
    remote.do("let the second one finish", f"systemctl stop {HAND_OVER}")


def status(remote: Remote) -> Sequence[str]:
    """One line for each node: whether it runs, and which version."""
    lines = []
    for node in remote.host.nodes:
        found = remote.ask(
            f"""
            state=$(systemctl is-active {node.unit} || true)
            pid=$(systemctl show --property MainPID --value {node.unit} || echo 0)
            echo "$state $(readlink /proc/$pid/cwd || true)"
            """
        ).split()
        version = found[1].rpartition("/")[2] if len(found) > 1 else "-"
        lines.append(f"{node.node_id:<12} {remote.host.ip:<16} {found[0]:<10} {version}")
    return lines


def link_target(remote: Remote, link: str) -> str:
    """The version that a link points to; empty where there is none."""
    return remote.ask(f"readlink {link} || true").strip().rpartition("/")[2]


def remove(remote: Remote, *, with_data: bool) -> None:
    """Remove all of it, once it is stopped; the data only where asked for."""
    units = " ".join(node.unit for node in remote.host.nodes)
    script = f"systemctl disable --quiet {units} || true; rm -rf {UNITS}/dfs-*; systemctl daemon-reload"
    remote.do("remove the units", script)
    remote.do("remove the code, the configuration and the logs", f"rm -rf {CODE} {CONFIGURATION} {LOGS}")
    if with_data:
        remote.do("remove the data and the user", f"rm -rf {DATA}; if id -u dfs >/dev/null 2>&1; then userdel dfs; fi")
    elif any(node.kind == WORKER for node in remote.host.nodes):
        remote.say(f"keep the data in {DATA}, and the user dfs who owns it")


def as_service(version: str, arguments: str) -> str:
    """A command that runs as the services do."""
    folder = f"{CODE}/{version}"
    return (
        f"cd {folder} && setpriv --reuid dfs --regid dfs --init-groups"
        f" env DFS_HOME={CONFIGURATION} {folder}/dfs_env/bin/python {arguments}"
    )


def _put_file(remote: Remote, path: str, content: str) -> None:
    script = f"""
        umask 077
        cat >{path}.new
        chown root:dfs {path}.new
        chmod 0640 {path}.new
        mv {path}.new {path}
        """
    remote.do(f"write {path}", script, content)


def _gateway_address(host: Host, plan: Plan) -> str:
    port = next((node.port for node in host.nodes if node.kind == GATEWAY), 5000)
    address = f"[{plan.listen_address}]" if ":" in plan.listen_address else plan.listen_address
    return f"{address}:{port}"


def _is_sent(relative: Path) -> bool:
    """As remote.NOT_SENT has it."""
    is_data = relative.parts[0] == "storage" and relative.parts[2:3] == ("data",)
    return not is_data and "__pycache__" not in relative.parts and relative.suffix != ".pyc"
