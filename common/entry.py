"""What the three kinds of entry points do the same way: load the configuration, wire the service, check or serve."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from common.config import Config, ConfigError, load_config
from common.serving import GRACEFUL_SECONDS, ServerOptions, Service, explained_start, serve
from common.tls import TlsFiles, server_context


def run_node(
    build: str,
    node_id: str,
    port: Callable[[Config], int],
    max_connections: Callable[[Config], int],
    *,
    is_check: bool,
    hand_over_seconds: Callable[[Config], float] = lambda _config: GRACEFUL_SECONDS,
    tls: Callable[[Config], TlsFiles] | None = None,
) -> int:
    """Run one node until it is stopped; returns the exit status. is_check: wire everything, start nothing, return.

    build: "module:function", imported in the process that serves, not in the one that watches over it, which would
    hold the memory of all of it for nothing. tls: the files for its own port; else the cluster's.
    """
    config = load_or_explain()
    if config is None:
        return 2
    try:
        node_port = port(config)
    except KeyError:
        known = ", ".join([*config.masters, *config.workers])
        print(f"{node_id}: is not in the configuration; it knows {known}", file=sys.stderr)
        return 2
    files = TlsFiles.of_cluster(config.home, config.cluster) if tls is None else tls(config)
    if is_check:
        with explained_start(node_id):
            server_context(files)
            _build(build, config, node_id).stop()
        print(f"{node_id}: the configuration is valid and the service can be built (port {node_port})")
        return 0
    serve(
        node_id,
        lambda: _build(build, config, node_id),
        ServerOptions(
            server=config.cluster.server,
            address=config.cluster.listen_address,
            port=node_port,
            max_connections=max_connections(config),
            silence_seconds=config.cluster.silence_seconds,
            head_seconds=config.cluster.head_seconds,
            least_bytes_per_second=config.cluster.least_bytes_per_second,
            scratch_dir=config.log_dir(node_id),
            hand_over_seconds=hand_over_seconds(config),
            tls=files,
        ),
    )
    return 0


def _build(name: str, config: Config, node_id: str) -> Service:
    module, _, function = name.partition(":")
    service: Service = getattr(importlib.import_module(module), function)(config, node_id)
    return service


def load_or_explain() -> Config | None:
    """The configuration; None after printing every problem with it, one a line."""
    try:
        return load_config()
    except ConfigError as error:
        print("The configuration has problems:", file=sys.stderr)
        for problem in error.problems:
            print(f"  {problem}", file=sys.stderr)
        return None


def parse_arguments(description: str, arguments: Sequence[str], *, names_node: bool) -> argparse.Namespace:
    """The command line that all entry points share."""
    parser = argparse.ArgumentParser(description=description)
    if names_node:
        parser.add_argument("node_id", help="the node's name in config.json")
    parser.add_argument("--check", action="store_true", help="load the configuration, wire the app and exit")
    return parser.parse_args(arguments)
