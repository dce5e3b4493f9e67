"""The worker's entry point: wires one worker and serves it. `storage/worker_N/workerN.py` are its launchers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from common.auth import ClusterSecret
from common.clock import SystemClock
from common.config import Config
from common.entry import parse_arguments, run_node
from common.http import HttpPool
from common.logs import open_log
from common.master_client import MasterClient
from common.serving import Service
from storage.app import create_app
from storage.chunk_store import ChunkStore
from storage.epoch import EpochGate
from storage.folder_lock import FolderLock
from storage.heartbeats import HeartbeatSender

# A heartbeat is worth little after this long; the next one is due.
HEARTBEAT_DEADLINE_SECONDS = 5.0


def build_worker(config: Config, worker_id: str) -> Service:
    """Wire the worker `worker_id`; raises KeyError when the configuration does not know it."""
    clock = SystemClock()
    node = config.workers[worker_id]
    log = open_log(worker_id, config.log_dir(worker_id), "worker.log", config.cluster, clock)
    data_dir = config.data_dir(worker_id)
    secret = ClusterSecret(config.cluster.secret)
    store = ChunkStore(
        data_dir,
        reserve_bytes=config.worker.reserve_bytes,
        capacity_bytes=config.worker.capacity_bytes,
        is_synced=config.worker.fsync,
        is_direct=config.worker.direct_io,
        window_count=config.worker.window_count,
    )
    epochs = EpochGate(data_dir / "epoch")
    folder = FolderLock(data_dir, worker_id)
    pool = HttpPool(secret.headers())
    masters = MasterClient(
        pool,
        list(config.master_urls().values()),
        clock,
        timeout_seconds=2.0,
        deadline_seconds=HEARTBEAT_DEADLINE_SECONDS,
    )
    heartbeats = HeartbeatSender(node, store, masters, log, config.worker.heartbeat_seconds)

    def start() -> None:
        folder.take()
        removed = store.recover()
        epochs.recover()
        usage = store.usage()
        log.info("started", data_dir=str(data_dir), chunks=usage.chunk_count, unfinished_removed=removed)
        heartbeats.start()

    def stop() -> None:
        heartbeats.stop()
        pool.close()
        folder.release()
        log.info("stopped")

    app = create_app(worker_id, store, epochs, secret, log)
    return Service(worker_id, app, log, start, stop)


def main(worker_id: str, arguments: Sequence[str]) -> int:
    """Run one worker until it is stopped; returns the exit status."""
    options = parse_arguments(f"Run {worker_id}, which keeps chunks on this host's disk.", arguments, names_node=False)
    return run_node(
        build_worker,
        worker_id,
        port=lambda config: config.workers[worker_id].port,
        max_connections=lambda config: config.worker.max_connections,
        is_check=options.check,
    )


def launch(launcher: str) -> None:
    """Run the worker whose folder holds the file `launcher`."""
    sys.exit(main(Path(launcher).resolve().parent.name, sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:]))
