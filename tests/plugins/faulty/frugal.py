"""Analyzers at their memory limits, and such that end or load oddly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import ClassVar

import numpy as np

from analyzers.contract import Findings, Limits, Measurement, NoParameters, Volume
from faulty import ONE, PID, Faulty


class Frugal(Faulty):
    """Takes nothing, and may take hardly anything."""

    name: ClassVar[str] = "frugal"
    title: ClassVar[str] = "Frugal"
    limits: ClassVar[Limits] = Limits(time_s=60, memory_mb=64)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        time.sleep(0.5)  # several looks at its memory
        return Findings()


class Parent(Faulty):
    """Has a child that takes memory, and stays small itself."""

    name: ClassVar[str] = "parent"
    title: ClassVar[str] = "Parent"
    limits: ClassVar[Limits] = Limits(time_s=60, memory_mb=300)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        code = "import time; held = bytearray(b'1') * (400 << 20); time.sleep(100)"
        subprocess.run([sys.executable, "-c", code], check=False)
        return Findings()


class Heavy(Faulty):
    """Loads more than one run may take: its models are not the run's."""

    name: ClassVar[str] = "heavy"
    title: ClassVar[str] = "Heavy"
    limits: ClassVar[Limits] = Limits(time_s=60, memory_mb=256)

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.models = [np.ones(200 << 17), np.ones(1 << 17)]  # 200 MB and 1 MB

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        more = np.ones(150 << 17)
        time.sleep(0.4)
        return Findings(remarks=(f"{more.size} more",))


class Leaver(Faulty):
    """Ends the process as if all were well."""

    name: ClassVar[str] = "leaver"
    title: ClassVar[str] = "Leaver"
    limits: ClassVar[Limits] = Limits(time_s=60, memory_mb=1024)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        os._exit(0)


class Exiting(Faulty):
    name: ClassVar[str] = "exiting"
    title: ClassVar[str] = "Exiting"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        sys.exit(3)


class Killed(Faulty):
    """Is killed from outside; here by itself, which looks the same."""

    name: ClassVar[str] = "killed"
    title: ClassVar[str] = "Killed"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        os.kill(os.getpid(), signal.SIGKILL)
        return Findings()


class FormKiller(Faulty):
    """Measures something; its process is killed while a sheet of it is made."""

    name: ClassVar[str] = "form_killer"
    title: ClassVar[str] = "Form killer"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        from node.results.forms import table

        def build(bench: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        for form in table.FORMS:
            if form.kind == "sheet":
                object.__setattr__(form, "build", build)
        return Findings((Measurement(PID, 1.0, ONE),))
