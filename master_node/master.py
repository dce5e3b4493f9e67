"""A master's entry point: `python3 -m master_node.master master_1`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from common.entry import parse_arguments, run_node


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments("Run a master, which keeps the metadata.", arguments, names_node=True)
    return run_node(
        "master_node.wiring:build_master",
        options.node_id,
        port=lambda config: config.masters[options.node_id].port,
        max_connections=lambda config: config.master.max_connections,
        is_check=options.check,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
