"""Takes from a data set what the index keeps: identity, routing and geometry attributes.

Plain JSON values only. Nothing of a value goes into an error message: those are logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from storage.errors import UnreadableInstance
from storage.records import Header, InstanceAttributes

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
    "ViewPosition", "PerformedProcedureStepDescription", "RequestedProcedureDescription",
    "BurnedInAnnotation", "PresentationIntentType",
)  # fmt: skip
INSTANCE = (
    "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "ImageType", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
    "BitsStored", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "SliceLocation", "GantryDetectorTilt",
    "AcquisitionNumber", "AcquisitionTime", "ContentTime", "TemporalPositionIdentifier",
    "EchoTime", "EchoNumbers", "RepetitionTime", "LossyImageCompression",
)  # fmt: skip

MAX_FRAMES = 20_000
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def extract(dataset: Dataset) -> InstanceAttributes:
    """The attributes of one instance; the data set may end before its pixels.

    Raises
    ------
    UnreadableInstance
        An identifying UID is missing or is not a UID (PS3.5 chapter 9), or the file cannot be
        parsed to its end.
    """
    try:
        return _extract(dataset)
    except UnreadableInstance:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise UnreadableInstance(f"the data set cannot be parsed: {type(error).__name__}") from None


def _extract(dataset: Dataset) -> InstanceAttributes:
    return InstanceAttributes(
        sop_instance_uid=_uid(dataset, "SOPInstanceUID"),
        sop_class_uid=_uid(dataset, "SOPClassUID"),
        transfer_syntax_uid=_uid(getattr(dataset, "file_meta", Dataset()), "TransferSyntaxUID"),
        study_instance_uid=_uid(dataset, "StudyInstanceUID"),
        series_instance_uid=_uid(dataset, "SeriesInstanceUID"),
        study=_values(dataset, STUDY),
        series=_values(dataset, SERIES) | _contrast_of_enhanced(dataset),
        instance=_values(dataset, INSTANCE) | _frames(dataset),
    )


def _uid(dataset: Dataset, keyword: str) -> str:
    value = str(dataset.get(keyword) or "").strip("\0 ")
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
        except (ValueError, TypeError, OverflowError):
            continue  # a malformed value of an optional attribute: stored as received, not indexed
        if value is not None and value != "":
            found[keyword] = value
    return found


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
    return _text(value)


def _text(value: object) -> str:
    return str(value).replace("\0", "").strip()


# --- enhanced multi-frame -------------------------------------------------------------------------


def _contrast_of_enhanced(dataset: Dataset) -> dict[str, Any]:
    agents = dataset.get("ContrastBolusAgentSequence")
    if agents and "ContrastBolusAgent" not in dataset:
        return {"ContrastBolusAgent": _text(agents[0].get("CodeMeaning", "")) or "contrast agent"}
    return {}


def _frames(dataset: Dataset) -> dict[str, Any]:
    """Geometry from the functional groups (PS3.3 C.7.6.16): places of the frames, and spacing."""
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        return {}
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    first = [*shared, groups[0]]
    positions = [_position(group) for group in groups[:MAX_FRAMES]]
    found: dict[str, Any] = {}
    if all(position is not None for position in positions):
        found["FramePositions"] = positions
    orientation = _in_macro(first, "PlaneOrientationSequence")
    measures = _in_macro(first, "PixelMeasuresSequence")
    if orientation is not None:
        found |= _values(orientation, ("ImageOrientationPatient",))
    if measures is not None:
        found |= _values(measures, ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"))
    return found


def _position(group: Dataset) -> Any:
    places = group.get("PlanePositionSequence")
    return _plain(places[0].get("ImagePositionPatient")) if places else None


def _in_macro(groups: Sequence[Dataset], keyword: str) -> Dataset | None:
    for group in groups:
        items = group.get(keyword)
        if items:
            item: Dataset = items[0]
            return item
    return None


def patient_key(study: Header, study_instance_uid: str) -> str:
    """What makes two studies one patient's: ID and issuer; without an ID, the study alone."""
    identifier = study.get("PatientID", "")
    if not identifier:
        return f"study:{study_instance_uid}"[:64]
    from hashlib import sha256

    text = f"{study.get('IssuerOfPatientID', '')}\0{identifier}"
    return sha256(text.encode()).hexdigest()
