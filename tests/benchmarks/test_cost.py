"""CPU and memory of services, from a /proc that is written by hand and from the real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.cost import Cost, family, parse_kib, parse_stat
from benchmarks.machine import busy_between

TICK = os.sysconf("SC_CLK_TCK")


def stat(pid: int, parent: int, name: str = "python", ticks: tuple[int, int, int, int] = (0, 0, 0, 0)) -> str:
    return f"{pid} ({name}) S {parent} {pid} {pid} 0 -1 4194560 1 2 3 4 {' '.join(map(str, ticks))} 20 0 1 0 99"


def write_process(proc: Path, pid: int, text: str, resident_kib: int) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(text)
    (folder / "status").write_text(f"Name:\tx\nVmHWM:\t  {resident_kib * 2} kB\nVmRSS:\t  {resident_kib} kB\n")


def test_a_name_with_brackets_and_blanks_does_not_shift_the_fields() -> None:
    times = parse_stat(stat(7, 3, "a) S 1 (b", (10, 20, 3, 4)))
    assert (times.pid, times.parent, times.ticks) == (7, 3, 37)


def test_sizes_are_bytes_and_nothing_where_the_field_is_missing() -> None:
    assert parse_kib("VmRSS:\t 12 kB\n", "VmRSS") == 12 * 1024
    assert parse_kib("VmRSSx:\t 12 kB\n", "VmRSS") == 0


def test_a_family_is_a_process_and_all_its_descendants() -> None:
    processes = {times.pid: times for times in map(parse_stat, [stat(1, 0), stat(5, 1), stat(6, 5), stat(9, 1)])}
    assert family(processes, 5) == [5, 6]
    assert family(processes, 4) == []


def test_a_service_costs_what_all_its_processes_cost(tmp_path: Path) -> None:
    write_process(tmp_path, 10, stat(10, 1, ticks=(TICK, TICK, 0, 0)), 100)
    write_process(tmp_path, 11, stat(11, 10, ticks=(TICK, 0, TICK, 0)), 50)
    write_process(tmp_path, 20, stat(20, 1, ticks=(0, 5 * TICK, 0, 0)), 7)
    write_process(tmp_path, 30, stat(30, 1, ticks=(9 * TICK, 0, 0, 0)), 1000)
    cost = Cost({"worker": 10, "gateway": 20}, tmp_path)
    assert cost.cpu_seconds() == {"worker": 4.0, "gateway": 5.0}
    assert cost.memory_bytes("VmRSS") == {"worker": 150 * 1024, "gateway": 7 * 1024}
    assert cost.memory_bytes("VmHWM") == {"worker": 300 * 1024, "gateway": 14 * 1024}


def test_a_busy_machine_is_seen_as_such() -> None:
    first = "cpu  100 0 100 1000 50 0 0 0 9 9\ncpu0 1 2 3\n"
    second = "cpu  130 0 140 1020 60 0 0 0 9 9\ncpu0 1 2 3\n"
    assert busy_between(first, second) == pytest.approx(0.7)
    assert busy_between(first, first) == 0.0


def test_this_process_is_found_in_the_real_proc() -> None:
    cost = Cost({"self": os.getpid()})
    before = cost.cpu_seconds()["self"]
    while cost.cpu_seconds()["self"] < before + 2 / TICK:
        sum(range(10_000))
    assert 0 < cost.memory_bytes("VmRSS")["self"] <= cost.memory_bytes("VmHWM")["self"]
