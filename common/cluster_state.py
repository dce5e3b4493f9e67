"""The command `python3 -m common.cluster_state`: the whole cluster as JSON, asked for over the way between services.

For scripts on any host that has the cluster's configuration and secret; needs neither the gateway nor a key of it.
Exit status: 0, or 1 when no master answers.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from common.auth import ClusterSecret
from common.clock import SystemClock
from common.config import Config
from common.entry import load_or_explain
from common.errors import DFSError
from common.http import HttpPool
from common.master_client import MasterClient

_TIMEOUT_SECONDS = 2.0


def main() -> int:
    config = load_or_explain()
    if config is None:
        return 2
    pool = HttpPool(ClusterSecret(config.cluster.secret).headers())
    try:
        print(json.dumps(read_state(config, pool)))
    except DFSError as error:
        print(f"no master answers: {error.detail}", file=sys.stderr)
        return 1
    finally:
        pool.close()
    return 0


def read_state(config: Config, pool: HttpPool) -> dict[str, Any]:
    """{"leader", "masters": {id: whether it answers}, "gateway": whether it answers, "workers": {id: ...}, ...}.

    Raises NoMasterAnswers.
    """
    urls = config.master_urls()
    masters = MasterClient(
        pool, list(urls.values()), SystemClock(), timeout_seconds=_TIMEOUT_SECONDS, deadline_seconds=_TIMEOUT_SECONDS
    )
    seen = masters.cluster()
    gateway = config.gateway
    host = f"[{gateway.ip}]" if ":" in gateway.ip else gateway.ip
    return {
        "leader": seen["leader"],
        "masters": {master_id: masters.is_alive(url) for master_id, url in urls.items()},
        "gateway": masters.is_alive(f"http://{host}:{gateway.port}"),
        "workers": {worker["worker_id"]: worker for worker in seen["workers"]},
        "owed_replicas": seen["replication"]["owed_replicas"],
    }


if __name__ == "__main__":
    sys.exit(main())
