"""Run several functions at the same moment and wait for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def run_together(functions: Sequence[Callable[[], Result]], seconds: float = 60.0) -> list[Result]:
    """What each function returned, in their order; all start at once, and the first error is raised."""
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], Result]) -> Result:
        barrier.wait(seconds)
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        futures = [pool.submit(run, function) for function in functions]
        return [future.result(seconds) for future in futures]
