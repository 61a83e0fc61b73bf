"""Analyzers that misbehave on purpose, installed as a third-party package would be."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from analyzers.contract import (
    Code,
    Findings,
    InputContract,
    Limits,
    Measurement,
    NoParameters,
    NotApplicable,
    Volume,
)

PID = Code("pid", "99TEST", "Process identifier")
BUILDS = Code("builds", "99TEST", "Times built in this process")
ONE = Code("1", "UCUM", "no units")


class Faulty:
    version: ClassVar[str] = "1.0"
    inputs: ClassVar[InputContract] = InputContract(modalities=frozenset({"CT"}))
    limits: ClassVar[Limits] = Limits(time_s=20, memory_mb=2048)
    parameters: ClassVar[type] = NoParameters

    def __init__(self, device: str) -> None:
        self.device = device


class Counting(Faulty):
    """Says in which process it ran and how often it was built there."""

    name: ClassVar[str] = "counting"
    title: ClassVar[str] = "Counting"
    builds = 0

    def __init__(self, device: str) -> None:
        super().__init__(device)
        Counting.builds += 1

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        return Findings(
            (
                Measurement(PID, float(os.getpid()), ONE),
                Measurement(BUILDS, float(Counting.builds), ONE),
            )
        )


class Segfault(Faulty):
    name: ClassVar[str] = "segfault"
    title: ClassVar[str] = "Segmentation fault"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        ctypes.string_at(0)
        return Findings()


class Hang(Faulty):
    name: ClassVar[str] = "hang"
    title: ClassVar[str] = "Hang"
    limits: ClassVar[Limits] = Limits(time_s=2, memory_mb=2048)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        while True:
            time.sleep(60)


class Raise(Faulty):
    name: ClassVar[str] = "raise"
    title: ClassVar[str] = "Raise"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        raise ZeroDivisionError("the plugin divided by zero")


class Glutton(Faulty):
    """Takes memory step by step, without end."""

    name: ClassVar[str] = "glutton"
    title: ClassVar[str] = "Glutton"
    limits: ClassVar[Limits] = Limits(time_s=60, memory_mb=900)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        held = []
        while True:
            held.append(bytearray(os.urandom(1)) * (32 << 20))
            time.sleep(0.01)


class Declining(Faulty):
    name: ClassVar[str] = "declining"
    title: ClassVar[str] = "Declining"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        raise NotApplicable("nothing here is what I look for")


@dataclass(frozen=True, slots=True)
class FlakyParameters:
    """``marker`` is a file that the first attempt leaves."""

    marker: str = ""


class Flaky(Faulty):
    """Fails the first time as a full disk does, then works."""

    name: ClassVar[str] = "flaky"
    title: ClassVar[str] = "Flaky"
    parameters: ClassVar[type] = FlakyParameters

    def analyze(self, volume: Volume, parameters: FlakyParameters) -> Findings:
        marker = Path(parameters.marker)
        if not marker.exists():
            marker.touch()
            raise OSError(28, "No space left on device")
        return Findings()


class Slow(Faulty):
    """Takes 1.5 s, or until the file is there that the environment names."""

    name: ClassVar[str] = "slow"
    title: ClassVar[str] = "Slow"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        named = os.environ.get("SLOW_UNTIL")
        if named is None:
            time.sleep(1.5)
        while named is not None and not Path(named).exists():
            time.sleep(0.05)
        return Findings()


class Unbuildable(Faulty):
    """Raises before it can be asked anything, as a missing model file makes it."""

    name: ClassVar[str] = "unbuildable"
    title: ClassVar[str] = "Unbuildable"

    def __init__(self, device: str) -> None:
        raise FileNotFoundError("no model file")

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        return Findings()


class FatalStart(Faulty):
    """Takes the process with it when it is built."""

    name: ClassVar[str] = "fatal_start"
    title: ClassVar[str] = "Fatal start"

    def __init__(self, device: str) -> None:
        ctypes.string_at(0)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        return Findings()
