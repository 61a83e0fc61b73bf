"""Where a companion lies on the source, as a Spatial Registration object (PS3.3 A.39.1).

Workstations lay the original images one on the other by it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import SpatialRegistrationStorage

from analyzers.contract import Registration
from node.results import uids
from node.results.errors import FindingsContradictImages
from node.results.modules import origin, planes, provenance
from node.results.modules.source import Provenance
from node.results.series_numbers import SeriesPlace
from node.series.source import Source

LABEL = "REGISTRATION"
RIGID_TOLERANCE = 1e-6


def build(
    source: Source, item: Registration, provenance_: Provenance, place: SeriesPlace
) -> Dataset:
    """The object, ready to be written.

    Raises ``FindingsContradictImages`` for a matrix that is not rigid, or an unknown companion.
    """
    _check(item.matrix)
    other = origin.companion_source(source, item.role)
    dataset = Dataset()
    dataset.SOPClassUID = SpatialRegistrationStorage
    dataset.SOPInstanceUID = uids.object_uid(provenance_.key, "registration", place.index)
    dataset.SeriesInstanceUID = uids.object_uid(provenance_.key, "registration-series", place.index)
    dataset.Modality = "REG"
    dataset.SeriesNumber = place.series_number
    dataset.InstanceNumber = 1
    title = provenance.text(item.title)
    dataset.SeriesDescription = provenance.series_title(provenance_, title)
    dataset.FrameOfReferenceUID = uids.frame_of_reference_uid(source)
    dataset.PositionReferenceIndicator = ""
    dataset.Laterality = ""
    dataset.ContentLabel = LABEL
    dataset.ContentDescription = title
    dataset.ContentCreatorName = ""
    dataset.RegistrationSequence = Items(
        [_placed(source, np.eye(4)), _placed(other, item.matrix, title)]
    )
    dataset.ReferencedSeriesSequence = Items([series_reference(source), series_reference(other)])
    provenance.stamp(dataset, source, provenance_)
    return dataset


def read_matrix(dataset: Dataset) -> NDArray[np.float64]:
    """What a written object says: companion LPS mm → source LPS mm."""
    (matrix,) = dataset.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence
    values = [float(value) for value in matrix.FrameOfReferenceTransformationMatrix]
    return np.array(values).reshape(4, 4)


def series_reference(source: Source) -> Dataset:
    """The series and its instances (PS3.3 C.12.2, Common Instance Reference)."""
    item = Dataset()
    item.SeriesInstanceUID = source.headers[0].SeriesInstanceUID
    item.ReferencedInstanceSequence = Items(image_references(source))
    return item


def image_references(source: Source) -> list[Dataset]:
    return [planes.instance_reference(header) for header in source.headers]


def _check(matrix: NDArray[np.float64]) -> None:
    turn = matrix[:3, :3]
    rigid = np.allclose(turn @ turn.T, np.eye(3), atol=RIGID_TOLERANCE) and np.linalg.det(turn) > 0
    if not rigid or not np.allclose(matrix[3], (0, 0, 0, 1)) or not np.isfinite(matrix).all():
        raise FindingsContradictImages("the registration is not a rigid movement")


def _placed(series: Source, matrix: NDArray[np.float64], comment: str = "") -> Dataset:
    """Images of a series, and the matrix that brings them to the frame of reference in common."""
    inner = Dataset()
    inner.FrameOfReferenceTransformationMatrix = [planes.decimal(float(v)) for v in matrix.ravel()]
    inner.FrameOfReferenceTransformationMatrixType = "RIGID"
    step = Dataset()
    step.MatrixSequence = Items([inner])
    step.RegistrationTypeCodeSequence = Items()
    if comment:
        step.FrameOfReferenceTransformationComment = comment
    item = Dataset()
    item.FrameOfReferenceUID = uids.frame_of_reference_uid(series)
    item.ReferencedImageSequence = Items(image_references(series))
    item.MatrixRegistrationSequence = Items([step])
    return item
