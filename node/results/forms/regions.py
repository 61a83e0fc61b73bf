"""The report for readers that know no segments: structures are regions of the images.

It says what the report says, and refers to nothing that a destination may not be sent: of what was
made in the run there is neither an item nor a title in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset

from node.results import kinds
from node.results.bench import Bench
from node.results.gate import gate
from node.results.report import sr


def build(bench: Bench) -> Iterator[Dataset]:
    """One report; none of a run that says nothing of the patient."""
    if kinds.only_make(bench.findings.items, bench.source):
        return
    made = sr.Made(bench.segmentations, cited=tuple(bench.cited.values()))
    yield sr.build(bench.source, bench.findings, made, bench.provenance, sr.REGIONS)


def read_back(path: Path, bench: Bench, number: int) -> None:
    """Raises ``GateRefused`` where it refers to anything but images of the study."""
    headers = (header for one in bench.cited.values() for header in one.headers)
    gate.check_references(path, bench.source, {str(one.SOPInstanceUID): None for one in headers})
