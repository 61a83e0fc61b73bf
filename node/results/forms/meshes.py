"""Encapsulated STL (PS3.3 A.85.2): the surface of each structure, to be turned or printed.

In millimetres of the patient's coordinate system, as the images are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedSTLStorage

from analyzers.contract import Code
from analyzers.grid.surface import TOLERATED, Surface, TooManyFaces, surface
from node.results import uids
from node.results.bench import Bench
from node.results.errors import GateRefused, TooDetailed
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
        try:
            made = surface(_mask(structure), volume.affine, MOST_TRIANGLES)
        except TooManyFaces as error:
            raise TooDetailed(f"{structure.caption.name}: {error}") from error
        yield _object(bench, structure, stl(made), number, series_number)


def _mask(structure: Structure) -> NDArray[np.bool_]:
    of = structure.segmentation
    return np.stack([of.plane(structure.segment, index) for index in range(len(of.labels))])


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


# --- read back ------------------------------------------------------------------------------------


def read_back(path: Path, bench: Bench, number: int) -> None:
    """The written surface encloses the volume of its structure, and lies where that lies.

    Raises ``GateRefused``.
    """
    dataset, volume = pydicom.dcmread(path), bench.source.volume
    structures = [one for one in marks.of(bench) if isinstance(one, Structure)]
    facets = _facets(dataset)
    if facets is None or volume is None:
        raise GateRefused("m3d", ("what it holds is no whole STL file",))
    mask = _mask(structures[number])
    voxel = abs(float(np.linalg.det(volume.affine[:3, :3])))
    diagonal = float(np.linalg.norm(volume.affine[:3, :3].sum(axis=1)))
    wanted = float(np.count_nonzero(mask)) * voxel
    a, b, c = np.moveaxis(facets.astype(np.float64), 1, 0)
    parts = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6
    enclosed = float(parts.sum())
    reasons = []
    if abs(enclosed - wanted) > TOLERATED * wanted + _ROUNDED * voxel:
        reasons.append("the surface encloses another volume than its structure has")
    middle = volume.affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + volume.affine[:3, 3]
    centre = parts @ (a + b + c) / 4 / (enclosed or np.nan)
    if not np.linalg.norm(centre - middle) <= max(diagonal, np.cbrt(wanted) * TOLERATED):
        reasons.append("the middle of the surface is not that of its structure")
    if reasons:
        raise GateRefused("m3d", tuple(reasons))


def _facets(dataset: Dataset) -> NDArray[np.float32] | None:
    """(facet, corner, coordinate); None where the file is cut off or says another number."""
    held, length = bytes(dataset.EncapsulatedDocument), int(dataset.EncapsulatedDocumentLength)
    start = 84
    if length < start or length > len(held):
        return None
    (count,) = struct.unpack_from("<I", held, start - 4)
    if not count or length != start + count * _FACET.itemsize:
        return None
    found: NDArray[np.float32] = np.frombuffer(held, _FACET, count, start)["numbers"][:, 1:]
    return found


_ROUNDED = 0.01
"""Voxels: coordinates are written in single precision."""
