"""What was done with the chunks of one disk since the worker started."""

from __future__ import annotations

from dataclasses import dataclass, field

from common.metrics import Count


@dataclass(frozen=True)
class ChunkCounts:
    """written: whole chunks. read: by others, whole or in part. corrupt: found damaged and put into quarantine."""

    written: Count = field(default_factory=Count)
    read: Count = field(default_factory=Count)
    corrupt: Count = field(default_factory=Count)
