"""The gateway's entry point: `python3 -m api_gateway.gateway`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from common.entry import parse_arguments, run_node
from common.tls import TlsFiles


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments("Run the API gateway, which clients talk to.", arguments, names_node=False)
    return run_node(
        "api_gateway.wiring:build_gateway",
        "gateway",
        port=lambda config: config.gateway.port,
        max_connections=lambda config: config.gateway.max_connections,
        hand_over_seconds=lambda config: config.gateway.drain_seconds,
        is_check=options.check,
        tls=lambda config: TlsFiles.of_gateway(config.home, config.gateway),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
