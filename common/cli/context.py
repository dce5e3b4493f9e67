"""What every command is given."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO

from common.cli.console import Console
from common.cli.failures import Interrupted
from common.cli.gateway import Gateway
from common.clock import Clock


@dataclass
class Context:
    """The gateway, the streams, the clock; `stop` is set when threads are to end their work.

    uploads_folder: where interrupted uploads are noted; None: nowhere.
    """

    gateway: Gateway
    console: Console
    clock: Clock
    answers: TextIO
    input: BinaryIO
    output: BinaryIO
    uploads_folder: Path | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise Interrupted when the work is to end."""
        if self.stop.is_set():
            raise Interrupted("interrupted")
