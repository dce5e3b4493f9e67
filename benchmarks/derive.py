"""What the machine would allow for each figure, derived from the limits measured in the same run. Pure arithmetic.

A derived limit is a bound on what any system with these promises could do, not a goal: it leaves out all work but the
one named in its formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """value: in the figure's unit; formula: how it came about, in words and measured names."""

    value: float
    formula: str


def derive(measured: Mapping[str, float], cores: int, replicas: int) -> dict[str, Limit]:
    """The limit of each figure that has one, by the figure's key; `measured` as limits.MEASURED has it."""
    return {**_transfers(measured, cores, replicas), **_small_files(measured, cores, replicas)}


def _transfers(measured: Mapping[str, float], cores: int, replicas: int) -> dict[str, Limit]:
    upload = Limit(measured["disk_write_direct"] / replicas, f"disk_write_direct / {replicas} replicas")
    cached = Limit(
        cores / _cpu_per_gb_from_cache(measured) * 1000,
        f"{cores} cores / (2 x (loopback_send_cpu + loopback_receive_cpu) + cached_read_cpu + 1 / xxh3):"
        " each byte crosses loopback twice, is copied out of the page cache once and hashed once",
    )
    disk_rate = max(measured["disk_read_direct"], measured["disk_read_cold"])
    disk = Limit(disk_rate, "the better of disk_read_direct and disk_read_cold")
    return {
        "raw.upload": upload,
        "raw.upload_unsummed": upload,
        "form.upload": upload,
        "four.upload": upload,
        "four.upload_unsummed": upload,
        "raw.download_cached": cached,
        "four.download": cached,
        "raw.download_disk": disk,
    }


def _cpu_per_gb_from_cache(measured: Mapping[str, float]) -> float:
    crossings = 2 * (measured["loopback_send_cpu"] + measured["loopback_receive_cpu"])
    return crossings + measured["cached_read_cpu"] + 1000 / measured["xxh3"]


def _small_files(measured: Mapping[str, float], cores: int, replicas: int) -> dict[str, Limit]:
    found: dict[str, Limit] = {}
    put_many = Limit(measured["durable_five"] / replicas, f"durable_five / {replicas} replicas")
    get_many = _by_cpu(measured, cores, 3)
    delete_many = _by_cpu(measured, cores, 2)
    for work in ("small4", "small64"):
        found[f"{work}.put_1"] = _one_put(measured)
        found[f"{work}.get_1"] = Limit(
            measured["exchange"] / 3, "exchange / 3: client-gateway, gateway-master, gateway-worker"
        )
        found[f"{work}.delete_1"] = _one_delete(measured)
        for clients in (8, 32):
            found[f"{work}.put_{clients}"] = put_many
            found[f"{work}.get_{clients}"] = get_many
            found[f"{work}.delete_{clients}"] = delete_many
    return found


def _one_put(measured: Mapping[str, float]) -> Limit:
    seconds = 1 / measured["durable_each_of_three"] + 1 / measured["append_synced"] + 4 / measured["exchange"]
    return Limit(
        1 / seconds,
        "1 / (1 / durable_each_of_three + 1 / append_synced + 4 / exchange): the replicas at once, then one commit;"
        " client-gateway, place, chunk, commit",
    )


def _one_delete(measured: Mapping[str, float]) -> Limit:
    seconds = 1 / measured["append_synced"] + 2 / measured["exchange"]
    return Limit(1 / seconds, "1 / (1 / append_synced + 2 / exchange): one commit; client-gateway, gateway-master")


def _by_cpu(measured: Mapping[str, float], cores: int, exchanges: int) -> Limit:
    rate = cores / (exchanges * measured["exchange_cpu"] / 1e6)
    return Limit(rate, f"{cores} cores / ({exchanges} x exchange_cpu): bare messages, no work")
