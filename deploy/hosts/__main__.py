"""The command `python3 -m deploy.hosts`: check, install, start, stop, status, update, rollback, remove."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.hosts import steps
from deploy.hosts.plan import GATEWAY, MASTER, WORKER, Plan, PlanError, read_plan
from deploy.hosts.remote import Remote, RemoteFailed, on_each
from deploy.hosts.rolling import NotBack, State, roll, wait_until_whole

DONE, FAILED, USAGE = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    try:
        plan = read_plan(options.config, options.inventory, options.secrets)
        deployment = Deployment(plan, options.dry_run, options.wait_seconds)
        COMMANDS[options.command](deployment, options)
    except PlanError as error:
        print(f"Cannot deploy: {error}", file=sys.stderr)
        return USAGE
    except (RemoteFailed, NotBack) as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return FAILED
    return DONE


class Deployment:
    """All hosts of a plan; a ring whose nodes are restarted by systemd."""

    def __init__(self, plan: Plan, is_dry_run: bool, wait_seconds: float) -> None:
        self.plan = plan
        self.is_dry_run = is_dry_run
        self.wait_seconds = wait_seconds
        self.remotes = [Remote(host, say, is_dry_run=is_dry_run) for host in plan.hosts]
        self._switch_to = ""

    def remote(self, node_id: str) -> Remote:
        host, _ = self.plan.find(node_id)
        return next(remote for remote in self.remotes if remote.host is host)

    # --- commands ---

    def check(self, _options: argparse.Namespace) -> None:
        found = on_each(self.remotes, steps.check)
        for remote, line in zip(self.remotes, found, strict=True):
            say(f"{remote.host.ip}: fit for {', '.join(node.node_id for node in remote.host.nodes)}; {line}")

    def install(self, options: argparse.Namespace) -> None:
        """Everything but the start. Where another version runs, `update` switches to this one."""
        version = options.version or steps.make_version()
        self._put(version, options.wheels)
        fresh = [remote for remote in self.remotes if not steps.link_target(remote, steps.CURRENT)]
        on_each(fresh, lambda remote: steps.switch(remote, version, self.plan))

    def start(self, _options: argparse.Namespace) -> None:
        """Masters first, then the rest; returns when all of it serves."""
        for kind in (MASTER, WORKER, GATEWAY):
            remotes = [remote for remote in self.remotes if any(node.kind == kind for node in remote.host.nodes)]
            on_each(remotes, lambda remote, kind=kind: steps.start(remote, kind))  # type: ignore[misc]
        if not self.is_dry_run:
            wait_until_whole(self, self.wait_seconds)
            say("the cluster is whole")

    def stop(self, _options: argparse.Namespace) -> None:
        """The gateway first, masters last."""
        for kind in (GATEWAY, WORKER, MASTER):
            remotes = [remote for remote in self.remotes if any(node.kind == kind for node in remote.host.nodes)]
            on_each(remotes, lambda remote, kind=kind: steps.stop(remote, kind))  # type: ignore[misc]

    def status(self, _options: argparse.Namespace) -> None:
        for lines in on_each(self.remotes, steps.status):
            for line in lines:
                say(line)
        missing = self.state().missing()
        say(f"not whole: {missing}" if missing else "the cluster is whole")

    def update(self, options: argparse.Namespace) -> None:
        version = options.version or steps.make_version()
        self._put(version, options.wheels)
        on_each(self.remotes, lambda remote: steps.check_version(remote, version))
        self._roll_to(version)

    def rollback(self, options: argparse.Namespace) -> None:
        """Back to the version that ran before, in the same way; also where an update has stopped half-way."""
        links = (steps.CURRENT, steps.PREVIOUS)
        known = [{steps.link_target(remote, link) for link in links} - {""} for remote in self.remotes]
        current = {steps.link_target(remote, steps.CURRENT) for remote in self.remotes}
        found = set.intersection(*known) - (current if len(current) == 1 else set())
        if options.version:
            found &= {options.version}
        if len(found) != 1:
            raise RemoteFailed(f"which version? The hosts have in common: {', '.join(sorted(found)) or 'none'}")
        self._roll_to(found.pop())

    def remove(self, options: argparse.Namespace) -> None:
        self.stop(options)
        on_each(self.remotes, lambda remote: steps.remove(remote, with_data=options.data))

    # --- the ring ---

    def state(self) -> State:
        failure: RemoteFailed | None = None
        # The gateway's certificate, if there is one, is on its own host only.
        for remote in sorted(self.remotes, key=lambda remote: remote is not self.remote(GATEWAY)):
            try:
                told = json.loads(remote.ask(steps.as_service("current", "-m common.cluster_state")))
            except RemoteFailed as error:
                failure = error
            else:
                return State(**told)
        raise NotBack(str(failure))

    def restart(self, node_id: str) -> None:
        remote = self.remote(node_id)
        steps.switch(remote, self._switch_to, self.plan)
        steps.restart(remote, node_id)

    def exchange_gateway(self) -> None:
        remote = self.remote(GATEWAY)
        steps.switch(remote, self._switch_to, self.plan)
        steps.exchange_gateway(remote)

    def _put(self, version: str, wheels: Path | None) -> None:
        def put(remote: Remote) -> None:
            steps.put_version(remote, version, wheels)
            steps.put_configuration(remote, self.plan)

        on_each(self.remotes, put)

    def _roll_to(self, version: str) -> None:
        self._switch_to = version
        workers = [node.node_id for _, node in self.plan.nodes(WORKER)]
        masters = [node.node_id for _, node in self.plan.nodes(MASTER)]
        roll(self, workers, masters, say, self.wait_seconds)
        on_each(self.remotes, steps.forget_older)
        say(f"every node runs {version}")


COMMANDS: dict[str, Callable[[Deployment, argparse.Namespace], None]] = {
    "check": Deployment.check,
    "install": Deployment.install,
    "start": Deployment.start,
    "stop": Deployment.stop,
    "status": Deployment.status,
    "update": Deployment.update,
    "rollback": Deployment.rollback,
    "remove": Deployment.remove,
}
_HELP = {
    "check": "whether every host can take its nodes; changes nothing",
    "install": "code, packages, configuration and units onto every host; starts nothing",
    "start": "start every node, now and after each boot",
    "stop": "stop every node",
    "status": "what runs where, and whether the cluster is whole",
    "update": "install this version and restart the nodes one at a time; no request fails",
    "rollback": "back to the version before, in the same way",
    "remove": "stop everything and remove it from the hosts, but for the data",
}


def say(line: str) -> None:
    print(line, flush=True)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m deploy.hosts", description="Deploy to hosts by ssh and rsync.")
    parser.add_argument("--config", type=Path, default=Path("config.json"), help="the cluster's config.json")
    parser.add_argument("--inventory", type=Path, help="how hosts are reached (JSON; see deploy/hosts/plan.py)")
    parser.add_argument("--secrets", type=Path, default=Path(".env"), help="the file with DFS_CLUSTER_SECRET=")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--wait-seconds", type=float, default=120.0, help="how long a node may take to be back")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _HELP.items():
        command = commands.add_parser(name, help=text, description=text)
        if name in ("install", "update", "rollback"):
            command.add_argument("--version", default="", help="its name; by itself: release and content")
        if name in ("install", "update"):
            command.add_argument("--wheels", type=Path, help="packages for hosts that reach no package index")
        if name == "remove":
            command.add_argument("--data", action="store_true", help="remove the data, too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
