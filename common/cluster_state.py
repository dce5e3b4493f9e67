"""The command `python3 -m common.cluster_state`: the whole cluster as JSON, asked for over the way between services.

For scripts on any host that has the cluster's configuration and secret; needs neither the gateway nor a key of it.
Exit status: 0, or 1 when no master answers.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from common.clock import SystemClock
from common.config import Config
from common.entry import load_or_explain
from common.errors import CannotStart, DFSError
from common.http import HttpPool
from common.master_client import MasterClient
from common.tls import TlsFiles, only_context

_TIMEOUT_SECONDS = 2.0


def main() -> int:
    config = load_or_explain()
    if config is None:
        return 2
    try:
        with contextlib.closing(HttpPool.of(config)) as pool:
            print(json.dumps(read_state(config, pool)))
    except (CannotStart, DFSError) as error:
        print(f"the cluster cannot be asked: {error}", file=sys.stderr)
        return 1
    return 0


def read_state(config: Config, pool: HttpPool) -> dict[str, Any]:
    """{"leader", "masters": {id: whether it answers}, "gateway": whether it answers, "workers": {id: ...}, ...}.

    pool: for the masters. Raises NoMasterAnswers, and CannotStart where the gateway's certificate is not to be read.
    """
    urls = config.master_urls()
    masters = MasterClient(
        pool, list(urls.values()), SystemClock(), timeout_seconds=_TIMEOUT_SECONDS, deadline_seconds=_TIMEOUT_SECONDS
    )
    seen = masters.cluster()
    with contextlib.closing(HttpPool(tls=only_context(TlsFiles.of_gateway(config.home, config.gateway)))) as clients:
        is_gateway_alive = _is_alive(clients, config.gateway_url())
    return {
        "leader": seen["leader"],
        "masters": {master_id: masters.is_alive(url) for master_id, url in urls.items()},
        "gateway": is_gateway_alive,
        "workers": {worker["worker_id"]: worker for worker in seen["workers"]},
        "owed_replicas": seen["replication"]["owed_replicas"],
    }


def _is_alive(pool: HttpPool, url: str) -> bool:
    try:
        return pool.call_json("GET", f"{url}/health", timeout_seconds=_TIMEOUT_SECONDS) == {"status": "ok"}
    except DFSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
