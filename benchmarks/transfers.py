"""The work with big files: raw, form, four at once; from cache and from disk; and ranges of the big file."""

from __future__ import annotations

import http.client
import random
from collections.abc import Sequence

from benchmarks import curl
from benchmarks.bench import Bench, Source
from benchmarks.lanes import Lane
from benchmarks.systems import HOST, SystemFailed, drop_caches

BIG, FORM = "big", "form"
RANGE_BYTES = 64 * 1024
_CHECKED_RANGES = 10


def run_big(bench: Bench, *, is_raw: bool, is_ranged: bool) -> None:
    """One file by `curl -T`: up, down from cache, down from disk; then ranges of it."""
    before, source = bench.stored_bytes(), bench.sources.big
    if is_raw:
        bench.transfer("raw.upload", source.size_bytes, lambda: curl.put_raw(bench.system, [(source.path, BIG)]))
    else:
        curl.put_raw(bench.system, [(source.path, BIG)])
    # Its bytes may have gone to the disk past the cache.
    curl.get(bench.system, [BIG])
    if is_raw:
        _download(bench)
    if is_ranged:
        _read_ranges(bench)
    curl.delete(bench.system, [BIG])
    bench.wait_until_freed(before)
    if is_raw:
        _upload_without_checksum(bench, "raw.upload_unsummed", [source])


def _upload_without_checksum(bench: Bench, key: str, sources: Sequence[Source]) -> None:
    """The same once more where files get no checksum; nothing where the system has no such choice."""
    before, uploads = bench.stored_bytes(), [(one.path, f"unsummed-{number}") for number, one in enumerate(sources)]
    with bench.without_checksums() as unsummed:
        if unsummed is None:
            return
        names = [name for _, name in uploads]
        # A gateway that was just started has not touched its buffers yet.
        curl.put_raw(unsummed.system, [(bench.sources.quarters[0].path, "warm")])
        unsummed.transfer(key, sum(one.size_bytes for one in sources), lambda: curl.put_raw(unsummed.system, uploads))
        if bench.is_first:
            for one, (_, name) in zip(sources, uploads, strict=True):
                curl.verify(unsummed.system, name, one.sha256)
        curl.delete(unsummed.system, [*names, "warm"])
    bench.wait_until_freed(before)


def _download(bench: Bench) -> None:
    system, source = bench.system, bench.sources.big
    bench.transfer("raw.download_cached", source.size_bytes, lambda: curl.get(system, [BIG]))
    if bench.is_first:
        curl.verify(system, BIG, source.sha256)
    drop_caches(system)
    bench.transfer("raw.download_disk", source.size_bytes, lambda: curl.get(system, [BIG]))
    if bench.is_first:
        drop_caches(system)
        curl.verify(system, BIG, source.sha256)


def run_form(bench: Bench) -> None:
    """One file by `curl -F`; nothing where the system takes no forms."""
    system, source = bench.system, bench.sources.big
    if not system.form_path:
        return
    before = bench.stored_bytes()
    bench.transfer("form.upload", source.size_bytes, lambda: curl.put_form(system, source.path, FORM))
    if bench.is_first:
        curl.verify(system, FORM, source.sha256)
    curl.delete(system, [FORM])
    bench.wait_until_freed(before)


def run_four(bench: Bench) -> None:
    """Four files at once up, then at once down, from cache."""
    system, before = bench.system, bench.stored_bytes()
    named = [(source, f"quarter-{number}") for number, source in enumerate(bench.sources.quarters)]
    names = [name for _, name in named]
    total = sum(source.size_bytes for source, _ in named)
    uploads = [(source.path, name) for source, name in named]
    bench.transfer("four.upload", total, lambda: curl.put_raw(system, uploads))
    curl.get(system, names)
    bench.transfer("four.download", total, lambda: curl.get(system, names))
    if bench.is_first:
        for source, name in named:
            curl.verify(system, name, source.sha256)
    curl.delete(system, names)
    bench.wait_until_freed(before)
    _upload_without_checksum(bench, "four.upload_unsummed", bench.sources.quarters)


def _read_ranges(bench: Bench) -> None:
    """64 KiB at random offsets, against a whole file of 64 KiB: one client, everything in the cache."""
    prefix, count, suffix = bench.system.prefix, bench.sizes.range_count, bench.system.delete_suffix
    big = bench.sources.big.size_bytes
    bench.load(Lane("PUT", f"{prefix}part-", 1, RANGE_BYTES, 1))
    file = bench.load(Lane("GET", f"{prefix}part-", 1, RANGE_BYTES, 1, total=count))
    ranged = bench.load(Lane("GET", f"{prefix}{BIG}", count, big, 1, range_bytes=RANGE_BYTES))
    bench.figures["range.file_ms"] = 1000 / file.rate
    bench.figures["range.range_ms"] = 1000 / ranged.rate
    if bench.is_first:
        _verify_ranges(bench)
    bench.load(Lane("DELETE", f"{prefix}part-", 1, RANGE_BYTES, 1, suffix=suffix))


def _verify_ranges(bench: Bench) -> None:
    """Raises SystemFailed when a range is not what stands there in the source."""
    source = bench.sources.big
    connection = http.client.HTTPConnection(HOST, bench.system.port, timeout=60)
    with open(source.path, "rb") as file:
        for _ in range(_CHECKED_RANGES):
            start = random.randrange(source.size_bytes - RANGE_BYTES)
            headers = {"Range": f"bytes={start}-{start + RANGE_BYTES - 1}"}
            connection.request("GET", bench.system.prefix + BIG, headers=headers)
            answer = connection.getresponse()
            file.seek(start)
            if answer.status != 206 or answer.read() != file.read(RANGE_BYTES):
                raise SystemFailed(
                    f"{bench.system.name}: wrong bytes for the range from {start}, status {answer.status}"
                )
    connection.close()
