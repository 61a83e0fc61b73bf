"""Takes from a data set what the index keeps: identity, routing and geometry attributes.

Plain JSON values only. Nothing of a value goes into an error message: those are logged.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as PydicomSequence
from pydicom.valuerep import PersonName

from storage.errors import UnreadableInstance
from storage.records import InstanceAttributes

STUDY = (
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "PatientAge", "PatientSize", "PatientWeight",
    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
    "StudyDescription", "ReferringPhysicianName", "InstitutionName",
)  # fmt: skip
SERIES = (
    "Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SeriesDate",
    "SeriesTime", "BodyPartExamined", "ProtocolName", "Laterality", "PatientPosition",
    "Manufacturer", "ManufacturerModelName", "StationName", "SoftwareVersions",
    "InstitutionalDepartmentName", "ContrastBolusAgent", "ContrastBolusRoute",
    "ConvolutionKernel", "ScanOptions", "ScanningSequence", "SequenceVariant", "SequenceName",
    "MRAcquisitionType", "MagneticFieldStrength", "KVP", "FrameOfReferenceUID", "Units",
    "PerformedProcedureStepDescription", "RequestedProcedureDescription",
    "BurnedInAnnotation", "PresentationIntentType",
)  # fmt: skip
INSTANCE = (
    "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "ImageType", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
    "BitsStored", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "SliceLocation", "GantryDetectorTilt",
    "AcquisitionNumber", "AcquisitionTime", "ContentTime", "TemporalPositionIdentifier",
    "EchoTime", "EchoNumbers", "RepetitionTime", "LossyImageCompression", "ViewPosition",
)  # fmt: skip

_UNDECODED = re.compile("[\ud800-\udfff]")
"""What stands for bytes that do not decode; see ``storage.header.guarded``."""
_NUMERIC = frozenset(
    keyword
    for keyword in (*STUDY, *SERIES, *INSTANCE)
    if dictionary_VR(keyword) in ("DS", "FD", "FL", "IS", "SL", "SS", "UL", "US")
)
"""pydicom leaves text in these when it is no number and its validation is off."""

MAX_FRAMES = 20_000
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")

_MALFORMED = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, LookupError,
    NotImplementedError, RecursionError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
"""What pydicom raises when it converts a value that is not of its VR."""


def extract(dataset: Dataset) -> InstanceAttributes:
    """The attributes of one instance; the data set may end before its pixels.

    Raises
    ------
    UnreadableInstance
        An identifying UID is missing or is not a UID (PS3.5 chapter 9).
    """
    return InstanceAttributes(
        sop_instance_uid=_uid(dataset, "SOPInstanceUID"),
        sop_class_uid=_uid(dataset, "SOPClassUID"),
        transfer_syntax_uid=_uid(getattr(dataset, "file_meta", Dataset()), "TransferSyntaxUID"),
        study_instance_uid=_uid(dataset, "StudyInstanceUID"),
        series_instance_uid=_uid(dataset, "SeriesInstanceUID"),
        study=_values(dataset, STUDY),
        series=series_values(dataset),
        instance=instance_values(dataset),
    )


def series_values(dataset: Dataset) -> dict[str, Any]:
    """What the index keeps of the series, as ``InstanceAttributes.series``."""
    return _values(dataset, SERIES) | _contrast_of_enhanced(dataset)


def instance_values(dataset: Dataset, keywords: Iterable[str] = INSTANCE) -> dict[str, Any]:
    """What the index keeps of the image itself, as ``InstanceAttributes.instance``.

    keywords: those that are wanted, where that is not all; an Enhanced image's places always are.
    """
    return _values(dataset, keywords) | _frames(dataset)


def _uid(dataset: Dataset, keyword: str) -> str:
    try:
        value = str(dataset.get(keyword) or "").strip("\0 ")
    except _MALFORMED as error:
        raise UnreadableInstance(f"{keyword} cannot be parsed: {type(error).__name__}") from None
    if not value:
        raise UnreadableInstance(f"{keyword} is missing")
    if len(value) > 64 or not _UID.fullmatch(value):
        raise UnreadableInstance(f"{keyword} is not a UID")
    return value


def _values(dataset: Dataset, keywords: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for keyword in keywords:
        if keyword not in dataset:
            continue
        try:
            value = _plain(dataset.get(keyword))
        except _MALFORMED:
            continue  # a malformed value of an optional attribute: stored as received, not indexed
        if value in (None, "") or not _is_of_kind(value, keyword):
            continue
        found[keyword] = value
    return found


def _is_of_kind(value: object, keyword: str) -> bool:
    """Numbers where numbers belong, else text: an explicit VR may say anything."""
    members = value if isinstance(value, list) else [value]
    if keyword in _NUMERIC:
        return all(isinstance(one, int | float) for one in members)
    return all(one is None or isinstance(one, str) for one in members)


def _plain(value: object) -> Any:
    """A JSON value, or None. DS and IS become numbers, person names text."""
    if isinstance(value, MultiValue | list | tuple):
        plain = [_plain(one) for one in value]
        return None if all(one is None for one in plain) else plain
    if value is None or isinstance(value, bytes | Dataset):
        return None
    if isinstance(value, bool | PersonName):
        return _text(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if abs(number) < float("inf") else None
    return _text(value) if isinstance(value, str) else None


def _text(value: object) -> str:
    text = str(value).replace("\0", "").strip()
    return _UNDECODED.sub("\ufffd", text)  # no lone surrogates: no database takes them


# --- enhanced multi-frame -------------------------------------------------------------------------


def _contrast_of_enhanced(dataset: Dataset) -> dict[str, Any]:
    agents = _items(dataset, "ContrastBolusAgentSequence")
    if agents and "ContrastBolusAgent" not in dataset:
        name = _values(agents[0], ("CodeMeaning",)).get("CodeMeaning")
        return {"ContrastBolusAgent": name or "contrast agent"}
    return {}


def _frames(dataset: Dataset) -> dict[str, Any]:
    """Geometry from the functional groups (PS3.3 C.7.6.16): places of the frames, and spacing."""
    groups = _items(dataset, "PerFrameFunctionalGroupsSequence")
    if not groups:
        return {}
    first = [*_items(dataset, "SharedFunctionalGroupsSequence"), groups[0]]
    positions = [_position(group) for group in groups[:MAX_FRAMES]]
    found: dict[str, Any] = {}
    if all(len(position) == 3 for position in positions):
        found["FramePositions"] = positions
    orientation = _in_macro(first, "PlaneOrientationSequence")
    measures = _in_macro(first, "PixelMeasuresSequence")
    if orientation is not None:
        found |= _values(orientation, ("ImageOrientationPatient",))
    if measures is not None:
        found |= _values(measures, ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"))
    return found


def _position(group: Dataset) -> list[float]:
    place = _in_macro([group], "PlanePositionSequence")
    position = _values(place or Dataset(), ("ImagePositionPatient",)).get("ImagePositionPatient")
    return position if isinstance(position, list) and None not in position else []


def _in_macro(groups: Sequence[Dataset], keyword: str) -> Dataset | None:
    for group in groups:
        items = _items(group, keyword)
        if items:
            return items[0]
    return None


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none when it is missing or is no sequence."""
    try:
        value = dataset.get(keyword)
    except _MALFORMED:
        return []
    return list(value) if isinstance(value, PydicomSequence) else []
