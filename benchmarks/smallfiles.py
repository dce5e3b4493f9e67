"""The work with small files (put, get, delete by 1, 8, 32 clients), and many clients at once on one gateway."""

from __future__ import annotations

from benchmarks.bench import MB, Bench
from benchmarks.figures import CLIENT_OPERATIONS, SMALL_SIZES
from benchmarks.lanes import Lane
from benchmarks.load import Result

_FEW_CLIENTS = 4
_SHARED_DOWNLOADS = 16


def run_small(bench: Bench, work: str) -> None:
    """Every count of clients has files of its own, which it puts, gets and deletes."""
    size = SMALL_SIZES[work]
    before = bench.stored_bytes()
    first = 0
    for clients in bench.sizes.small_clients:
        count = bench.sizes.most_puts
        for operation in CLIENT_OPERATIONS:
            lane = _lane(bench, operation, work, first, count, size, clients)
            freed = before if operation == "delete" else None
            done = _measure(bench, f"{work}.{operation}_{clients}", lane, freed)
            if operation == "put":
                # Requests are begun in order and all that are begun are answered, so these are the first ones.
                count = done
        first += count


def _lane(bench: Bench, operation: str, work: str, first: int, count: int, size: int, clients: int) -> Lane:
    return Lane(
        method=operation.upper(),
        prefix=f"{bench.system.prefix}{work}-",
        first=first,
        count=count,
        size_bytes=size,
        clients=clients,
        seconds=0.0 if operation == "delete" else bench.sizes.small_seconds,
        is_once=operation == "put",
        suffix=bench.system.delete_suffix if operation == "delete" else "",
    )


def _measure(bench: Bench, key: str, lane: Lane, freed_bytes: int | None) -> int:
    """Returns how many requests there were.

    freed_bytes: what may still be on the disk afterwards; freeing it is part of the CPU, not of the rate.
    """

    def work() -> Result:
        result = bench.load(lane)
        if freed_bytes is not None:
            bench.wait_until_freed(freed_bytes)
        return result

    result, cpu = bench.metered(key, work)
    bench.figures[key] = result.rate
    bench.figures[f"{key}_cpu"] = cpu * 1000 / result.requests
    bench.client_cpu_us[key] = round(result.cpu_seconds / result.requests * 1e6, 1)
    return result.requests


def run_many(bench: Bench) -> None:
    """The throughput of many transfers at once, with many idle connections, against that of four each way."""
    sizes, before = bench.sizes, bench.stored_bytes()
    shared = min(_SHARED_DOWNLOADS, sizes.many_clients)
    _put(bench, "many-get-", shared, _FEW_CLIENTS)
    few = _both_ways(bench, "few", _FEW_CLIENTS, sizes.many_clients // 2, shared, idle=0)
    bench.figures["many.few"] = few.body_bytes / MB / few.seconds
    _forget(bench, "many-few-", sizes.many_clients // 2)
    bench.wait_until_freed(before + 4 * shared * sizes.many_bytes)
    bench.note_peaks()
    bench.cost.forget_peaks()
    crowd = _both_ways(bench, "crowd", sizes.many_clients, sizes.many_clients, shared, idle=sizes.many_idle)
    _note_crowd(bench, crowd)
    _forget(bench, "many-crowd-", sizes.many_clients)
    _forget(bench, "many-get-", shared)
    _forget(bench, "many-idle-", 1)
    bench.wait_until_freed(before)


def _both_ways(bench: Bench, name: str, clients: int, transfers: int, shared: int, idle: int) -> Result:
    """As many uploads as downloads, `clients` at once of each, `transfers` of each in all."""
    prefix, size = bench.system.prefix, bench.sizes.many_bytes
    return bench.load(
        Lane("PUT", f"{prefix}many-{name}-", transfers, size, clients),
        Lane("GET", f"{prefix}many-get-", shared, size, clients, total=transfers, verify_every=8),
        idle_clients=idle,
        idle_path=f"{prefix}many-idle-0",
        waits_when_busy=True,
    )


def _note_crowd(bench: Bench, crowd: Result) -> None:
    peaks = bench.note_peaks()
    bound = bench.system.memory_bound_bytes()
    bench.figures["many.crowd"] = crowd.body_bytes / MB / crowd.seconds
    bench.figures["many.busy"] = crowd.busy
    bench.figures["many.idle_served"] = crowd.idle_served
    bench.figures["many.idle_kept"] = crowd.idle_kept
    bench.figures["many.front_peak"] = peaks[bench.system.front] / MB
    if bound is not None:
        bench.figures["many.front_bound"] = bound / MB


def _put(bench: Bench, name: str, count: int, clients: int) -> None:
    prefix, size = bench.system.prefix, bench.sizes.many_bytes
    bench.load(Lane("PUT", prefix + name, count, size, clients))
    # What the idle connections ask for: small, so that they do not wait for a buffer.
    bench.load(Lane("PUT", f"{prefix}many-idle-", 1, 16, 1))


def _forget(bench: Bench, name: str, count: int) -> None:
    system = bench.system
    bench.load(Lane("DELETE", system.prefix + name, count, 0, _FEW_CLIENTS, suffix=system.delete_suffix))
