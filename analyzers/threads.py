"""Threads over independent parts of a volume: OpenCV, NumPy and PyWavelets release the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

T = TypeVar("T")


def for_each(
    work: Callable[[T], object], parts: Iterable[T], *, torch_on_device: str | None = None
) -> None:
    """Do the work for every part, on as many threads as this process may use cores.

    The parts, none of them None, must not write to each other's memory. The first exception is
    raised again.
    torch_on_device: the work is torch's; one thread on CUDA, and on the CPU each of ours takes one
    of torch's: waiting for each other after every small operation costs more than they gain.
    """
    if torch_on_device is not None and torch_on_device.startswith("cuda"):
        for one in parts:
            work(one)
        return
    all_parts = list(parts)
    if len(all_parts) == 1:
        work(all_parts[0])  # in a part of something larger, threads were started for that already
        return
    waiting = iter(all_parts)
    turn = Lock()

    def take_turns() -> None:
        if torch_on_device is not None:
            one_torch_thread()
        while True:
            with turn:
                one = next(waiting, None)
            if one is None:
                return
            work(one)

    with ThreadPoolExecutor(max_workers=cores()) as pool:
        for done in [pool.submit(take_turns) for _ in range(cores())]:
            done.result()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bands(length: int, width: int) -> list[slice]:
    """Slices of at most ``width`` that cover an axis of ``length``."""
    return [slice(first, min(first + width, length)) for first in range(0, length, width)]


def one_torch_thread() -> None:
    """Let torch's operations run on the calling thread alone."""
    import torch

    torch.set_num_threads(1)
