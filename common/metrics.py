"""What a service counts, and how it is told to Prometheus.

Each service has one `Metrics` of its own; the library's global registry is not used, and neither are its counters:
those here cost a request about a microsecond. What need not be counted (a disk's use, a worker's state) is read when
somebody asks for the metrics.

A service serves from exactly one process (docs/decisions/001-wsgi-servers.md), and its metrics are made there together
with the rest of it. So the numbers are whole without any files shared between processes: gunicorn's watching process
imports nothing of the service and answers no request. When it starts the serving process anew, the counters begin at
zero, which Prometheus takes for what it is.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from common.errors import DFSError
from common.version import VERSION

# Upper ends in seconds: from a small file out of memory to the longest that any call is waited for.
BOUNDS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# The methods that are told apart where the route is not ours; a stranger may send any text as one.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE, OTHER_METHOD = "(none)", "(other)"
Collect = Callable[[], Iterable[Metric]]
Rows = Iterable[tuple[Sequence[str], float]]


class Count:
    """A number that only grows. Safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value = 0

    def add(self, number: int = 1) -> None:
        with self._lock:
            self.value += number


class Counts:
    """Numbers that only grow, one for each value of a label, of which there are few. Safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}

    def add(self, value: str) -> None:
        with self._lock:
            self._numbers[value] = self._numbers.get(value, 0) + 1

    def rows(self) -> list[tuple[tuple[str], float]]:
        with self._lock:
            return [((value,), float(number)) for value, number in sorted(self._numbers.items())]


@dataclass(frozen=True)
class Durations:
    """How many took at most as long as each bound, and one more for all; and how long all took together."""

    cumulated: tuple[int, ...]
    seconds: float

    @property
    def count(self) -> int:
        return self.cumulated[-1]

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus names them."""
        names = [*map(repr, BOUNDS_SECONDS), "+Inf"]
        return list(zip(names, map(float, self.cumulated), strict=True))


class Timing:
    """A histogram of durations. Safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self._seconds = 0.0

    def note(self, seconds: float) -> None:
        place = bisect_left(BOUNDS_SECONDS, seconds)
        with self._lock:
            self._counts[place] += 1
            self._seconds += seconds

    def read(self) -> Durations:
        with self._lock:
            return self._read()

    def _read(self) -> Durations:
        total, cumulated = 0, []
        for count in self._counts:
            total += count
            cumulated.append(total)
        return Durations(tuple(cumulated), self._seconds)


@dataclass(frozen=True)
class RouteFigures:
    """What a route has answered so far; the answers by their status add up to the durations' count."""

    durations: Durations
    statuses: Mapping[int, int]
    received_bytes: int
    sent_bytes: int


class RouteTally(Timing):
    """What is counted of one method of one route."""

    def __init__(self) -> None:
        super().__init__()
        self._statuses: dict[int, int] = {}
        self._received_bytes = 0
        self._sent_bytes = 0

    def note_answer(self, status: int, seconds: float, received_bytes: int, sent_bytes: int) -> None:
        """One answer. seconds: until it began. sent_bytes: of those that are known by then."""
        place = bisect_left(BOUNDS_SECONDS, seconds)
        with self._lock:
            self._counts[place] += 1
            self._seconds += seconds
            self._statuses[status] = self._statuses.get(status, 0) + 1
            self._received_bytes += received_bytes
            self._sent_bytes += sent_bytes

    def note_sent(self, size_bytes: int) -> None:
        """Bytes of a body that went out piece by piece."""
        with self._lock:
            self._sent_bytes += size_bytes

    def figures(self) -> RouteFigures:
        with self._lock:
            return RouteFigures(self._read(), dict(self._statuses), self._received_bytes, self._sent_bytes)


class Metrics:
    """All that one service tells of itself."""

    def __init__(self, service: str) -> None:
        """service: its kind, for `dfs_build_info`."""
        self._service = service
        self._registry = CollectorRegistry(auto_describe=False)
        self._lock = threading.Lock()
        self._tallies: dict[tuple[str, str], RouteTally] = {}
        self._failures = Count()
        ProcessCollector(registry=self._registry)
        self.add(self._own)

    def route(self, method: str, rule: str | None) -> RouteTally:
        """The tally of a route, by its template: never a path, of which there are any number.

        rule: None for what is no route of the service.
        """
        known = method if rule is not None or method in _METHODS else OTHER_METHOD
        key = (known, rule or NO_ROUTE)
        with self._lock:
            if key not in self._tallies:
                self._tallies[key] = RouteTally()
            return self._tallies[key]

    def add(self, collect: Collect) -> None:
        """Have `collect` asked whenever the metrics are; what it raises leaves only its own metrics out."""
        self._registry.register(_Asked(collect, self._failures))

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and their media type: Prometheus' text format, or OpenMetrics where that is accepted."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type

    def _own(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "dfs_build", "What this service is", value={"version": VERSION, "service": self._service}
        )
        yield from self._of_routes()
        yield counter("dfs_scrape_failures", "Groups of metrics that could not be read when asked for", self._failures)

    def _of_routes(self) -> Iterator[Metric]:
        labels = ("method", "route")
        requests = CounterMetricFamily("dfs_http_requests", "Requests answered", labels=(*labels, "status"))
        durations = HistogramMetricFamily(
            "dfs_http_request_duration_seconds", "Time until the answer began", labels=labels
        )
        received = CounterMetricFamily("dfs_http_request_bytes", "Bytes of requests' bodies read", labels=labels)
        sent = CounterMetricFamily("dfs_http_response_bytes", "Bytes of answers' bodies given out", labels=labels)
        with self._lock:
            tallies = sorted(self._tallies.items())
        for route, tally in tallies:
            figures = tally.figures()
            for status, count in sorted(figures.statuses.items()):
                requests.add_metric((*route, str(status)), count)
            if figures.durations.count:
                durations.add_metric(route, figures.durations.buckets(), figures.durations.seconds)
            received.add_metric(route, figures.received_bytes)
            sent.add_metric(route, figures.sent_bytes)
        yield from (requests, durations, received, sent)


class _Asked(Collector):
    """A group of metrics as the library's registry wants it."""

    def __init__(self, collect: Collect, failures: Count) -> None:
        self._collect = collect
        self._failures = failures

    def collect(self) -> Iterable[Metric]:
        try:
            # All of it first: half a group would be taken for the whole.
            return list(self._collect())
        except (DFSError, OSError):
            self._failures.add()
            return []


def counter(name: str, meaning: str, value: Count | float) -> Metric:
    """A number that only grows, without labels; Prometheus adds `_total` to its name."""
    return CounterMetricFamily(name, meaning, value=float(value.value if isinstance(value, Count) else value))


def counters(name: str, meaning: str, labels: Sequence[str], rows: Rows) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def gauge(name: str, meaning: str, value: float) -> Metric:
    """A number that goes up and down, without labels."""
    return GaugeMetricFamily(name, meaning, value=float(value))


def gauges(name: str, meaning: str, labels: Sequence[str], rows: Rows) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def histograms(name: str, meaning: str, label: str, timings: Mapping[str, Timing]) -> Metric:
    """A histogram for each value of a label; those in which nothing was noted yet are left out."""
    family = HistogramMetricFamily(name, meaning, labels=(label,))
    for value, timing in sorted(timings.items()):
        durations = timing.read()
        if durations.count:
            family.add_metric((value,), durations.buckets(), durations.seconds)
    return family
