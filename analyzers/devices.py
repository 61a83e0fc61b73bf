"""Turns a configured device into one that is there. Owns the import of torch for that question."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

from analyzers.contract import AnalyzerError

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_CUDA_DRIVER = "libcuda.so.1"
_ROCM_DEVICE = Path("/dev/kfd")


class DeviceMissing(AnalyzerError):
    """The configured device is not on this machine."""


def is_device_name(text: str) -> bool:
    """Whether the text names a device: auto, cpu, cuda, cuda:N."""
    return _DEVICE.fullmatch(text) is not None


def resolve(wanted: str) -> str:
    """``cpu`` or ``cuda:N`` for auto, cpu, cuda, cuda:N.

    Raises
    ------
    DeviceMissing
        CUDA was asked for by name and is not there; ``auto`` falls back to the CPU.
    """
    if not is_device_name(wanted):
        raise DeviceMissing(f"{wanted!r} is no device: use auto, cpu, cuda or cuda:N")
    if wanted == "cpu":
        return "cpu"
    count = _count()
    if wanted == "auto":
        return "cuda:0" if count else "cpu"
    index = int(wanted.partition(":")[2] or 0)
    if index >= count:
        raise DeviceMissing(f"{wanted} was asked for, this machine has {count} CUDA devices")
    return f"cuda:{index}"


def _count() -> int:
    """How many devices torch can use; asked of torch only where there is a driver at all."""
    if not _has_driver():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _has_driver() -> bool:
    """Importing torch takes seconds of CPU, which the list of analyzers would wait for."""
    try:
        ctypes.CDLL(_CUDA_DRIVER)
    except OSError:
        return _ROCM_DEVICE.exists()
    return True
