"""From the samples of all rounds to one table and one JSON document: medians, ranges, ratios with their derivations."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.derive import Limit, derive
from benchmarks.figures import Figure
from benchmarks.limits import MEASURED

Samples = dict[str, list[float]]


@dataclass
class SystemResults:
    """Everything that was measured of one system; peaks in bytes. The CPU by service and of the client: last round."""

    notes: tuple[str, ...] = ()
    samples: Samples = field(default_factory=dict)
    service_cpu: dict[str, dict[str, float]] = field(default_factory=dict)
    client_cpu_us: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)


@dataclass
class Run:
    """A whole run: the first system is ours, a second one the peer."""

    machine: dict[str, str]
    settings: dict[str, Any]
    cores: int
    replicas: int
    limits: Samples = field(default_factory=dict)
    systems: dict[str, SystemResults] = field(default_factory=dict)


def add(samples: Samples, values: Mapping[str, float]) -> None:
    """One round more."""
    for key, value in values.items():
        samples.setdefault(key, []).append(value)


def to_json(run: Run, catalogue: Mapping[str, Figure]) -> dict[str, Any]:
    """Every figure of every system with median, range, limit and ratio; and what they were measured on."""
    limits = derived_limits(run)
    return {
        "machine": run.machine,
        "settings": run.settings,
        "limits": {key: {**spread(values), "unit": MEASURED[key][1]} for key, values in run.limits.items()},
        "systems": {
            name: {
                "notes": list(results.notes),
                "figures": {key: describe(key, results.samples, catalogue, limits) for key in results.samples},
                "cpu_seconds_by_service": results.service_cpu,
                "client_cpu_us_per_operation": results.client_cpu_us,
                "peak_memory_bytes": results.peaks,
            }
            for name, results in run.systems.items()
        },
        "ratios": ratios(run),
        "against_peer": against_peer(run),
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "values": list(values)}


def derived_limits(run: Run) -> dict[str, Limit]:
    """From the medians of what was measured."""
    if not run.limits:
        return {}
    return derive({key: statistics.median(values) for key, values in run.limits.items()}, run.cores, run.replicas)


def describe(
    key: str, samples: Samples, catalogue: Mapping[str, Figure], limits: Mapping[str, Limit]
) -> dict[str, Any]:
    """One figure: spread, unit, and where a limit is known the ratio to it."""
    figure = catalogue[key]
    found = {"title": figure.title, "unit": figure.unit, **spread(samples[key])}
    if limit := limits.get(key):
        found |= {"limit": limit.value, "ratio": found["median"] / limit.value, "derivation": limit.formula}
    return found


def ratios(run: Run) -> dict[str, dict[str, float]]:
    """Ratios between figures of one system: the range against the small file, the crowd against the few, and so on."""
    found: dict[str, dict[str, float]] = {}
    for name, results in run.systems.items():
        medians = {key: statistics.median(values) for key, values in results.samples.items()}
        for title, above, below in (
            ("time of a ranged read / of a 64 KiB file's", "range.range_ms", "range.file_ms"),
            ("throughput of many / of four at once", "many.crowd", "many.few"),
            ("throughput of an upload without / with a file checksum", "raw.upload_unsummed", "raw.upload"),
            ("throughput of four uploads without / with file checksums", "four.upload_unsummed", "four.upload"),
        ):
            if above in medians and below in medians:
                found.setdefault(name, {})[title] = medians[above] / medians[below]
    return found


def against_peer(run: Run) -> dict[str, float]:
    """Our median divided by the peer's, for every figure that both have; empty without a peer."""
    if len(run.systems) < 2:
        return {}
    ours, peer = list(run.systems.values())[:2]
    both = [key for key in ours.samples if key in peer.samples]
    medians = {key: (statistics.median(ours.samples[key]), statistics.median(peer.samples[key])) for key in both}
    return {key: mine / theirs for key, (mine, theirs) in medians.items() if theirs}
