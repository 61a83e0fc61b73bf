"""Encapsulated STL (PS3.3 A.85.2): the surface of each structure, to be turned or printed.

In millimetres of the patient's coordinate system, as the images are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedSTLStorage

from analyzers.contract import Code
from analyzers.grid.surface import Surface, surface
from node.results import uids
from node.results.bench import Bench
from node.results.forms import marks
from node.results.forms.marks import Structure
from node.results.modules import copied, planes, provenance
from node.results.series_numbers import Block
from node.results.words import sentences
from node.series.source import Source

NUMBERS = Block(29)
MOST_TRIANGLES = 400_000
"""Of a structure: 20 MB, which viewers and slicers for printers bear."""
MIME_TYPE = "model/stl"
MILLIMETER = Code("mm", "UCUM", "mm")
PLANNING = Code("129013", "DCM", "Planning Intent")
"""CID 7064 Model Usage."""
MODELS = {
    "CT": Code("85040-4", "LN", "CT 3D CAM model"),
    "MR": Code("85041-2", "LN", "MR 3D CAM model"),
}
OTHER_MODEL = Code("129019", "DCM", "Mixed Modality 3D CAM model")
"""CID 7061 Model Document Title."""
_FACET = np.dtype([("numbers", "<f4", (4, 3)), ("attributes", "<u2")])


def build(bench: Bench) -> Iterator[Dataset]:
    """One object a structure that has a voxel; none where the images have no place in space."""
    source, volume = bench.source, bench.source.volume
    if volume is None or planes.plane(source, 0) is None:
        return
    found = [one for one in marks.of(bench) if isinstance(one, Structure)]
    if not found:
        return
    series_number = bench.numbers.next(NUMBERS).series_number
    for number, structure in enumerate(found):
        mask = np.stack(
            [
                structure.segmentation.plane(structure.segment, index)
                for index in range(volume.shape[0])
            ]
        )
        made = surface(mask, volume.affine, MOST_TRIANGLES)
        yield _object(bench, structure, stl(made), number, series_number)


def stl(made: Surface) -> bytes:
    """The surface as a binary STL file."""
    corners = made.corners
    facets = np.zeros(len(corners), _FACET)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    facets["numbers"][:, 0] = np.divide(
        normals, length, out=np.zeros_like(normals), where=length > 0
    )
    facets["numbers"][:, 1:] = corners
    return b"\0" * 80 + struct.pack("<I", len(facets)) + facets.tobytes()


def _object(
    bench: Bench, structure: Structure, content: bytes, number: int, series_number: int
) -> Dataset:
    source, run = bench.source, bench.provenance
    title = sentences.SURFACES(run.maker.language)
    dataset = Dataset()
    dataset.SOPClassUID = EncapsulatedSTLStorage
    dataset.SOPInstanceUID = uids.object_uid(run.key, "mesh", number)
    dataset.SeriesInstanceUID = uids.object_uid(run.key, "mesh-series")
    dataset.SeriesNumber = series_number
    dataset.InstanceNumber = number + 1
    dataset.Modality = "M3D"
    dataset.SeriesDescription = provenance.series_title(run, title)
    dataset.FrameOfReferenceUID = uids.frame_of_reference_uid(source)
    dataset.PositionReferenceIndicator = ""
    dataset.DocumentTitle = provenance.text(structure.caption.name, 1024)
    dataset.ContentDescription = provenance.text(structure.caption.name)
    kind = MODELS.get(copied.modality_of(source.headers[0]), OTHER_MODEL)
    dataset.ConceptNameCodeSequence = [provenance.concept(kind)]
    dataset.BurnedInAnnotation = "NO"
    dataset.SourceInstanceSequence = [planes.instance_reference(one) for one in source.headers]
    dataset.ReferencedSeriesSequence = [_series(source)]
    dataset.MeasurementUnitsCodeSequence = [provenance.concept(MILLIMETER)]
    dataset.ModelModification = "NO"
    dataset.ModelMirroring = "NO"
    dataset.ModelUsageCodeSequence = [provenance.concept(PLANNING)]
    rgb = structure.caption.rgb
    dataset.RecommendedDisplayCIELabValue = list(CIELabColor.from_rgb(*rgb).value)
    provenance.stamp(dataset, source, run)
    dataset.AcquisitionDateTime = ""
    dataset.MIMETypeOfEncapsulatedDocument = MIME_TYPE
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    dataset.EncapsulatedDocumentLength = len(content)
    return dataset


def _series(source: Source) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = source.headers[0].SeriesInstanceUID
    item.ReferencedInstanceSequence = [planes.instance_reference(one) for one in source.headers]
    return item
