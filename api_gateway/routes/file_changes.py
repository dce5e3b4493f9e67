"""Changing `/files`: upload forms, delete, restore, rename, by file id; emptying the trash."""

from __future__ import annotations

from api_gateway.receiving import receive_form
from api_gateway.redundancy import read_redundancy
from api_gateway.routes.answers import GatewayServices, file_answer, is_html_form, to_page
from common.calls import Answer, Call, json_answer
from common.edge import Edge
from common.fields import take, take_optional
from common.master_client import MasterClient
from common.records import FileInfo

_TO_TRASH = (("Location", "/trash"), ("Content-Length", "0"))


def add_change_routes(edge: Edge, services: GatewayServices) -> None:
    _add_upload_form(edge, services)
    _add_delete_routes(edge, services.masters)
    _add_move_routes(edge, services.masters)


def _add_upload_form(edge: Edge, services: GatewayServices) -> None:
    @edge.route("POST", "/files")
    def upload_form(call: Call) -> Answer:
        content_type = call.headers.get("Content-Type", "")
        redundancy = read_redundancy(call.headers)
        done = receive_form(
            services.uploads, call.body, content_type, services.max_files_per_request, redundancy, call.permit, call.may
        )
        if is_html_form(call):
            return to_page(done[0].file.path)
        if len(done) == 1:
            return file_answer(done[0].file, 201)
        return json_answer({"files": [committed.file.to_json() for committed in done]}, 201, [("Location", "/files")])


def _add_delete_routes(edge: Edge, masters: MasterClient) -> None:
    @edge.route("DELETE", "/files/<file_id>")
    def delete_file(call: Call, file_id: str) -> Answer:
        return file_answer(_delete(masters, call, file_id, call.headers.get("If-Match")))

    @edge.route("POST", "/files/<file_id>/delete")
    def delete_by_form(call: Call, file_id: str) -> Answer:
        """The same for an HTML form, which knows only GET and POST."""
        deleted = _delete(masters, call, file_id)
        return to_page(deleted.path) if is_html_form(call) else file_answer(deleted)

    @edge.route("POST", "/trash/empty")
    def empty_trash(call: Call) -> Answer:
        """A part of it, at most about a second's work; to be repeated while there is more."""
        body = {} if is_html_form(call) else call.json()
        prefix = take_optional(body, "prefix", str)
        if prefix is None:
            prefix = call.actor.prefix if call.actor is not None else ""
        call.permit(prefix)
        emptied = masters.empty_trash(prefix)
        call.about = emptied
        return Answer(303, list(_TO_TRASH)) if is_html_form(call) else json_answer(emptied)


def _add_move_routes(edge: Edge, masters: MasterClient) -> None:
    @edge.route("POST", "/files/<file_id>/restore")
    def restore_file(call: Call, file_id: str) -> Answer:
        """Out of the trash; or with {"version": n} an old version, with {"path": ...} under another path."""
        body = {} if is_html_form(call) else call.json()
        version, path = take_optional(body, "version", int), take_optional(body, "path", str)
        if path is not None:
            call.permit(path)
        restored = masters.restore_file(file_id, version, path, _bound_path(masters, call, file_id))
        call.subjects += (restored.path,)
        call.about = {"version": restored.version if version is None else version}
        return to_page(restored.path) if is_html_form(call) else file_answer(restored)

    @edge.route("PATCH", "/files/<file_id>")
    def rename_file(call: Call, file_id: str) -> Answer:
        path = take(call.json(), "path", str)
        call.permit(path)
        # Also for who may change all paths: the audit log says what was moved where.
        from_path = _path_of(masters, call, file_id)
        condition = from_path if _is_bound(call) else None
        return file_answer(masters.rename_file(file_id, path, call.headers.get("If-Match"), condition))


def _delete(masters: MasterClient, call: Call, file_id: str, if_match: str | None = None) -> FileInfo:
    is_permanent = call.flag("permanent")
    call.about = {"is_permanent": is_permanent}
    deleted = masters.delete_file(file_id, is_permanent, if_match, _bound_path(masters, call, file_id))
    call.subjects += (deleted.path,)
    return deleted


def _bound_path(masters: MasterClient, call: Call, file_id: str) -> str | None:
    """Where the file is, for one who may change some paths only: the change is then made only while it is there.

    Nobody else pays for the look.
    """
    return _path_of(masters, call, file_id) if _is_bound(call) else None


def _path_of(masters: MasterClient, call: Call, file_id: str) -> str:
    """Where the file is, if whoever asks may deal with it there."""
    path = masters.find_file(file_id).file.path
    call.permit(path)
    return path


def _is_bound(call: Call) -> bool:
    """Whether whoever asks may deal with some paths only."""
    return call.actor is None or bool(call.actor.prefix)
