"""How a worker is put together."""

from __future__ import annotations

from common.auth import ClusterSecret
from common.clock import SystemClock
from common.config import Config
from common.http import HttpPool
from common.logs import EventLog, open_log
from common.master_client import MasterClient
from common.serving import Service
from common.worker_client import WorkerClient
from storage.app import create_app
from storage.background import BackgroundLoop
from storage.chunk_store import ChunkStore
from storage.copying import ReplicaCopier
from storage.epoch import EpochGate
from storage.folder_lock import FolderLock
from storage.heartbeats import HeartbeatSender, Reported
from storage.metrics import monitor_worker
from storage.reports import BadReplicaReports
from storage.scrub import Scrubber

# A heartbeat is worth little after this long; the next one is due.
HEARTBEAT_DEADLINE_SECONDS = 5.0
# A stop does not wait longer for the masters.
GOODBYE_SECONDS = 2.0
# Silence after which a copy gives its source up.
COPY_TIMEOUT_SECONDS = 10.0
_QUARANTINE_LOOK_SECONDS = 60.0


def build_worker(config: Config, worker_id: str) -> Service:
    """Wire the worker `worker_id`; raises KeyError when the configuration does not know it."""
    clock = SystemClock()
    node = config.workers[worker_id]
    log = open_log(worker_id, config.log_dir(worker_id), "worker.log", config.cluster, clock)
    data_dir = config.data_dir(worker_id)
    secret = ClusterSecret.of(config.cluster)
    pool = HttpPool.of(config)
    masters = MasterClient(
        pool,
        list(config.master_urls().values()),
        clock,
        timeout_seconds=2.0,
        deadline_seconds=HEARTBEAT_DEADLINE_SECONDS,
    )
    store = ChunkStore(
        data_dir,
        reserve_bytes=config.worker.reserve_bytes,
        capacity_bytes=config.worker.capacity_bytes,
        is_synced=config.worker.fsync,
        is_direct=config.worker.direct_io,
        window_count=config.worker.window_count,
        on_damage=lambda chunk_id: reports.add(chunk_id),
    )
    reports = BadReplicaReports(worker_id, masters, store.find_held, log)
    copier = ReplicaCopier(store, WorkerClient(pool, timeout_seconds=COPY_TIMEOUT_SECONDS))
    scrubber = Scrubber(
        store,
        data_dir / "scrub.json",
        clock,
        log,
        period_seconds=config.worker.scrub_period_seconds,
        bytes_per_second=config.worker.scrub_bytes_per_second,
    )
    quarantine = _quarantine_loop(store, config.worker.quarantine_seconds, log)
    epochs = EpochGate(data_dir / "epoch")
    folder = FolderLock(data_dir, worker_id)

    def begin_anew() -> None:
        folder.release()
        folder.take()
        store.recover()
        epochs.write_again()

    reported = Reported(store, reports, scrubber.status, begin_anew)
    heartbeats = HeartbeatSender(node, reported, masters, log, config.worker.heartbeat_seconds)

    def start() -> None:
        folder.take()
        removed = store.recover()
        epochs.recover()
        usage = store.usage()
        log.info("started", data_dir=str(data_dir), chunks=usage.chunk_count, unfinished_removed=removed)
        for part in (reports, scrubber, quarantine, heartbeats):
            part.start()

    def stop() -> None:
        for part in (heartbeats, reports, scrubber, quarantine):
            part.stop()
        heartbeats.wait(GOODBYE_SECONDS)
        pool.close()
        folder.release()
        log.info("stopped")

    monitoring = monitor_worker(
        store,
        heartbeats,
        scrubber,
        clock,
        reserve_bytes=config.worker.reserve_bytes,
        token=config.cluster.metrics_token,
    )
    app = create_app(worker_id, store, epochs, copier, reports, secret, log, monitoring)
    return Service(worker_id, app, log, start, stop, leave=heartbeats.leave)


def _quarantine_loop(store: ChunkStore, seconds: float, log: EventLog) -> BackgroundLoop:
    """Frees what has been in quarantine for its time."""

    def step() -> float:
        if freed := store.free_quarantined(seconds):
            log.info("quarantine_freed", count=freed)
        return min(_QUARANTINE_LOOK_SECONDS, max(1.0, seconds))

    return BackgroundLoop("quarantine", step, log)
