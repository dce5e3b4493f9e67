"""What a run found: numbers, faults, and whatever must not be."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# Of each run so many violations are kept word by word; all are counted.
KEPT_VIOLATIONS = 50


@dataclass
class Report:
    """For any number of threads. `violations`: wrong, lost or resurrected bytes, and promises that were not kept."""

    scenario: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    operations: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    numbers: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    violation_count: int = 0
    bytes_written: int = 0
    bytes_read: int = 0
    skipped: str = ""
    is_quiet: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _started_at: float = field(default_factory=time.monotonic, repr=False)

    @property
    def is_good(self) -> bool:
        return not self.violation_count

    def say(self, text: str) -> None:
        """A line for whoever watches the run."""
        if not self.is_quiet:
            print(f"{time.monotonic() - self._started_at:7.1f} s  {text}", flush=True)

    def count(self, operation: str, *, written: int = 0, read: int = 0) -> None:
        with self._lock:
            self.operations[operation] += 1
            self.bytes_written += written
            self.bytes_read += read

    def error(self, kind: str) -> None:
        """An operation failed in a way that is allowed while faults are about."""
        with self._lock:
            self.errors[kind] += 1

    def fault(self, name: str, text: str) -> None:
        with self._lock:
            self.faults[name] += 1
        self.say(text)

    def violation(self, text: str) -> None:
        """A promise was broken."""
        with self._lock:
            self.violation_count += 1
            if len(self.violations) < KEPT_VIOLATIONS:
                self.violations.append(text)
        self.say(f"VIOLATION: {text}")

    def to_json(self) -> str:
        return json.dumps(
            {
                "scenario": self.scenario,
                "seed": self.seed,
                "is_good": self.is_good,
                "skipped": self.skipped,
                "settings": self.settings,
                "operations": dict(self.operations),
                "errors": dict(self.errors),
                "faults": dict(self.faults),
                "bytes_written": self.bytes_written,
                "bytes_read": self.bytes_read,
                "numbers": self.numbers,
                "violation_count": self.violation_count,
                "violations": self.violations,
            },
            indent=1,
        )

    def to_text(self) -> str:
        if self.skipped:
            return f"{self.scenario}: SKIPPED: {self.skipped}"
        lines = [f"scenario {self.scenario}, seed {self.seed}", _section("settings", self.settings)]
        lines += [_section("operations", self.operations), _section("errors", self.errors)]
        lines += [_section("faults", self.faults), _section("numbers", self.numbers)]
        lines += [f"bytes: {self.bytes_written:,} written and acknowledged, {self.bytes_read:,} read and compared"]
        lines += [f"wrong, lost or not kept: {self.violation_count}", *(f"  {text}" for text in self.violations)]
        return "\n".join(lines)


def _section(title: str, values: dict[str, Any]) -> str:
    return f"{title}:" + ("".join(f"\n  {name}: {values[name]}" for name in sorted(values)) or " none")
