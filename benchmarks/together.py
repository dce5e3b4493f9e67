"""Run the same piece of work in several processes at once, and say how long all of them took."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import BrokenBarrierError
from typing import Any

START_SECONDS = 120.0
Task = Callable[[Callable[[], None]], int]


@dataclass(frozen=True)
class Outcome:
    """seconds: from the first start to the last end; cpu_seconds and amounts: of each process, in order."""

    seconds: float
    cpu_seconds: tuple[float, ...]
    amounts: tuple[int, ...]

    @property
    def rate(self) -> float:
        """All amounts per second."""
        return sum(self.amounts) / self.seconds


class TaskFailed(Exception):
    """A process ended without a result."""


def run_together(tasks: Sequence[Task]) -> Outcome:
    """Fork a process for each task. A task prepares, calls what it was given, works, and returns how much it did.

    Raises TaskFailed with the reason when one of them fails.
    """
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(tasks))
    pipes = [context.Pipe(duplex=False) for _ in tasks]
    processes = [
        context.Process(target=_run, args=(task, barrier, answer), daemon=True)
        for task, (_, answer) in zip(tasks, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    for _, answer in pipes:
        answer.close()
    results = [_receive(question) for question, _ in pipes]
    for process in processes:
        process.join()
    if problems := [result for result in results if isinstance(result, str)]:
        raise TaskFailed(problems[0])
    starts, ends, cpu, amounts = zip(*results, strict=True)
    return Outcome(max(ends) - min(starts), tuple(cpu), tuple(amounts))


def _run(task: Task, barrier: Any, answer: multiprocessing.connection.Connection) -> None:
    started: list[tuple[float, float]] = []

    def wait() -> None:
        barrier.wait(START_SECONDS)
        started.append((time.monotonic(), time.process_time()))

    try:
        amount = task(wait)
        (start, cpu_start), end, cpu_end = started[0], time.monotonic(), time.process_time()
        answer.send((start, end, cpu_end - cpu_start, amount))
    except BrokenBarrierError:
        answer.send("another process failed before the start")
    except Exception as error:  # noqa: BLE001 - the parent is told, and fails
        barrier.abort()
        answer.send(f"{type(error).__name__}: {error}")


def _receive(question: multiprocessing.connection.Connection) -> Any:
    try:
        return question.recv()
    except EOFError:
        return "a process ended without an answer"
