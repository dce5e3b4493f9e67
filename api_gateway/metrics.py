"""What the gateway tells of its transfers and its memory, and when it is ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import Metric

from api_gateway.buffers import BufferPool
from api_gateway.downloads import DownloadService
from api_gateway.small_chunks import SmallChunks
from api_gateway.uploads import UploadService
from common.clock import Clock
from common.master_client import MasterClient
from common.metrics import Metrics, counters, gauge
from common.monitoring import Monitoring
from common.readiness import Readiness


def monitor_gateway(
    masters: MasterClient,
    master_urls: Sequence[str],
    uploads: UploadService,
    downloads: DownloadService,
    small_chunks: SmallChunks,
    clock: Clock,
    *,
    memory_bound_bytes: int,
    token: str,
) -> Monitoring:
    """memory_bound_bytes: what the gateway can come to take, by its settings. token: see `Monitoring`."""
    metrics = Metrics("gateway")
    metrics.add(lambda: _of_memory(uploads.buffers, small_chunks, memory_bound_bytes))
    metrics.add(lambda: _of_transfers(uploads, downloads))

    def is_some_master_ready() -> bool:
        return any(masters.is_ready(url) for url in master_urls)

    return Monitoring(metrics, Readiness({"master": is_some_master_ready}, clock), token)


def _of_memory(buffers: BufferPool, small_chunks: SmallChunks, bound_bytes: int) -> Iterator[Metric]:
    yield gauge("dfs_gateway_buffers", "Chunk buffers of all transfers together", buffers.count)
    yield gauge("dfs_gateway_buffers_in_use", "Chunk buffers that transfers hold", buffers.used)
    yield gauge("dfs_gateway_buffer_bytes", "Size of a chunk buffer", buffers.size_bytes)
    yield gauge("dfs_gateway_small_chunk_bytes", "Memory taken by small chunks read lately", small_chunks.used_bytes)
    yield gauge("dfs_gateway_memory_bound_bytes", "Most memory that the gateway takes, by its settings", bound_bytes)


def _of_transfers(uploads: UploadService, downloads: DownloadService) -> Iterator[Metric]:
    open_uploads = uploads.begun.value - uploads.ended.value
    yield gauge("dfs_gateway_uploads_open", "Uploads under way", open_uploads)
    replicas = "Replicas that workers did not give or take, by error code"
    label = ("code",)
    yield counters("dfs_gateway_replica_reads_failed", replicas, label, downloads.failures.rows())
    yield counters("dfs_gateway_replica_writes_failed", replicas, label, uploads.replicator.failures.rows())
