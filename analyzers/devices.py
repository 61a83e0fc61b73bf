"""Turns a configured device into one that is there. Owns the import of torch for that question."""

from __future__ import annotations

import re

from analyzers.contract import AnalyzerError

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


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
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "cuda:0" if count else "cpu"
    index = int(wanted.partition(":")[2] or 0)
    if index >= count:
        raise DeviceMissing(f"{wanted} was asked for, this machine has {count} CUDA devices")
    return f"cuda:{index}"
