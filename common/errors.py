"""Every error that crosses a boundary of the system, as one tree.

DFSError
    InvalidRequest 400          InvalidPath, InvalidForm, IncompleteBody
    Unauthorized 401
    Forbidden 403               CrossSiteRequest, ClusterSecretRejected, RightMissing, OutsidePrefix, LinkRefused,
                                UploadFinished
    NotFound 404                FileUnknown, VersionUnknown, UploadUnknown, ChunkMissing, WorkerUnknown, KeyUnknown,
                                QuotaUnknown
    MethodNotAllowed 405
    Conflict 409                PathTaken, UploadClosed, UploadSealed, OffsetConflict, ChunkConflict, StaleEpoch,
                                AdminNeeded, IncompatibleRelease
    FileDeleted 410
    UploadGone 410
    PreconditionFailed 412      TusVersionUnsupported
    TooLarge 413                LargerThanQuota
    UnsupportedMediaType 415    NoPreview
    RangeNotSatisfiable 416
    ChunkCorrupt 422
    UploadTakenOver 423
    TooManyRequests 429         TooManySignIns
    ChecksumMismatch 460
    InternalError 500
    ChunkLost 500
    PeerUnreachable 502
    Unavailable 503             MetadataUnavailable, NoMasterAnswers, NotEnoughWorkers, QuorumNotReached,
                                ChunkUnavailable, GatewayBusy, WorkerBusy, TooManyVersions, DiskFailed
    InsufficientStorage 507     DiskFull, ClusterFull, QuotaExceeded

The HTTP edge turns an error into RFC 9457 `application/problem+json`; the client side turns that back into the same
class by its `code`. A code never changes once released.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

_BY_CODE: dict[str, type[DFSError]] = {}
_RESERVED_MEMBERS = frozenset({"type", "title", "status", "detail", "code", "instance", "request_id"})


class CannotStart(Exception):
    """A service refuses to start; the message is one line for the operator. It never crosses the network."""


class DFSError(Exception):
    """An error with a stable code; `detail` says what happened, `context` are fields a program can read."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Error"
    is_retryable: ClassVar[bool] = False

    def __init__(self, detail: str = "", /, **context: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.context = context

    def __init_subclass__(cls) -> None:
        _BY_CODE[cls.code] = cls

    def to_problem(self) -> dict[str, Any]:
        """The body of the answer, RFC 9457 section 3; `type` is left at its default about:blank."""
        return {**self.context, "title": self.title, "status": self.status, "detail": self.detail, "code": self.code}


class InvalidRequest(DFSError):
    status, code, title = 400, "invalid_request", "The request is not valid"


class InvalidPath(InvalidRequest):
    code, title = "invalid_path", "The path is not allowed"


class InvalidForm(InvalidRequest):
    code, title = "invalid_form", "The form is not valid multipart/form-data"


class IncompleteBody(InvalidRequest):
    code, title = "incomplete_body", "The body ended before it was complete"


class Unauthorized(DFSError):
    status, code, title = 401, "unauthorized", "This client may not use the gateway"


class Forbidden(DFSError):
    status, code, title = 403, "forbidden", "Not allowed"


class CrossSiteRequest(Forbidden):
    code, title = "cross_site_request", "A page of another site may not change files"


class ClusterSecretRejected(Forbidden):
    code, title = "cluster_secret_rejected", "The request is not signed with this cluster's secret"


class RightMissing(Forbidden):
    code, title = "right_missing", "The key does not have the right"


class OutsidePrefix(Forbidden):
    code, title = "outside_prefix", "The key is bound to other paths"


class LinkRefused(Forbidden):
    code, title = "link_refused", "The link is not valid, or not any more"


class UploadFinished(Forbidden):
    code, title = "upload_finished", "The upload is finished and takes no more bytes"


class NotFound(DFSError):
    status, code, title = 404, "not_found", "There is nothing at this address"


class FileUnknown(NotFound):
    code, title = "file_not_found", "There is no such file"


class VersionUnknown(NotFound):
    code, title = "version_not_found", "The file has no such version"


class UploadUnknown(NotFound):
    code, title = "upload_not_found", "There is no such upload"


class ChunkMissing(NotFound):
    code, title = "chunk_not_found", "This worker does not hold the chunk"


class WorkerUnknown(NotFound):
    code, title = "worker_not_found", "There is no such worker in the configuration"


class QuotaUnknown(NotFound):
    code, title = "quota_not_found", "There is no quota of this prefix"


class KeyUnknown(NotFound):
    code, title = "key_not_found", "There is no such key"


class MethodNotAllowed(DFSError):
    status, code, title = 405, "method_not_allowed", "The address does not take this method"


class Conflict(DFSError):
    status, code, title = 409, "conflict", "The request conflicts with the present state"


class PathTaken(Conflict):
    code, title = "path_taken", "Another file has this path"


class UploadClosed(Conflict):
    code, title = "upload_closed", "The upload was aborted and takes no more chunks"


class UploadSealed(Conflict):
    code, title = "upload_sealed", "The upload has all its bytes and takes no more"


class OffsetConflict(Conflict):
    """context: `offset`, up to which the upload has its bytes."""

    code, title = "offset_conflict", "The upload goes on at another offset"


class ChunkConflict(Conflict):
    code, title = "chunk_conflict", "The chunk exists with other bytes; chunks never change"


class StaleEpoch(Conflict):
    code, title = "stale_epoch", "The order comes from a leader that has been replaced"


class IncompatibleRelease(Conflict):
    code, title = "incompatible_release", "The two nodes' releases do not understand each other"


class AdminNeeded(Conflict):
    code, title = "admin_needed", "Nobody could make or revoke keys afterwards"


class FileDeleted(DFSError):
    status, code, title = 410, "file_deleted", "The file is in the trash"


class UploadGone(DFSError):
    status, code, title = 410, "upload_gone", "The upload was terminated, or has expired"


class PreconditionFailed(DFSError):
    status, code, title = 412, "precondition_failed", "A condition of the request does not hold"


class TusVersionUnsupported(PreconditionFailed):
    code, title = "tus_version_unsupported", "The client speaks another version of the tus protocol"


class TooLarge(DFSError):
    status, code, title = 413, "too_large", "The request is larger than allowed"


class LargerThanQuota(TooLarge):
    code, title = "larger_than_quota", "The file alone is larger than a quota allows"


class UnsupportedMediaType(DFSError):
    status, code, title = 415, "unsupported_media_type", "The body has a media type that is not taken here"


class NoPreview(UnsupportedMediaType):
    code, title = "no_preview", "Files of this kind cannot be shown"


class RangeNotSatisfiable(DFSError):
    status, code, title = 416, "range_not_satisfiable", "The range lies outside the file"


class ChunkCorrupt(DFSError):
    status, code, title = 422, "chunk_corrupt", "The bytes do not match their checksum"


class UploadTakenOver(DFSError):
    status, code, title = 423, "upload_taken_over", "Another request goes on with the upload"


class TooManyRequests(DFSError):
    """context: may say `retry_after_seconds`."""

    status, code, title, is_retryable = 429, "too_many_requests", "Too many requests", True


class TooManySignIns(TooManyRequests):
    code, title = "too_many_sign_ins", "Too many failed sign-ins from this address"


class ChecksumMismatch(DFSError):
    """The status is that of tus, which has one of its own for this."""

    status, code, title = 460, "checksum_mismatch", "The bytes do not match the checksum that came with them"


class InternalError(DFSError):
    status, code, title = 500, "internal_error", "An unexpected error; the log has the details"


class ChunkLost(DFSError):
    status, code, title = 500, "chunk_lost", "No good replica of a chunk is left where there was one"


class PeerUnreachable(DFSError):
    status, code, title, is_retryable = 502, "peer_unreachable", "Another service did not answer", True


class Unavailable(DFSError):
    status, code, title, is_retryable = 503, "unavailable", "The service cannot answer now", True


class MetadataUnavailable(Unavailable):
    code, title = "metadata_unavailable", "The metadata database does not answer"


class NoMasterAnswers(Unavailable):
    code, title = "no_master_answers", "No master answered in time"


class NotEnoughWorkers(Unavailable):
    code, title = "not_enough_workers", "Too few workers are alive for the write quorum"


class QuorumNotReached(Unavailable):
    code, title = "quorum_not_reached", "Too few workers stored the chunk"


class ChunkUnavailable(Unavailable):
    code, title = "chunk_unavailable", "No replica of a chunk can be read now"


class GatewayBusy(Unavailable):
    code, title = "gateway_busy", "The gateway serves as many transfers as its memory allows"


class TooManyVersions(Unavailable):
    code, title = "too_many_versions", "The file is overwritten faster than old versions are freed"


class WorkerBusy(Unavailable):
    code, title = "worker_busy", "The worker moves as many chunks as its memory allows"


class DiskFailed(Unavailable):
    code, title = "disk_failed", "The worker's disk refuses the operation"


class InsufficientStorage(DFSError):
    status, code, title = 507, "insufficient_storage", "There is no room"


class DiskFull(InsufficientStorage):
    code, title = "disk_full", "The worker's disk is at its reserve"


class ClusterFull(InsufficientStorage):
    code, title = "cluster_full", "Too few workers have room for another chunk"


class QuotaExceeded(InsufficientStorage):
    code, title = "quota_exceeded", "A quota leaves no room for this"


def error_codes() -> Mapping[str, type[DFSError]]:
    """Every code with its class."""
    return dict(_BY_CODE)


def error_from_problem(status: int, problem: Mapping[str, Any]) -> DFSError:
    """Rebuild the exception that a peer answered with.

    An unknown code (a newer peer, a proxy in between) becomes InternalError for 5xx and InvalidRequest otherwise.
    """
    known = _BY_CODE.get(str(problem.get("code")))
    fallback: type[DFSError] = InternalError if status >= 500 else InvalidRequest
    detail = str(problem.get("detail") or f"HTTP status {status}")
    context = {str(name): value for name, value in problem.items() if name not in _RESERVED_MEMBERS}
    return (known or fallback)(detail, **context)
