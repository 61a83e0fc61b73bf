"""An analyzer that changes its process while it is imported, and one thing for good."""

from __future__ import annotations

import os
import signal
from typing import ClassVar

import numpy as np

from analyzers.contract import Findings, NoParameters, Volume
from faulty import Faulty

os.chdir("/")
np.seterr(all="raise")
os.environ["FAULTY_LIBRARY_THREADS"] = "1"
if signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


class Imported(Faulty):
    name: ClassVar[str] = "imported"
    title: ClassVar[str] = "Imported"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        return Findings(remarks=(os.environ["FAULTY_LIBRARY_THREADS"],))
