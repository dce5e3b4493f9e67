"""What a worker tells of its disk, its scrub and its heartbeats, and when it is ready."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from common.clock import Clock, timestamp_seconds
from common.metrics import Metrics, counter, gauge, gauges
from common.monitoring import Monitoring
from common.readiness import Readiness
from storage.chunk_store import ChunkStore
from storage.heartbeats import HeartbeatSender
from storage.scrub import Scrubber

_OUTCOMES = ("intact", "quarantined", "missing", "failed")


def monitor_worker(
    store: ChunkStore,
    heartbeats: HeartbeatSender,
    scrubber: Scrubber,
    clock: Clock,
    *,
    reserve_bytes: int,
    token: str,
) -> Monitoring:
    """reserve_bytes: the free space that is never used. token: see `Monitoring`."""
    metrics = Metrics("worker")
    metrics.add(lambda: _of_disk(store, reserve_bytes))
    metrics.add(lambda: _of_chunks(store))
    metrics.add(lambda: _of_scrub(scrubber))
    metrics.add(lambda: [_is_heard(heartbeats)])
    checks = {"disk": store.is_writable, "master": lambda: heartbeats.is_heard}
    return Monitoring(metrics, Readiness(checks, clock), token, is_internal=True)


def _of_disk(store: ChunkStore, reserve_bytes: int) -> Iterator[Metric]:
    usage = store.usage()
    yield gauge("dfs_disk_capacity_bytes", "Bytes of chunks that the disk can hold", usage.capacity_bytes)
    yield gauge("dfs_disk_used_bytes", "Bytes of chunks, those in quarantine included", usage.used_bytes)
    yield gauge("dfs_disk_free_bytes", "Bytes that may still be written, the reserve taken off", usage.free_bytes)
    yield gauge("dfs_disk_reserve_bytes", "Free space that is never used, in bytes", reserve_bytes)
    yield gauge("dfs_chunks", "Chunks on the disk", usage.chunk_count)
    yield gauge("dfs_quarantined_chunks", "Chunk files in quarantine", usage.quarantined_count)
    yield gauge("dfs_quarantined_bytes", "Bytes of the chunk files in quarantine", store.quarantined_bytes)


def _of_chunks(store: ChunkStore) -> Iterator[Metric]:
    yield counter("dfs_chunks_written", "Chunks written whole", store.counts.written)
    yield counter("dfs_chunks_read", "Chunks read by others, whole or in part", store.counts.read)
    yield counter("dfs_chunks_corrupt", "Chunks found damaged and put into quarantine", store.counts.corrupt)


def _of_scrub(scrubber: Scrubber) -> Iterator[Metric]:
    status = scrubber.status()
    completed = status["last_round_completed_at"]
    yield gauge("dfs_scrub_progress_ratio", "How much of the scrub's round is done", status["progress"])
    running = "For how long the worker has run since the scrub's round began"
    yield gauge("dfs_scrub_round_elapsed_seconds", running, scrubber.elapsed_seconds)
    yield gauge("dfs_scrub_period_seconds", "Time in which a round is to be done", scrubber.period_seconds)
    yield gauge("dfs_scrub_bytes_per_second", "How fast the scrub reads", status["bytes_per_second"])
    yield gauges(
        "dfs_scrub_round_chunks",
        "Chunks that this round of the scrub has read, by outcome",
        ("outcome",),
        [((outcome,), status[outcome]) for outcome in _OUTCOMES],
    )
    yield gauge(
        "dfs_scrub_last_round_timestamp_seconds",
        "When the last round of the scrub ended; 0 where none has",
        timestamp_seconds(completed) if completed else 0.0,
    )


def _is_heard(heartbeats: HeartbeatSender) -> Metric:
    return gauge("dfs_heartbeat_heard", "1 while the masters answer the heartbeats", heartbeats.is_heard)
