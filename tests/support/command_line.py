"""The command line in this process, with streams of its own: what it prints, and its exit status."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.cli.__main__ import main
from common.clock import SystemClock


@dataclass(frozen=True)
class Ran:
    """How a command ended. output: what went to standard output as bytes."""

    status: int
    out: str
    err: str
    output: bytes = b""

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines on standard output; fails where there is anything else."""
        return [json.loads(line) for line in self.out.splitlines()]

    def ok(self) -> Ran:
        assert self.status == 0, f"{self.status}: {self.out}{self.err}"
        return self


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class ImpatientClock(SystemClock):
    """Pauses a hundredth of what is asked for."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 100)


class CommandLine:
    """`dfs` for one gateway."""

    def __init__(self, url: str, environment: Mapping[str, str] | None = None) -> None:
        self.url = url
        self._environment = {"DFS_URL": url, **(environment or {})}

    def __call__(
        self,
        *arguments: object,
        stdin: bytes = b"",
        answers: io.StringIO | None = None,
        err: io.StringIO | None = None,
    ) -> Ran:
        out, err, output = io.StringIO(), err or io.StringIO(), io.BytesIO()
        given = [str(argument) for argument in arguments]
        try:
            status = main(
                given,
                self._environment,
                out,
                err,
                answers or io.StringIO(),
                io.BytesIO(stdin),
                output,
                ImpatientClock(),
            )
        except SystemExit as ended:
            status = int(ended.code or 0)
        return Ran(status, out.getvalue(), err.getvalue(), output.getvalue())
