"""Every figure that a run may have: what it is, its unit, and which way is better. Keys are `work.what`."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.options import Sizes

CLIENT_OPERATIONS = ("put", "get", "delete")
SMALL_SIZES = {"small4": 4096, "small64": 65536}


@dataclass(frozen=True)
class Figure:
    """is_higher_better: None where the figure only explains others."""

    title: str
    unit: str
    is_higher_better: bool | None


def catalogue(sizes: Sizes) -> dict[str, Figure]:
    """All figures in the order in which they are printed."""
    return {**_big(sizes), **_ranged(), **_small(sizes), **_many(sizes), **_at_rest()}


def _big(sizes: Sizes) -> dict[str, Figure]:
    big, quarter = f"{sizes.big_bytes >> 20} MiB", f"4 x {sizes.big_bytes >> 22} MiB"
    rows = {
        "raw.upload": f"upload {big}, raw",
        "raw.upload_unsummed": f"upload {big}, raw, no file checksum",
        "form.upload": f"upload {big}, form",
        "four.upload": f"upload {quarter} at once",
        "four.upload_unsummed": f"upload {quarter} at once, no file checksum",
        "raw.download_cached": f"download {big}, from cache",
        "raw.download_disk": f"download {big}, from disk",
        "four.download": f"download {quarter} at once, from cache",
    }
    speed = {key: Figure(title, "MB/s", True) for key, title in rows.items()}
    return speed | {
        f"{key}_cpu": Figure(f"{title}: CPU of all servers", "CPU s/GB", False) for key, title in rows.items()
    }


def _ranged() -> dict[str, Figure]:
    return {
        "range.range_ms": Figure("read 64 KiB at random from the big file, 1 client", "ms", False),
        "range.file_ms": Figure("read a 64 KiB file, 1 client", "ms", False),
    }


def _small(sizes: Sizes) -> dict[str, Figure]:
    found = {}
    for work, size in SMALL_SIZES.items():
        for operation in CLIENT_OPERATIONS:
            for clients in sizes.small_clients:
                who = "1 client" if clients == 1 else f"{clients} clients"
                key, title = f"{work}.{operation}_{clients}", f"{operation} {size >> 10} KiB, {who}"
                found[key] = Figure(title, "ops/s", True)
                found[f"{key}_cpu"] = Figure(f"{title}: CPU of all servers", "CPU ms/op", False)
    return found


def _many(sizes: Sizes) -> dict[str, Figure]:
    size = f"{sizes.many_bytes / (1 << 20):g} MiB"
    crowd = f"{sizes.many_clients} uploads and {sizes.many_clients} downloads of {size} at once"
    return {
        "many.few": Figure(f"4 uploads and 4 downloads of {size} at once", "MB/s", True),
        "many.crowd": Figure(f"{crowd}, {sizes.many_idle} connections open", "MB/s", True),
        "many.busy": Figure("of these, answered 503 with Retry-After at first", "requests", None),
        "many.idle_served": Figure("open connections that were served before", "connections", None),
        "many.idle_kept": Figure("open connections that were kept and served after", "connections", None),
        "many.front_peak": Figure("peak memory of the gateway (proxy) meanwhile", "MB", False),
        "many.front_bound": Figure("its own bound, as stated at its start", "MB", None),
    }


def _at_rest() -> dict[str, Figure]:
    return {
        "idle.cpu": Figure("CPU of all servers while nobody asks", "% of a core", False),
        "memory.resident": Figure("memory of all servers, resident, added up", "MB", False),
        "memory.proportional": Figure("memory of all servers, shared pages counted once (PSS)", "MB", False),
    }
