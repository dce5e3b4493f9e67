"""Logs that tests hand to what they build."""

from __future__ import annotations

import logging

from common.logs import EventLog


class Events(logging.Handler):
    """Keeps what was logged: names of events in `names`, with their fields in `entries`."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.entries: list[tuple[str, dict[str, object]]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.entries.append((record.getMessage(), dict(getattr(record, "fields", {}))))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.entries]


def recording_log() -> tuple[EventLog, Events]:
    """A log that writes nowhere, and what was logged to it."""
    events = Events()
    logger = logging.Logger("dfs.test", logging.DEBUG)
    logger.addHandler(events)
    return EventLog(logger), events
