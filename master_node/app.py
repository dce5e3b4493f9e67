"""The master's Flask app: routes onto the services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask

from common.auth import ClusterSecret
from common.calls import Answer, Call, json_answer
from common.edge import Edge, internal_edge
from common.errors import InvalidRequest, VersionUnknown
from common.fields import take, take_objects, take_optional
from common.logs import EventLog
from common.master_client import Located, MapPart
from common.monitoring import Monitoring
from common.openapi.build import build_document
from common.openapi.service import add_document_route
from common.records import Checksum, StoredChunk, is_version_id, take_checksum
from common.resumables import NewResumable
from master_node.catalog import MAX_CHUNK_PAGE, Catalog, Expected, read_level
from master_node.cluster_routes import ClusterServices, add_cluster_routes
from master_node.commit import CommitRequest, Committer
from master_node.key_routes import add_key_routes
from master_node.keys import Keys
from master_node.listing import DEFAULT_LIMIT, MAX_LIMIT, ListingQuery
from master_node.model import ACTIVE, DELETED, Preconditions
from master_node.openapi.description import DESCRIPTION
from master_node.quota_routes import add_quota_routes
from master_node.quotas.ledger import Ledger
from master_node.resumable_routes import add_resumable_routes
from master_node.resumables import Resumables
from master_node.store.base import ReadLevel
from master_node.trash import Trash
from master_node.uploads import Uploads

MAX_VERSION = 2**53


@dataclass(frozen=True)
class MasterServices:
    """Everything that the routes call."""

    uploads: Uploads
    committer: Committer
    resumables: Resumables
    catalog: Catalog
    ledger: Ledger
    trash: Trash
    cluster: ClusterServices
    keys: Keys


def create_app(
    node_id: str,
    services: MasterServices,
    secret: ClusterSecret,
    log: EventLog,
    monitoring: Monitoring | None = None,
) -> Flask:
    """Everything a master answers; nothing is started."""
    # No files: Flask would serve a folder named "static" below the present one.
    app = Flask(node_id, static_folder=None)
    edge = internal_edge(app, log, secret, monitoring)
    _add_upload_routes(edge, services, log)
    add_resumable_routes(edge, services.resumables)
    _add_file_routes(edge, services)
    _add_change_routes(edge, services)
    add_quota_routes(edge, services.ledger)
    add_cluster_routes(edge, services.cluster)
    add_key_routes(edge, services.keys)
    add_document_route(edge, build_document(DESCRIPTION))
    return app


def _add_upload_routes(edge: Edge, services: MasterServices, log: EventLog) -> None:
    @edge.route("POST", "/uploads")
    def open_upload(call: Call) -> Answer:
        body = call.json()
        resumable = take_optional(body, "resumable", dict)
        opened = services.uploads.open(
            take_optional(body, "path", str),
            take_optional(body, "replication_factor", int),
            take(body, "place", int),
            take_optional(body, "consistency", str),
            take_optional(body, "size_bytes", int),
            NewResumable.from_json(resumable) if resumable is not None else None,
        )
        return json_answer(opened.to_json(), 201)

    @edge.route("POST", "/uploads/<upload_id>/chunks")
    def record_chunks(call: Call, upload_id: str) -> Answer:
        body = call.json()
        chunks, place_from, place = _chunks(body), take(body, "place_from", int), take(body, "place", int)
        attempt = take_optional(body, "attempt", int)
        if attempt is None:
            opened = services.uploads.record(upload_id, chunks, place_from, place)
        else:
            opened = services.resumables.record(upload_id, attempt, chunks, place_from, place)
        return json_answer(opened.to_json())

    @edge.route("POST", "/uploads/<upload_id>/commit")
    def commit_upload(call: Call, upload_id: str) -> Answer:
        body = call.json()
        attempt = take_optional(body, "attempt", int)
        if body.get("sealed") is True:
            file, is_new = services.resumables.commit_sealed(upload_id)
        elif attempt is None:
            file, is_new = services.committer.commit(upload_id, _commit_request(body))
        else:
            file, is_new = services.resumables.commit(upload_id, attempt, _commit_request(body))
        log.info("committed", upload_id=upload_id, file_id=file.file_id, path=file.path)
        return json_answer({"file": file.to_info().to_json(), "is_new": is_new})

    @edge.route("DELETE", "/uploads/<upload_id>")
    def abort_upload(_call: Call, upload_id: str) -> Answer:
        services.resumables.abort(upload_id)
        return json_answer({"upload_id": upload_id})


def _add_file_routes(edge: Edge, services: MasterServices) -> None:
    @edge.route("GET", "/files")
    def list_files(call: Call) -> Answer:
        status = call.query.get("status", ACTIVE)
        if status not in (ACTIVE, DELETED):
            raise InvalidRequest(f"the parameter 'status' must be {ACTIVE} or {DELETED}, not {status!r}")
        order = call.query.get("order", "asc")
        if order not in ("asc", "desc"):
            raise InvalidRequest(f"the parameter 'order' must be asc or desc, not {order!r}")
        query = ListingQuery(
            prefix=call.query.get("prefix", ""),
            delimiter=call.query.get("delimiter", ""),
            limit=call.number("limit", DEFAULT_LIMIT, MAX_LIMIT, minimum=1),
            cursor=call.query.get("cursor", ""),
            status=status,
            until=call.query.get("until", ""),
            is_reverse=order == "desc",
        )
        return json_answer(services.catalog.list(query, _level(call)))

    @edge.route("GET", "/paths")
    def find_path(call: Call) -> Answer:
        return _located(services.catalog.find_path(call.query.get("path", ""), _map_part(call), _level(call)))

    @edge.route("GET", "/files/<file_id>")
    def find_file(call: Call, file_id: str) -> Answer:
        version = call.number("version", 0, MAX_VERSION, minimum=1) or None
        return _located(services.catalog.find(file_id, _map_part(call), _level(call), version))

    @edge.route("GET", "/versions/<version_id>/chunks")
    def list_chunks(call: Call, version_id: str) -> Answer:
        if not is_version_id(version_id):
            raise VersionUnknown("a version id is 32 hexadecimal digits")
        start = call.number("start", 0, 2**32)
        limit = call.number("limit", MAX_CHUNK_PAGE, MAX_CHUNK_PAGE, minimum=1)
        chunks = services.catalog.list_chunks(version_id, start, limit, _level(call))
        return json_answer({"chunks": [chunk.to_json() for chunk in chunks]})


def _add_change_routes(edge: Edge, services: MasterServices) -> None:
    @edge.route("DELETE", "/files/<file_id>")
    def delete_file(call: Call, file_id: str) -> Answer:
        expected = Expected(call.query.get("if_match"), call.query.get("path"))
        return json_answer(services.catalog.delete(file_id, call.flag("permanent"), expected).to_json())

    @edge.route("POST", "/files/<file_id>/restore")
    def restore_file(call: Call, file_id: str) -> Answer:
        body = call.json()
        expected = Expected(path=take_optional(body, "from_path", str))
        restored = services.catalog.restore(
            file_id, take_optional(body, "version", int), take_optional(body, "path", str), expected
        )
        return json_answer(restored.to_json())

    @edge.route("PATCH", "/files/<file_id>")
    def rename_file(call: Call, file_id: str) -> Answer:
        body = call.json()
        expected = Expected(take_optional(body, "if_match", str), take_optional(body, "from_path", str))
        return json_answer(services.catalog.rename(file_id, take(body, "path", str), expected).to_json())

    @edge.route("POST", "/files/<file_id>/checksum")
    def record_checksum(call: Call, file_id: str) -> Answer:
        body = call.json()
        checksum = Checksum.from_json(take(body, "checksum", dict))
        return json_answer(services.catalog.record_checksum(file_id, take(body, "version_id", str), checksum).to_json())

    @edge.route("POST", "/trash/empty")
    def empty_trash(call: Call) -> Answer:
        emptied = services.trash.empty(take(call.json(), "prefix", str))
        return json_answer({"deleted": emptied.deleted, "more": emptied.more})


def _commit_request(body: Mapping[str, Any]) -> CommitRequest:
    return CommitRequest(
        path=take(body, "path", str),
        content_type=take(body, "content_type", str),
        size=take(body, "size", int),
        chunk_count=take(body, "chunk_count", int),
        checksum=take_checksum(body),
        chunks=_chunks(body),
        preconditions=Preconditions(take_optional(body, "if_match", str), take_optional(body, "if_none_match", str)),
    )


def _map_part(call: Call) -> MapPart:
    return MapPart(call.number("start", 0, 2**32), call.number("chunks", 0, MAX_CHUNK_PAGE))


def _level(call: Call) -> ReadLevel:
    return read_level(call.query.get("consistency"))


def _located(located: Located) -> Answer:
    return json_answer({"file": located.file.to_json(), "chunks": [chunk.to_json() for chunk in located.chunks]})


def _chunks(body: Mapping[str, Any]) -> tuple[StoredChunk, ...]:
    return tuple(StoredChunk.from_json(item) for item in take_objects(body, "chunks"))
