"""What a derived image keeps of the image it was made from, by modality (PS3.3 A.3, A.4, A.21).

A list of what is kept, not of what is dropped: private attributes, vendor's scaling and pixel
statistics of the original would be wrong in an image with other pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from node.results.modules import copied
from storage.header import values

COMMON = (
    "BodyPartExamined",
    "PatientPosition",
    "Laterality",
    "ProtocolName",
    "ScanOptions",
    "InstanceNumber",
    "AcquisitionNumber",
    "AcquisitionDate",
    "AcquisitionTime",
    "PositionReferenceIndicator",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SliceLocation",
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "ContrastBolusRoute",
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
    "VOILUTFunction",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)

CT = (
    "KVP",
    "DataCollectionDiameter",
    "ReconstructionDiameter",
    "GantryDetectorTilt",
    "TableHeight",
    "ExposureTime",
    "XRayTubeCurrent",
    "Exposure",
    "FilterType",
    "ConvolutionKernel",
)

MR = (
    "ScanningSequence",
    "SequenceVariant",
    "MRAcquisitionType",
    "SequenceName",
    "RepetitionTime",
    "EchoTime",
    "EchoTrainLength",
    "InversionTime",
    "TriggerTime",
    "NumberOfAverages",
    "ImagingFrequency",
    "ImagedNucleus",
    "EchoNumbers",
    "MagneticFieldStrength",
    "FlipAngle",
    "TemporalPositionIdentifier",
    "NumberOfTemporalPositions",
    "DiffusionBValue",
)

PET = (
    "SeriesDate",
    "SeriesTime",
    "Units",
    "SUVType",
    "CountsSource",
    "SeriesType",
    "ReprojectionMethod",
    "NumberOfRRIntervals",
    "NumberOfTimeSlots",
    "NumberOfTimeSlices",
    "NumberOfSlices",
    "CorrectedImage",
    "RandomsCorrectionMethod",
    "AttenuationCorrectionMethod",
    "ScatterCorrectionMethod",
    "DecayCorrection",
    "ReconstructionDiameter",
    "ReconstructionMethod",
    "CollimatorType",
    "EnergyWindowRangeSequence",
    "RadiopharmaceuticalInformationSequence",
    "PatientOrientationCodeSequence",
    "PatientGantryRelationshipCodeSequence",
    "FrameReferenceTime",
    "TriggerTime",
    "FrameTime",
    "ActualFrameDuration",
    "LowRRValue",
    "HighRRValue",
    "DecayFactor",
    "DoseCalibrationFactor",
    "ImageIndex",
)
"""With Series Date and Time: viewers decay SUV from them (PS3.3 C.8.9.1)."""

KEPT: Mapping[str, tuple[str, ...]] = {
    CTImageStorage: (*COMMON, *CT),
    MRImageStorage: (*COMMON, *MR),
    PositronEmissionTomographyImageStorage: (*COMMON, *PET),
}

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    CTImageStorage: {"AcquisitionNumber": None, "KVP": None, "PositionReferenceIndicator": None},
    MRImageStorage: {
        "PositionReferenceIndicator": None,
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "ScanOptions": None,
        "MRAcquisitionType": None,
        "RepetitionTime": None,
        "EchoTime": None,
        "EchoTrainLength": None,
    },
    PositronEmissionTomographyImageStorage: {
        "PositionReferenceIndicator": None,
        "CorrectedImage": None,
        "CollimatorType": None,
        "AcquisitionDate": None,
        "AcquisitionTime": None,
        "ActualFrameDuration": None,
        "RadiopharmaceuticalInformationSequence": [],
        "PatientOrientationCodeSequence": [],
        "PatientGantryRelationshipCodeSequence": [],
    },
}
"""Type 2 attributes are written empty where the source lacks them; MR research mode (RM) says that
a source without a Scanning Sequence does not tell how it was made (PS3.3 C.8.3.1)."""

IMAGE_TYPES: Mapping[str, tuple[str, ...]] = {
    CTImageStorage: ("DERIVED", "SECONDARY", "AXIAL"),
    MRImageStorage: ("DERIVED", "SECONDARY", "OTHER"),
    PositronEmissionTomographyImageStorage: ("DERIVED", "PRIMARY"),
}
"""PS3.3 C.8.2.1.1.1, C.8.3.1.1.1, C.8.9.4.1.1 (PET knows no SECONDARY)."""

UNPAIRED = frozenset(
    {
        *("ABDOMEN", "ABDOMENPELVIS", "AORTA", "BACK", "BLADDER", "BRAIN"),
        *("CEREBELLUM", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "COCCYX", "COLON"),
        *("CORONARYARTERY", "CSPINE", "CTSPINE", "DUODENUM", "ESOPHAGUS", "FACE"),
        *("GALLBLADDER", "HEAD", "HEADNECK", "HEART", "ILEUM", "ILIUM"),
        *("JAW", "JEJUNUM", "LARYNX", "LIVER", "LSPINE", "LSSPINE"),
        *("MAXILLA", "MEDIASTINUM", "MOUTH", "NECK", "NECKCHEST", "NECKCHESTABDOMEN"),
        *("NECKCHESTABDPELV", "NOSE", "PANCREAS", "PELVIS", "PENIS", "PHARYNX"),
        *("PROSTATE", "RECTUM", "SCALP", "SKULL", "SPINE", "SPLEEN"),
        *("SSPINE", "STERNUM", "STOMACH", "THYMUS", "THYROID", "TLSPINE"),
        *("TONGUE", "TRACHEA", "TSPINE", "UTERUS", "VAGINA", "VULVA"),
        "WHOLEBODY",
    }
)
"""Defined terms of Body Part Examined (PS3.16 Annex L) that have no side."""

_GATING = frozenset({"CG", "PPG", "RG", "CARDIAC_GATING"})


def drop_unmet(dataset: Dataset) -> None:
    """Settle the attributes that the standard asks for, or forbids, on a condition."""
    kind = str(dataset.SOPClassUID)
    if kind == MRImageStorage:
        _settle_mr(dataset)
    if kind == PositronEmissionTomographyImageStorage:
        _settle_pet(dataset)
    elif "PatientPosition" not in dataset:
        dataset.PatientPosition = None
    if dataset.get("BurnedInAnnotation") not in ("YES", "NO"):
        dataset.pop("BurnedInAnnotation", None)
    _settle_window(dataset)
    settle_laterality(dataset)


def part_of_body(dataset: Dataset, header: Dataset) -> None:
    """What the images show, and its side, in an object of another kind made from them."""
    for keyword in ("BodyPartExamined", "Laterality"):
        element = copied.of(header, keyword)
        if element is not None and not element.is_empty:
            dataset[keyword] = element
    settle_laterality(dataset)


def settle_laterality(dataset: Dataset) -> None:
    """Laterality stands, at least empty, for every part that is not known to be unpaired."""
    if str(dataset.get("BodyPartExamined") or "").upper() in UNPAIRED:
        dataset.pop("Laterality", None)
    elif "Laterality" not in dataset:
        dataset.Laterality = None


def _settle_window(dataset: Dataset) -> None:
    """A linear window is at least 1 wide, and has a centre (PS3.3 C.11.2.1.2)."""
    least = 0.0 if dataset.get("VOILUTFunction") in ("LINEAR_EXACT", "SIGMOID") else 1.0
    widths = values.known(values.numbers(dataset, "WindowWidth")) or ()
    centres = values.known(values.numbers(dataset, "WindowCenter")) or ()
    if not widths or len(widths) != len(centres) or not all(w > 0 and w >= least for w in widths):
        for keyword in _WINDOW:
            dataset.pop(keyword, None)


_WINDOW = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")


def _settle_mr(dataset: Dataset) -> None:
    if "IR" not in _values(dataset, "ScanningSequence"):
        dataset.pop("InversionTime", None)
    if not _GATING & _values(dataset, "ScanOptions"):
        dataset.pop("TriggerTime", None)


def _settle_pet(dataset: Dataset) -> None:
    """Patient Position and Patient Orientation Code Sequence exclude one another."""
    dataset.pop("PatientPosition", None)
    series = _values(dataset, "SeriesType")
    if "GATED" not in series:
        for keyword in ("NumberOfRRIntervals", "NumberOfTimeSlots", "TriggerTime", "FrameTime"):
            dataset.pop(keyword, None)
    if "DYNAMIC" not in series:
        dataset.pop("NumberOfTimeSlices", None)
    if "REPROJECTION" not in series:
        dataset.pop("ReprojectionMethod", None)


def _values(dataset: Dataset, keyword: str) -> set[str]:
    return {str(part) for part in _listed(dataset.get(keyword))}


def _listed(value: Any) -> list[Any]:
    if value in (None, ""):
        return []
    return list(value) if isinstance(value, MultiValue) else [value]
