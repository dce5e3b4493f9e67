"""The master's Flask app: routes onto the services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flask import Flask, Response, jsonify, request

from common.auth import ClusterSecret
from common.edge import install_edge, json_body, query_flag, query_number
from common.errors import InvalidRequest, VersionUnknown, WorkerUnknown
from common.logs import EventLog
from common.master_client import Located
from common.records import Checksum, Heartbeat, StoredChunk, is_version_id, take, take_objects
from master_node.catalog import MAX_CHUNK_PAGE, Catalog, Expected
from master_node.commit import CommitRequest, Committer
from master_node.election import Election
from master_node.listing import DEFAULT_LIMIT, MAX_LIMIT, ListingQuery
from master_node.membership import Membership
from master_node.model import ACTIVE, DELETED, Preconditions
from master_node.report import ClusterReport
from master_node.uploads import Uploads


@dataclass(frozen=True)
class MasterServices:
    """Everything that the routes call."""

    uploads: Uploads
    committer: Committer
    catalog: Catalog
    membership: Membership
    election: Election
    report: ClusterReport
    knows_worker: Callable[[str], bool]


def create_app(
    node_id: str, services: MasterServices, secret: ClusterSecret, log: EventLog, silence_seconds: float
) -> Flask:
    """Everything a master answers; nothing is started."""
    app = Flask(node_id)
    install_edge(app, log, silence_seconds, secret)
    _add_upload_routes(app, services, log)
    _add_file_routes(app, services)
    _add_cluster_routes(app, services)
    return app


def _add_upload_routes(app: Flask, services: MasterServices, log: EventLog) -> None:
    @app.post("/uploads")
    def open_upload() -> tuple[Response, int]:
        body = json_body(request)
        opened = services.uploads.open(
            _optional(body, "path", str),
            _optional(body, "replication_factor", int),
            take(body, "place", int),
        )
        return jsonify(asdict(opened)), 201

    @app.post("/uploads/<upload_id>/chunks")
    def record_chunks(upload_id: str) -> Response:
        body = json_body(request)
        opened = services.uploads.record(
            upload_id, _chunks(body), take(body, "place_from", int), take(body, "place", int)
        )
        return jsonify(asdict(opened))

    @app.post("/uploads/<upload_id>/commit")
    def commit_upload(upload_id: str) -> Response:
        body = json_body(request)
        file, is_new = services.committer.commit(
            upload_id,
            CommitRequest(
                path=take(body, "path", str),
                content_type=take(body, "content_type", str),
                size=take(body, "size", int),
                chunk_count=take(body, "chunk_count", int),
                checksum=Checksum.from_json(take(body, "checksum", dict)),
                chunks=_chunks(body),
                preconditions=Preconditions(_optional(body, "if_match", str), _optional(body, "if_none_match", str)),
            ),
        )
        log.info("committed", upload_id=upload_id, file_id=file.file_id, path=file.path)
        return jsonify(file=file.to_info().to_json(), is_new=is_new)

    @app.delete("/uploads/<upload_id>")
    def abort_upload(upload_id: str) -> Response:
        services.uploads.abort(upload_id)
        return jsonify(upload_id=upload_id)


def _add_file_routes(app: Flask, services: MasterServices) -> None:
    @app.get("/files")
    def list_files() -> Response:
        status = request.args.get("status", ACTIVE)
        if status not in (ACTIVE, DELETED):
            raise InvalidRequest(f"the parameter 'status' must be {ACTIVE} or {DELETED}, not {status!r}")
        query = ListingQuery(
            prefix=request.args.get("prefix", ""),
            delimiter=request.args.get("delimiter", ""),
            limit=query_number(request, "limit", DEFAULT_LIMIT, MAX_LIMIT, minimum=1),
            cursor=request.args.get("cursor", ""),
            status=status,
        )
        return jsonify(services.catalog.list(query))

    @app.get("/paths")
    def find_path() -> Response:
        return _located(services.catalog.find_path(request.args.get("path", ""), _chunk_limit()))

    @app.get("/files/<file_id>")
    def find_file(file_id: str) -> Response:
        return _located(services.catalog.find(file_id, _chunk_limit()))

    @app.delete("/files/<file_id>")
    def delete_file(file_id: str) -> Response:
        expected = Expected(request.args.get("if_match"), request.args.get("path"))
        return jsonify(services.catalog.delete(file_id, query_flag(request, "permanent"), expected).to_json())

    @app.post("/files/<file_id>/restore")
    def restore_file(file_id: str) -> Response:
        body = json_body(request)
        restored = services.catalog.restore(file_id, _optional(body, "version", int), _optional(body, "path", str))
        return jsonify(restored.to_json())

    @app.patch("/files/<file_id>")
    def rename_file(file_id: str) -> Response:
        body = json_body(request)
        expected = Expected(_optional(body, "if_match", str))
        return jsonify(services.catalog.rename(file_id, take(body, "path", str), expected).to_json())

    @app.get("/versions/<version_id>/chunks")
    def list_chunks(version_id: str) -> Response:
        if not is_version_id(version_id):
            raise VersionUnknown("a version id is 32 hexadecimal digits")
        start = query_number(request, "start", 0, 2**32)
        limit = query_number(request, "limit", MAX_CHUNK_PAGE, MAX_CHUNK_PAGE, minimum=1)
        return jsonify(chunks=[asdict(chunk) for chunk in services.catalog.list_chunks(version_id, start, limit)])


def _add_cluster_routes(app: Flask, services: MasterServices) -> None:
    @app.post("/heartbeat/<worker_id>")
    def receive_heartbeat(worker_id: str) -> Response:
        if not services.knows_worker(worker_id):
            raise WorkerUnknown(f"{worker_id} is not in this master's configuration", worker_id=worker_id)
        services.membership.receive(worker_id, Heartbeat.from_json(json_body(request)))
        return jsonify(worker_id=worker_id, epoch=services.election.leadership().epoch)

    @app.get("/current_leader")
    def current_leader() -> Response:
        return jsonify(asdict(services.election.leadership()))

    @app.get("/cluster")
    def cluster() -> Response:
        return jsonify(services.report.to_json())


def _chunk_limit() -> int:
    return query_number(request, "chunks", 0, MAX_CHUNK_PAGE)


def _located(located: Located) -> Response:
    return jsonify(file=located.file.to_json(), chunks=[asdict(chunk) for chunk in located.chunks])


def _chunks(body: Mapping[str, Any]) -> tuple[StoredChunk, ...]:
    return tuple(StoredChunk.from_json(item) for item in take_objects(body, "chunks"))


def _optional(body: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    return None if body.get(name) is None else take(body, name, kind)
