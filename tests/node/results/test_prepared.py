"""Frames written as prepared bytes are those that highdicom and pydicom write."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from analyzers.contract import Findings, Segment, Segmentation
from node.results import prepared
from node.results.modules import planes
from node.results.modules.source import HierarchicalReference
from node.results.objects import seg
from node.results.presence import present_segments
from node.results.report import evidence, sr
from node.series.source import Source
from tests.node.results import sources
from tests.node.results.sources import FIRST, PROVENANCE, ct_source, enhanced_source, lungs, single


def by_highdicom(source: Source, item: Segmentation) -> Dataset:
    """The object with all frames made by highdicom."""
    assert source.volume is not None
    present = present_segments(item)
    images = planes.stand_ins(source, source.volume)
    if item.further:
        pixels = np.stack([item.mask(segment) for segment in present], axis=-1)
    else:
        pixels = np.zeros(item.labels.shape, np.uint16)
        for number, segment in enumerate(present, start=1):
            pixels[item.mask(segment)] = number
    drawn = seg.Drawn(images, pixels)
    made = seg.by_highdicom(seg.BINARY, source, drawn, item.title, present, PROVENANCE, FIRST)
    planes.refer_to_source(made, source)
    return made


def in_bytes(dataset: Dataset) -> bytes:
    file = io.BytesIO()
    prepared.write(file, dataset)
    return file.getvalue()


def cut(source: Source, rows: int, columns: int) -> Source:
    """The source with images of another size."""
    assert source.volume is not None
    stored = np.zeros((len(source.frames), rows, columns), np.int16)
    for header in source.headers:
        header.Rows, header.Columns = rows, columns
    return dataclasses.replace(source, volume=dataclasses.replace(source.volume, stored=stored))


def drawn(source: Source, segments: int, *, overlapping: bool = False) -> Segmentation:
    """Structures here and there; none on the second slice."""
    assert source.volume is not None
    random = np.random.default_rng(segments)
    masks = []
    for _ in range(segments):
        mask = random.random(source.volume.shape) < 0.05
        mask[1:2] = False
        masks.append(mask)
    described = tuple(
        Segment(f"part_{n}", n + 3, f"Part {n}", sources.ANATOMY, sources.LUNG)
        for n in range(segments)
    )
    if overlapping:
        return Segmentation.of_masks(masks, described, "Parts")
    labels = np.zeros(source.volume.shape, np.uint16)
    for mask, segment in zip(masks, described, strict=True):
        labels[mask] = segment.number
    return Segmentation(labels, described, "Parts")


def tilted() -> Source:
    """Each slice lies a little beside the one before."""
    source = ct_source()
    for index, header in enumerate(source.headers):
        x, y, z = (float(value) for value in header.ImagePositionPatient)
        header.ImagePositionPatient = [x, y + 0.7 * index, z]
    return source


def uneven() -> Source:
    """The last slice lies far from the others."""
    source = ct_source()
    x, y, z = (float(value) for value in source.headers[-1].ImagePositionPatient)
    source.headers[-1].ImagePositionPatient = [x, y, z + 33]
    return source


def radiograph() -> Source:
    words = ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID")
    return sources.one_slice(ct_source(Modality="DX", **dict.fromkeys(words)))


CASES: dict[str, Callable[[], tuple[Source, Segmentation]]] = {
    "two structures and one without a voxel": lambda: (ct_source(), lungs()),
    "one structure": lambda: (ct_source(), single()),
    "one structure, one slice": lambda: (
        sources.one_slice(ct_source()),
        dataclasses.replace(single(), labels=single().labels[3:4]),
    ),
    "enhanced": lambda: (enhanced_source(), lungs()),
    "enhanced, one structure": lambda: (enhanced_source(), single()),
    "oblique": lambda: (ct_source("oblique"), lungs()),
    "sagittal, one structure": lambda: (ct_source("sagittal"), single()),
    "mirrored": lambda: (ct_source("mirrored rows"), single()),
    "tilted": lambda: (tilted(), single()),
    "uneven": lambda: (uneven(), drawn(ct_source(), 1)),
    "with a gap": lambda: (ct_source(), drawn(ct_source(), 1)),
    "radiograph": lambda: (radiograph(), drawn(radiograph(), 1)),
    "radiograph, five structures": lambda: (radiograph(), drawn(radiograph(), 5)),
    "lossy": lambda: (
        ct_source(LossyImageCompression="01", LossyImageCompressionRatio="8.5"),
        lungs(),
    ),
    "300 structures": lambda: (ct_source(), drawn(ct_source(), 300)),
    "structures over others": lambda: (ct_source(), drawn(ct_source(), 4, overlapping=True)),
    **{
        f"{rows} × {columns} pixels": lambda rows=rows, columns=columns: (
            cut(ct_source(), rows, columns),
            drawn(cut(ct_source(), rows, columns), 3),
        )
        for rows, columns in ((7, 9), (3, 3), (16, 8), (5, 5))
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_prepared_frames_are_byte_for_byte_those_of_highdicom(
    case: Callable[[], tuple[Source, Segmentation]],
) -> None:
    source, item = case()
    ours = in_bytes(seg.build(source, item, PROVENANCE, FIRST))
    theirs = in_bytes(by_highdicom(source, item))
    if theirs[-1:] == b"0":  # highdicom pads to an even length with a digit, not with null
        theirs = theirs[:-1] + b"\0"
    assert len(ours) == len(theirs)
    assert pydicom.dcmread(io.BytesIO(ours)) == pydicom.dcmread(io.BytesIO(theirs))
    assert ours == theirs


def test_sequences_that_are_bytes_already_are_written_without_being_read() -> None:
    made = seg.build(ct_source(), lungs(), PROVENANCE, FIRST)
    in_bytes(made)
    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence"):
        assert made.get_item(keyword).is_raw


# --- reports --------------------------------------------------------------------------------------


def read_and_written(content: bytes) -> bytes:
    """What pydicom writes of what it has read, element by element."""
    read = pydicom.dcmread(io.BytesIO(content))
    for _ in read.iterall():
        pass
    read.set_original_encoding(None, None)
    return in_bytes(read)


REGION = "AnatomicRegionSequence"


@pytest.mark.parametrize("meaning", ["Head", "Schädel"])
@pytest.mark.parametrize("make", [ct_source, enhanced_source, radiograph])
def test_a_report_is_what_pydicom_writes_of_it(make: Callable[[], Source], meaning: str) -> None:
    source = make()
    for header in source.headers:
        header.SpecificCharacterSet = "ISO_IR 192"
        header[REGION] = DataElement(REGION, "SQ", [region(meaning)])
    report = sr.build(source, Findings(()), sr.Made(), PROVENANCE)
    written = in_bytes(report)
    assert meaning.encode() in written
    assert read_and_written(written) == written
    kept = report.get_item("CurrentRequestedProcedureEvidenceSequence")
    assert isinstance(kept, prepared.ReadyElement)


def region(meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "69536005", "SCT", meaning
    return code


def test_evidence_in_bytes_is_what_pydicom_writes() -> None:
    listed = [
        HierarchicalReference(f"1.2.{n % 2}", f"1.2.{n % 2}.{n % 3}", "1.2.840.1", f"1.2.3.{10**n}")
        for n in range(9)
    ]
    by_pydicom = Dataset()
    by_pydicom.CurrentRequestedProcedureEvidenceSequence = evidence.hierarchy(listed)
    ready = evidence.ready(listed)
    assert prepared.header(ready.tag, "SQ", ready.length) + ready.value == prepared.encoded(
        by_pydicom
    )
