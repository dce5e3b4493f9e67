"""How a master is put together."""

from __future__ import annotations

import random
from dataclasses import dataclass

from common.auth import ClusterSecret
from common.clock import Clock, SystemClock
from common.config import Config, load_config
from common.errors import DFSError
from common.http import HttpPool
from common.logs import EventLog, open_log
from common.serving import Service
from common.worker_client import WorkerClient
from master_node.app import MasterServices, create_app
from master_node.bad_replicas import BadReplicas
from master_node.catalog import Catalog
from master_node.cluster_routes import ClusterServices
from master_node.commit import Committer
from master_node.copying import Copier
from master_node.departed import Departed
from master_node.drain import Drain
from master_node.election import Election
from master_node.fsck.job import Fsck
from master_node.garbage import GarbageCollector
from master_node.inventory import Inventory
from master_node.job_board import JobBoard, RequestedFsck
from master_node.jobs import Job, JobRunner
from master_node.keys import Keys
from master_node.lost import Strike
from master_node.membership import Membership
from master_node.metrics import monitor_master
from master_node.quotas.ledger import Ledger
from master_node.quotas.recount import RecountQuotas
from master_node.rebalance import Rebalance
from master_node.recovery.hold import HeldBack, Hold
from master_node.release import Release
from master_node.repair import Repair
from master_node.report import ClusterReport
from master_node.resumables import Resumables
from master_node.roster import Roster
from master_node.store.base import MetadataStore
from master_node.store.sqlite import SqliteStore
from master_node.store.timed import Operations, timed
from master_node.trash import Trash
from master_node.trim import Trim
from master_node.uploads import Uploads
from master_node.watch import Watch

ORDER_TIMEOUT_SECONDS = 10.0
GARBAGE_LANES = 8


@dataclass(frozen=True)
class _Parts:
    """What jobs and routes are made of."""

    config: Config
    clock: Clock
    rng: random.Random
    log: EventLog
    store: MetadataStore
    election: Election
    roster: Roster
    membership: Membership
    ledger: Ledger
    committer: Committer
    workers: WorkerClient
    copier: Copier
    trash: Trash


def build_master(config: Config, master_id: str) -> Service:
    """Wire the master `master_id`; raises KeyError when the configuration does not know it."""
    if master_id not in config.masters:
        raise KeyError(master_id)
    settings = config.master
    log = open_log(master_id, config.log_dir(master_id), "master.log", config.cluster, SystemClock())
    pool, operations = HttpPool.of(config), Operations()
    store = timed(open_store(config), operations)
    parts = _make_parts(config, master_id, log, pool, store)
    election = parts.election
    runner = JobRunner(_make_jobs(parts), store, election, parts.clock, log, settings.job_interval_seconds)
    interval_seconds = min(settings.lease_seconds / 4, 1.0)
    watch = Watch(election, parts.membership, parts.roster, runner.wake, log, interval_seconds)

    def start() -> None:
        watch.start()
        runner.start()
        log.info("started", store="mongodb" if config.cluster.mongo_uri else "sqlite")

    def stop() -> None:
        runner.stop()
        parts.copier.stop()
        parts.trash.stop()
        watch.stop()
        try:
            election.resign()
        except DFSError as error:
            log.warning("lease_not_given_back", error=error.detail)
        pool.close()
        store.close()
        log.info("stopped")

    monitoring = monitor_master(
        store,
        operations,
        election,
        parts.membership,
        parts.roster.worker_ids,
        runner,
        parts.clock,
        lease_seconds=settings.lease_seconds,
        token=config.cluster.metrics_token,
    )
    app = create_app(master_id, _make_services(parts, runner), ClusterSecret.of(config.cluster), log, monitoring)
    return Service(master_id, app, log, start, stop)


def _make_parts(config: Config, master_id: str, log: EventLog, pool: HttpPool, store: MetadataStore) -> _Parts:
    clock, settings = SystemClock(), config.master
    election = Election(master_id, store, clock, settings.lease_seconds)
    roster = Roster(config, lambda: load_config(config.home), log)
    ledger = Ledger(store, election, clock)
    workers = WorkerClient(pool, timeout_seconds=ORDER_TIMEOUT_SECONDS)
    return _Parts(
        config=config,
        clock=clock,
        rng=random.Random(),
        log=log,
        store=store,
        election=election,
        roster=roster,
        membership=Membership(store, clock, settings, election.seen_clock_seconds, roster.worker_ids),
        ledger=ledger,
        committer=Committer(store, election, settings, clock, ledger),
        workers=workers,
        copier=Copier(workers, settings, clock),
        trash=Trash(store, election, ledger, clock),
    )


def _make_jobs(parts: _Parts) -> list[Job]:
    """The leader's jobs, in the order in which they are listed."""
    store, membership, election, clock, log = parts.store, parts.membership, parts.election, parts.clock, parts.log
    workers, copier, rng, settings = parts.workers, parts.copier, parts.rng, parts.config.master
    strike = Strike(store, membership, log)
    repair = Repair(store, membership, election, clock, log, copier, rng, strike)
    hold = Hold(store)
    garbage = GarbageCollector(
        store,
        membership,
        election,
        parts.committer,
        workers,
        settings,
        clock,
        log,
        lambda name: name in parts.roster,
        copier.claims,
        GARBAGE_LANES,
    )
    return [
        strike,
        repair,
        Trim(store, membership),
        HeldBack(Release(store, membership, election, workers, log, copier), hold),
        Inventory(store, membership, election, workers, settings, clock, log, hold.is_held),
        Drain(store, membership, election, clock, log, copier, rng, repair),
        Rebalance(store, membership, election, settings, clock, log, copier, rng),
        HeldBack(garbage, hold),
        Departed(store, membership, log),
        RecountQuotas(store, election, settings.lease_seconds),
        RequestedFsck(Fsck(store, membership, workers, clock, log), store),
    ]


def _make_services(parts: _Parts, runner: JobRunner) -> MasterServices:
    store, membership, election = parts.store, parts.membership, parts.election
    clock, roster = parts.clock, parts.roster
    config, ledger, rng = parts.config, parts.ledger, parts.rng
    board = JobBoard(store, membership)
    uploads = Uploads(store, membership, election, config.cluster, clock, rng, roster.worker_ids, ledger)
    catalog = Catalog(store, membership, election, config.master, clock, rng, ledger)
    return MasterServices(
        uploads=uploads,
        ledger=ledger,
        committer=parts.committer,
        resumables=Resumables(store, election, config.master, uploads, parts.committer, ledger, locate=catalog.locate),
        catalog=catalog,
        trash=parts.trash,
        cluster=ClusterServices(
            roster=roster,
            membership=membership,
            bad_replicas=BadReplicas(store, parts.log),
            election=election,
            runner=runner,
            jobs=board,
            report=ClusterReport(roster.worker_ids, store, membership, election, board, config.cluster, clock),
        ),
        keys=Keys(store, clock),
    )


def open_store(config: Config) -> MetadataStore:
    """MongoDB where one is configured, else the embedded SQLite database."""
    if config.cluster.mongo_uri:
        # Here, because the driver takes memory that a cluster on SQLite has no use for.
        from master_node.store.mongo import open_mongo_store

        return open_mongo_store(config.cluster.mongo_uri, config.cluster.mongo_database)
    return SqliteStore(config.sqlite_path())
