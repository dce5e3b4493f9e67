"""What is counted adds up, from any number of threads, and reads as Prometheus wants it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics

from common.errors import MetadataUnavailable
from common.metrics import BOUNDS_SECONDS, Counts, Metrics, RouteTally, Timing, counter, gauge, histograms
from tests.support.metrics import samples_of


def test_every_duration_stands_in_the_first_bucket_that_holds_it() -> None:
    timing = Timing()
    for seconds in (0.0, *BOUNDS_SECONDS, 61.0):
        timing.note(seconds)
    durations = timing.read()
    assert durations.cumulated == (2, *range(3, len(BOUNDS_SECONDS) + 2), len(BOUNDS_SECONDS) + 2)
    assert durations.seconds == pytest.approx(sum(BOUNDS_SECONDS) + 61.0)
    assert durations.buckets()[-1] == ("+Inf", len(BOUNDS_SECONDS) + 2)


def test_nothing_is_lost_where_many_threads_count() -> None:
    tally, counts = RouteTally(), Counts()

    def count() -> None:
        for number in range(2000):
            tally.note_answer(200 if number % 2 else 503, 0.001, 3, 5)
            tally.note_sent(7)
            counts.add("a")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = tally.figures()
    assert figures.statuses == {200: 8000, 503: 8000}
    assert figures.durations.count == 16000
    assert (figures.received_bytes, figures.sent_bytes) == (48000, 16000 * 12)
    assert counts.rows() == [(("a",), 16000.0)]


def test_a_route_is_told_with_its_requests_durations_and_bytes() -> None:
    metrics = Metrics("worker")
    metrics.route("GET", "/chunks/<chunk_id>").note_answer(200, 0.002, 10, 20)
    metrics.route("GET", "/chunks/<chunk_id>").note_answer(404, 0.2, 0, 30)
    samples = samples_of(metrics.render("")[0])
    labels = 'method="GET",route="/chunks/<chunk_id>"'
    assert samples[f'dfs_http_requests_total{{{labels},status="200"}}'] == 1
    assert samples[f'dfs_http_requests_total{{{labels},status="404"}}'] == 1
    assert samples[f'dfs_http_request_duration_seconds_bucket{{le="0.0025",{labels}}}'] == 1
    assert samples[f"dfs_http_request_duration_seconds_count{{{labels}}}"] == 2
    assert samples[f"dfs_http_request_duration_seconds_sum{{{labels}}}"] == pytest.approx(0.202)
    assert samples[f"dfs_http_request_bytes_total{{{labels}}}"] == 10
    assert samples[f"dfs_http_response_bytes_total{{{labels}}}"] == 50
    assert any(name.startswith("dfs_build_info{") and 'service="worker"' in name for name in samples)


def test_what_strangers_send_makes_no_series_of_its_own() -> None:
    metrics = Metrics("gateway")
    assert metrics.route("BREW", None) is metrics.route("STEEP", None)
    assert metrics.route("GET", None) is not metrics.route("BREW", None)


def test_metrics_belong_to_their_service_and_to_nobody_else() -> None:
    one, other = Metrics("master"), Metrics("master")
    one.route("GET", "/a").note_answer(200, 0.1, 0, 0)
    assert "/a" not in other.render("")[0].decode()
    assert not [family for family in REGISTRY.collect() if family.name.startswith("dfs_")]


@pytest.mark.parametrize("error", [MetadataUnavailable("gone"), OSError("no disk")])
def test_what_cannot_be_read_leaves_only_its_own_group_out(error: Exception) -> None:
    metrics = Metrics("master")

    def broken() -> Iterator[Metric]:
        yield gauge("dfs_first", "Of a group that fails", 1)
        raise error

    metrics.add(broken)
    metrics.add(lambda: [gauge("dfs_other", "Of another group", 2)])
    metrics.render("")
    samples = samples_of(metrics.render("")[0])
    assert "dfs_first" not in samples
    assert samples["dfs_other"] == 2
    assert samples["dfs_scrape_failures_total"] >= 1


def test_open_metrics_are_given_to_who_accepts_them() -> None:
    metrics = Metrics("worker")
    timing = Timing()
    timing.note(0.1)
    metrics.add(lambda: [counter("dfs_things", "Things", 3), histograms("dfs_x_seconds", "X", "kind", {"a": timing})])
    text, media_type = metrics.render("application/openmetrics-text;version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    assert "dfs_things" in {family.name for family in parse_open_metrics(text.decode())}
    assert metrics.render("*/*")[1].startswith("text/plain")
