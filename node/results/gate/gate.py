"""The output gate: no object leaves before the written file has been read back and found right.

Owns the conditions. Reads files with pydicom only; what made them is not asked. Every condition
that is broken is named in ``GateRefused``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Registration, Segmentation
from node.results.errors import GateRefused
from node.results.gate import (
    identifying,
    inherited,
    required,
    resolved,
    structures,
    validator,
    wellformed,
)
from node.results.gate.validator import Asked
from node.results.gate.written import Written
from node.results.objects import registration
from node.series.source import Source


def check_segmentation(file: Path | Written, segmentation: Segmentation, source: Source) -> None:
    """Each structure lies in patient space where the finding lay, with the right label and code.

    Raises ``GateRefused``.
    """
    _refuse("seg", structures.binary(_opened(file), segmentation, source))


def check_label_map(file: Path | Written, segmentation: Segmentation, source: Source) -> None:
    """Each voxel has the number of its structure, and lies where the finding lay.

    Raises ``GateRefused``.
    """
    _refuse("seg", structures.label_map(_opened(file), segmentation, source))


def check_probabilities(file: Path | Written, segmentation: Segmentation, source: Source) -> None:
    """Each voxel is as probable as the finding says, and lies where it lay.

    Raises ``GateRefused``.
    """
    _refuse("seg", structures.probabilities(_opened(file), segmentation, source))


def check_required(
    file: Path | Written,
    source: Source | None = None,
    *,
    validate: bool = True,
    asked: Asked | None = None,
) -> None:
    """Every required attribute is there and well formed, none identifies anybody whom the images do
    not name, and dciodvfy, if installed, agrees.

    What is copied from ``source`` is not judged. ``validate=False`` leaves dciodvfy out; ``asked``
    is one that is at work on the file already. Raises ``GateRefused``.
    """
    written = _opened(file)
    dataset = written.alike
    kind = str(dataset.get("Modality") or "object").lower()
    judge = inherited.Judge(dataset, source)
    reasons = required.missing(dataset, source)
    reasons += [
        fault.sentence for fault in wellformed.faults(dataset) if not judge.is_inherited(fault.path)
    ]
    if source is not None:
        reasons += identifying.foreign(dataset, source)
    if asked is not None:
        reasons += asked.errors(source)
    elif validate:
        reasons += validator.errors(written.path, source)
    _refuse(kind, reasons)


def _opened(file: Path | Written) -> Written:
    return file if isinstance(file, Written) else Written(file)


def check_resolved(path: Path, known: Collection[str]) -> None:
    """Whatever the object refers to is ``known``. Raises ``GateRefused``."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    _refuse(str(dataset.Modality).lower(), resolved.dangling(dataset, known))


def check_compressed(path: Path, stored: NDArray[Any], lossless: bool) -> None:
    """The code stream decodes to the grid of the image, without a loss to its very pixels.

    stored: ``(row, column)``. Raises ``GateRefused``.
    """
    dataset = pydicom.dcmread(path)
    try:
        decoded = dataset.pixel_array
    except Exception as error:  # a decoder may raise anything
        raise GateRefused("image", (f"it does not decode: {type(error).__name__}",)) from error
    reasons = []
    if decoded.shape != stored.shape or decoded.dtype != stored.dtype:
        reasons.append("it decodes to pixels of another shape or type")
    elif lossless and not np.array_equal(decoded, stored):
        reasons.append("it is said to be lossless, and decodes to other pixels")
    lossy = str(dataset.get("LossyImageCompression") or "00") == "01"
    if not lossless and not lossy:
        reasons.append("it does not say that it is lossy")
    _refuse("image", reasons)


def check_registration(path: Path, item: Registration) -> None:
    """The written matrix is that of the finding, to a millionth. Raises ``GateRefused``."""
    written = registration.read_matrix(pydicom.dcmread(path))
    if not np.allclose(written, item.matrix, rtol=1e-6, atol=1e-6):
        raise GateRefused("reg", ("the matrix written is not that of the finding",))


def check_references(
    file: Path | Written, source: Source, made: Mapping[str, Dataset | None]
) -> None:
    """Every reference of the report leads to an image of the source or to an object just made, and
    each of these can be reached from its root.

    ``made`` maps SOP Instance UIDs to Segmentation objects, or to None for other objects. Raises
    ``GateRefused``.
    """
    report = _opened(file)
    listed = report.referred(
        "CurrentRequestedProcedureEvidenceSequence", "ReferencedSeriesSequence"
    )
    evidence = {one.sop_instance_uid for one in listed}
    known = {str(header.SOPInstanceUID) for header in source.headers} | set(made)
    segments = {uid: _segment_numbers(one) for uid, one in made.items()}
    reasons, reached = [], set()
    for item in report.referred("ContentSequence", "ContentSequence"):
        uid = item.sop_instance_uid
        reached.add(uid)
        if uid not in known:
            reasons.append("an item refers to an object that is neither source nor result")
        if uid not in evidence:
            reasons.append("an item refers to an object that is not listed as evidence")
        reasons += [
            f"segment {number} is referred to, but the object lacks it"
            for number in item.segments
            if number not in segments.get(uid, ())
        ]
    if known - evidence:
        reasons.append(f"{len(known - evidence)} sources or results are not listed as evidence")
    if set(made) - reached:
        reasons.append(f"{len(set(made) - reached)} results cannot be reached from its root")
    _refuse("sr", reasons)


# --- report ---------------------------------------------------------------------------------------


def references_of(item: Dataset) -> Iterator[Dataset]:
    """What a content item, or a document, refers to."""
    yield from item.get("ReferencedSOPSequence") or []
    for child in item.get("ContentSequence") or []:
        yield from references_of(child)


def evidence_of(report: Dataset) -> Iterator[str]:
    """The UIDs of what a document lists as its evidence."""
    for study in report.get("CurrentRequestedProcedureEvidenceSequence") or []:
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                yield str(item.ReferencedSOPInstanceUID)


def _segment_numbers(made: Dataset | None) -> set[int]:
    return set() if made is None else {int(item.SegmentNumber) for item in made.SegmentSequence}


def _refuse(kind: str, reasons: list[str]) -> None:
    if reasons:
        raise GateRefused(kind, tuple(dict.fromkeys(reasons)))
