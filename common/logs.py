"""Structured logs: one JSON object a line, in a folder per node, rotated by size.

An event is a short name plus fields: `log.info("chunk_stored", extra={"fields": {"chunk_id": ...}})`. Errors also go
to stderr as one readable line.
"""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import Any

from common.api_keys import hide_secrets
from common.clock import Clock
from common.request_ids import current_request_id
from common.settings import ClusterSettings

_encode = json.JSONEncoder(ensure_ascii=True, default=str).encode


class EventLog:
    """Where a node writes its events."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **fields: Any) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error with the traceback of the exception being handled."""
        self._logger.error(event, exc_info=True, extra={"fields": fields})

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            # Not Logger.log, which looks up the stack for its caller: half the cost of a line, and the event names it.
            record = logging.LogRecord(self._logger.name, level, "", 0, event, None, None)
            record.fields = fields
            self._logger.handle(record)


def open_log(node_id: str, log_dir: Path, file_name: str, settings: ClusterSettings, clock: Clock) -> EventLog:
    """The log of a node: `log_dir/file_name`, made with its folder where missing. Call once per process and node."""
    file_handler = _file_handler(node_id, log_dir / file_name, settings, clock)
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.ERROR)
    console.setFormatter(_ConsoleFormatter(node_id))
    logger = logging.getLogger(f"dfs.{node_id}")
    logger.setLevel(settings.log_level)
    logger.propagate = False
    logger.handlers = [file_handler, console]
    return EventLog(logger)


def open_audit_log(node_id: str, log_dir: Path, settings: ClusterSettings, clock: Clock) -> EventLog:
    """`log_dir/audit.log`: written and rotated as the node's log, whatever level that has."""
    logger = logging.getLogger(f"dfs.{node_id}.audit")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [_file_handler(node_id, log_dir / "audit.log", settings, clock)]
    return EventLog(logger)


def _file_handler(node_id: str, path: Path, settings: ClusterSettings, clock: Clock) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _SizedFileHandler(
        path, maxBytes=settings.log_max_bytes, backupCount=settings.log_backups, encoding="utf-8"
    )
    handler.setFormatter(_JsonFormatter(node_id, clock))
    return handler


class _SizedFileHandler(logging.handlers.RotatingFileHandler):
    """The library's rotation, with the size counted here: it would format every line twice and stat the file."""

    def _open(self) -> io.TextIOWrapper:
        stream = super()._open()
        self._size_bytes = os.fstat(stream.fileno()).st_size
        return stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # All lines are ASCII: a character is a byte.
            line = self.format(record) + self.terminator
            if self.stream is None:
                self.stream = self._open()
            if self._size_bytes + len(line) > self.maxBytes:
                self.doRollover()
            self._size_bytes += len(line)
            self.stream.write(line)
            self.stream.flush()
        except Exception:  # noqa: BLE001 - as the library does: what is logged must not break what logs
            self.handleError(record)


class _JsonFormatter(logging.Formatter):
    def __init__(self, node_id: str, clock: Clock) -> None:
        super().__init__()
        self._node_id = node_id
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": self._clock.timestamp(),
            "level": record.levelname,
            "node": self._node_id,
            "event": record.msg,
        }
        if request_id := current_request_id():
            entry["request_id"] = request_id
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return hide_secrets(_encode(entry))


class _ConsoleFormatter(logging.Formatter):
    def __init__(self, node_id: str) -> None:
        super().__init__()
        self._node_id = node_id

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value!r}" for name, value in getattr(record, "fields", {}).items())
        line = f"{self._node_id}: {record.levelname.lower()}: {record.getMessage()} {fields}".rstrip()
        return hide_secrets(line + ("\n" + self.formatException(record.exc_info) if record.exc_info else ""))
