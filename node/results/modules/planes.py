"""Where each slice of a source lies, as its headers say it; stand-ins and references for it.

highdicom is given stand-ins instead of the headers: small clean data sets with what it needs, so
that neither a missing type 2 attribute nor a vendor's quirk in a header can stop a result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage

from analyzers.contract import Code, Volume
from node.results import uids
from node.results.modules import copied, provenance
from node.results.prepared import Pattern, element, item, raw_sequence, sequence
from node.series.source import Source
from storage.header import values
from storage.header.values import Unknown

SOURCE_PURPOSE = Code("121322", "DCM", "Source image for image processing operation")
STAND_IN_ROOT = "2.25.1."
"""Stand-ins are numbered by slice below this root; no stand-in's UID is ever written."""


@dataclass(frozen=True, slots=True)
class ImagePlane:
    """The place of one slice, in the numbers of the header."""

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness_mm: float | None


def plane(source: Source, index: int) -> ImagePlane | None:
    """Where slice ``index`` lies; None for an image without a position (a radiograph)."""
    frame = source.frames[index]
    header = source.headers[frame.header]
    if frame.number is None or "PerFrameFunctionalGroupsSequence" not in header:
        groups = [header]
    else:
        groups = _groups(header, frame.number)
    position, orientation = _find(groups, "ImagePositionPatient"), _find(groups, _ORIENTATION)
    spacing, thickness = _find(groups, "PixelSpacing"), _find(groups, "SliceThickness")
    if position is None or orientation is None or spacing is None:
        return None
    return ImagePlane(position, orientation, spacing, thickness[0] if thickness else None)


_ORIENTATION = "ImageOrientationPatient"


def stand_ins(source: Source, volume: Volume, count: int | None = None) -> list[Dataset]:
    """One single-frame data set a slice, with the place and identity of the slice, no more.

    count: of the first so many slices alone.
    """
    first = plane(source, 0)
    common = _identity(source, volume)
    if first is None:
        common.SOPClassUID = SecondaryCaptureImageStorage  # a kind that need not lie in space
    else:
        _orient(common, source, volume, first)
    built = []
    for index in range(volume.shape[0] if count is None else count):
        stand_in = Dataset()
        stand_in.update(common)
        stand_in.SOPInstanceUID = f"{STAND_IN_ROOT}{index}"
        if first is not None:
            here = plane(source, index) or first
            stand_in.ImagePositionPatient = _decimals(here.position)
        built.append(stand_in)
    return built


def image_reference(source: Source, index: int) -> Dataset:
    """The image that slice ``index`` came from, with its frame number if it has one."""
    frame = source.frames[index]
    item = instance_reference(source.headers[frame.header])
    if frame.number is not None:
        item.ReferencedFrameNumber = frame.number
    return item


def instance_reference(header: Dataset) -> Dataset:
    """An item of a sequence with the SOP Instance Reference Macro (PS3.3 Table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def refer_to_source(dataset: Dataset, source: Source) -> None:
    """Put the images in the place of their stand-ins."""
    references = {
        f"{STAND_IN_ROOT}{index}": image_reference(source, index)
        for index in range(len(source.frames))
    }
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        for derivation in frame.get("DerivationImageSequence", []):
            for one in derivation.SourceImageSequence:
                _replace_reference(one, references)
    list_sources(dataset, source)


def list_sources(dataset: Dataset, source: Source) -> None:
    """Name the images that the object as a whole comes from, each once."""
    used = [source.headers[index] for index in sorted({frame.header for frame in source.frames})]
    references = _of_each(instance_reference(used[0]), used)
    named = element(_SERIES, "UI", str(used[0].SeriesInstanceUID).encode())
    dataset["ReferencedSeriesSequence"] = raw_sequence(
        _OF_SERIES, [item(sequence(_INSTANCES, references) + named)]
    )
    reference = as_source(instance_reference(used[0]), is_in_place=True)
    dataset["SourceImageSequence"] = raw_sequence(_SOURCES, _of_each(reference, used))


_INSTANCES, _SOURCES = Tag("ReferencedInstanceSequence"), Tag("SourceImageSequence")
_OF_SERIES, _SERIES = Tag("ReferencedSeriesSequence"), Tag("SeriesInstanceUID")


def _of_each(reference: Dataset, headers: Sequence[Dataset]) -> Iterator[bytes]:
    """The reference to each image in turn, as items of a sequence."""
    pattern = Pattern(reference, frozenset(_UIDS))
    for header in headers:
        yield item(pattern.fill(uids_of(header)))


def uids_of(header: Dataset) -> dict[str, bytes]:
    """What refers to an image, as it is written."""
    return {name: str(header[tag].value).encode() for name, tag in _UIDS.items()}


_UIDS = {
    "ReferencedSOPClassUID": Tag("SOPClassUID"),
    "ReferencedSOPInstanceUID": Tag("SOPInstanceUID"),
}


def as_source(reference: Dataset, *, is_in_place: bool) -> Dataset:
    """The reference as an item of Source Image Sequence (PS3.3 C.7.6.1.1.4).

    is_in_place: whether each pixel lies where it lay in the source.
    """
    reference.SpatialLocationsPreserved = "YES" if is_in_place else "NO"
    reference.PurposeOfReferenceCodeSequence = Items([provenance.concept(SOURCE_PURPOSE)])
    return reference


def _replace_reference(item: Dataset, references: Mapping[str, Dataset]) -> None:
    """Segments share the items of a slice: an item that was replaced already stays."""
    reference = references.get(str(item.ReferencedSOPInstanceUID))
    if reference is not None:
        item.update(reference)


def replace_dimension_organization(dataset: Dataset, organization: str) -> None:
    """highdicom draws this UID at random."""
    dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID = organization
    for one in dataset.DimensionIndexSequence:
        one.DimensionOrganizationUID = organization


def distance_mm(volume: Volume) -> float:
    """Distance between slices along the normal of the image plane."""
    step, down, right = (volume.affine[:3, axis] for axis in range(3))
    normal: NDArray[np.float64] = np.cross(down, right)
    return float(abs(step @ normal) / np.linalg.norm(normal))


def _identity(source: Source, volume: Volume) -> Dataset:
    """What all stand-ins share, wherever they lie."""
    header = source.headers[0]
    stand_in = Dataset()
    stand_in.SOPClassUID = CTImageStorage
    stand_in.StudyInstanceUID = header.StudyInstanceUID
    stand_in.SeriesInstanceUID = header.SeriesInstanceUID
    stand_in.Modality = copied.modality_of(header)
    stand_in.Rows, stand_in.Columns = volume.shape[1:]
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(stand_in, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(stand_in, keyword, "")
    for keyword in _LOSSY:
        element = copied.of(header, keyword)
        if element is not None and not element.is_empty:
            stand_in[keyword] = element
    return stand_in


_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def _orient(common: Dataset, source: Source, volume: Volume, first: ImagePlane) -> None:
    """The grid that all stand-ins share; the first slice speaks for all."""
    common.FrameOfReferenceUID = uids.frame_of_reference_uid(source)
    common.PositionReferenceIndicator = None
    landmark = copied.text_of(source.headers[0], "PositionReferenceIndicator")
    common.PositionReferenceIndicator = landmark or None
    common.ImageOrientationPatient = _decimals(first.orientation)
    common.PixelSpacing = _decimals(first.spacing)
    gap = distance_mm(volume)
    common.SliceThickness = decimal(first.thickness_mm or gap)
    if volume.shape[0] > 1:
        common.SpacingBetweenSlices = decimal(gap)


def _decimals(values: tuple[float, ...]) -> list[str]:
    """Numbers as decimal strings of at most 16 characters (VR DS)."""
    return [decimal(value) for value in values]


def decimal(value: float) -> str:
    """``value`` as a decimal string with as many digits as 16 characters hold."""
    for digits in range(15, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return "0"


def _groups(header: Dataset, number: int) -> list[Dataset]:
    """The functional groups of a frame, its own before the shared ones."""
    own = header.PerFrameFunctionalGroupsSequence[number - 1]
    shared = values.item(header, "SharedFunctionalGroupsSequence")
    found: list[Dataset] = []
    for groups in (own, shared):
        for keyword in _MACROS:
            found.extend(values.items(groups, keyword))
    return found


_MACROS = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")


def _find(groups: list[Dataset], keyword: str) -> tuple[float, ...] | None:
    for group in groups:
        found = values.numbers(group, keyword)
        if not isinstance(found, Unknown):
            return found
    return None
