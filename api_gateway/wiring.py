"""How the gateway is put together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from api_gateway.access.audit import Audit
from api_gateway.access.gate import Gate
from api_gateway.access.key_cache import KeyCache
from api_gateway.access.links import Links
from api_gateway.access.sessions import Sessions
from api_gateway.access.signing import Signer
from api_gateway.admission import Admission, UploadLimits
from api_gateway.app import create_app
from api_gateway.archive.service import ArchiveService
from api_gateway.avoidance import Avoidance
from api_gateway.buffers import BufferPool
from api_gateway.checksums import ChecksumService
from api_gateway.cross_origin import CrossOrigin
from api_gateway.downloads import DownloadService
from api_gateway.memory import memory_bound_bytes
from api_gateway.metrics import monitor_gateway
from api_gateway.replication import Replicator
from api_gateway.resumable.service import ResumableService
from api_gateway.routes.answers import GatewayServices
from api_gateway.routes.keys import AccessServices
from api_gateway.small_chunks import SmallChunks
from api_gateway.stragglers import Stragglers
from api_gateway.uploads import UploadService
from common.auth import ClusterSecret
from common.clock import Clock, SystemClock
from common.config import Config
from common.failed_sign_ins import FailedSignIns
from common.http import HttpPool
from common.logs import open_audit_log, open_log
from common.master_client import MasterClient
from common.serving import Service
from common.settings import MIB, GatewaySettings
from common.worker_client import WorkerClient


def build_gateway(config: Config, node_id: str) -> Service:
    """Wire the gateway."""
    clock = SystemClock()
    settings, chunk_size = config.gateway, config.cluster.chunk_size_bytes
    log = open_log(node_id, config.log_dir(node_id), "gateway.log", config.cluster, clock)
    pool = HttpPool.of(config)
    master_urls = config.master_urls()
    masters = MasterClient(
        pool,
        list(master_urls.values()),
        clock,
        timeout_seconds=settings.master_timeout_seconds,
        deadline_seconds=settings.master_deadline_seconds,
    )
    workers = WorkerClient(pool, timeout_seconds=settings.worker_timeout_seconds)
    buffers = BufferPool(settings.buffer_count, chunk_size, settings.buffer_wait_seconds)
    small_chunks = SmallChunks(settings.small_chunk_bytes)
    avoidance = Avoidance(clock, settings.avoid_seconds)
    # A thread for every replica of every buffer, and one to hash it: no chunk waits for one that a silent worker holds.
    # An upload may ask for as many replicas as there are workers.
    executor = ThreadPoolExecutor(settings.buffer_count * (len(config.workers) + 1), "transfer")
    stragglers = Stragglers(clock, settings.straggler_seconds, 2 * settings.buffer_count)
    replicator = Replicator(workers, executor, avoidance, clock, log, stragglers)
    admission = Admission(UploadLimits(settings.max_uploads, settings.buffer_wait_seconds, settings.max_file_bytes))
    idle_seconds = min(config.master.upload_idle_seconds, config.master.resumable_idle_seconds)
    keep_alive = min(30.0, idle_seconds / 4)
    window = settings.window_chunks
    uploads = UploadService(
        masters,
        replicator,
        buffers,
        executor,
        clock,
        log,
        window,
        chunk_size,
        keep_alive,
        admission,
        makes_checksums=settings.file_checksum != "none",
    )
    downloads = DownloadService(masters, workers, buffers, executor, avoidance, log, window, small_chunks)
    services = GatewayServices(
        masters=masters,
        uploads=uploads,
        downloads=downloads,
        archives=ArchiveService(masters, downloads, settings.max_archives, settings.buffer_wait_seconds),
        clock=clock,
        max_files_per_request=settings.max_files_per_request,
        resumables=ResumableService(masters, uploads, downloads),
        max_file_bytes=settings.max_file_bytes,
        checksums=ChecksumService(masters, downloads, log),
    )

    bound = memory_bound_bytes(settings, chunk_size)
    monitoring = monitor_gateway(
        masters,
        list(master_urls.values()),
        uploads,
        downloads,
        small_chunks,
        clock,
        memory_bound_bytes=bound,
        token=config.cluster.metrics_token,
    )
    cross_origin = CrossOrigin.of(settings.cors_origins)
    access = build_access(settings, ClusterSecret.of(config.cluster), masters, clock, cross_origin)
    audit = Audit(
        open_audit_log(node_id, config.log_dir(node_id), config.cluster, clock), has_reads=settings.audit_reads
    )

    def start() -> None:
        print(f"{node_id}: takes at most {bound // MIB} MiB of memory, by its settings", flush=True)
        log.info("started", memory_bound_bytes=bound)

    def stop() -> None:
        stragglers.close()
        executor.shutdown(wait=False, cancel_futures=True)
        pool.close()
        log.info("stopped")

    app = create_app(services, access, audit, master_urls, executor, log, monitoring, cross_origin)
    return Service(node_id, app, log, start, stop)


def build_access(
    settings: GatewaySettings,
    secret: ClusterSecret,
    masters: MasterClient,
    clock: Clock,
    cross_origin: CrossOrigin | None = None,
) -> AccessServices:
    """Who may come in."""
    keys = KeyCache(masters, clock, settings.key_cache_seconds)
    sessions = Sessions(Signer(secret.derive_keys("page session")), clock, settings.session_seconds)
    links = Links(Signer(secret.derive_keys("link")), clock, settings.max_link_seconds)
    # Public, and another one as soon as the operator's key is: what was signed for the old one ends.
    operator_id = Signer(secret.derive_keys("operator")).sign(settings.api_key)[:16]
    failures = FailedSignIns(clock, settings.failed_sign_ins_per_minute)
    gate = Gate(settings.api_key, operator_id, keys, sessions, links, failures, cross_origin)
    return AccessServices(gate, keys, sessions, links)
