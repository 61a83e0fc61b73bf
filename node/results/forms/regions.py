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
from node.results.modules.source import HierarchicalReference
from node.results.report import sr


def build(bench: Bench) -> Iterator[Dataset]:
    """One report; none of a run that says nothing of the patient."""
    if kinds.only_make(bench.findings.items, bench.source):
        return
    made = sr.Made(bench.segmentations, further=_companions(bench))
    yield sr.build(bench.source, bench.findings, made, bench.provenance, sr.REGIONS)


def read_back(path: Path, bench: Bench, number: int) -> None:
    """Raises ``GateRefused`` where it refers to anything but images of the study."""
    known = {one.sop_instance_uid: None for one in _companions(bench)}
    gate.check_references(path, bench.source, known)


def _companions(bench: Bench) -> list[HierarchicalReference]:
    """The images of other series that were used."""
    headers = (header for one in bench.source.companions.values() for header in one.headers)
    return [
        bench.evidence[str(header.SOPInstanceUID)]
        for header in headers
        if str(header.SOPInstanceUID) in bench.evidence
    ]
