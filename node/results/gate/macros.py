"""What the items of a sequence must hold wherever it stands: macros of PS3.3, written down by hand.

Type 1 only. What an object must hold at its top is ``node.results.gate.required``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydicom.dataset import Dataset

_REFERENCE = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")

IN_EVERY_ITEM: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            *("SourceImageSequence", "ReferencedInstanceSequence", "ReferencedSOPSequence"),
            "ReferencedImageSequence",
        ),
        _REFERENCE,
    ),
    "ReferencedSeriesSequence": ("SeriesInstanceUID",),
    "DimensionOrganizationSequence": ("DimensionOrganizationUID",),
    "DimensionIndexSequence": (
        *("DimensionOrganizationUID", "DimensionIndexPointer", "FunctionalGroupPointer"),
    ),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "SegmentIdentificationSequence": ("ReferencedSegmentNumber",),
    "FrameContentSequence": ("DimensionIndexValues",),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth"),
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope", "RescaleType"),
    "ParametricMapFrameTypeSequence": ("FrameType",),
    "RealWorldValueMappingSequence": (
        *("LUTExplanation", "LUTLabel", "MeasurementUnitsCodeSequence"),
        *("RealWorldValueIntercept", "RealWorldValueSlope"),
        *(f"DoubleFloatRealWorldValue{end}ValueMapped" for end in ("First", "Last")),
    ),
    "QuantityDefinitionSequence": ("ValueType", "ConceptNameCodeSequence", "ConceptCodeSequence"),
    "DerivationImageSequence": ("DerivationCodeSequence", "SourceImageSequence"),
    "DisplayedAreaSelectionSequence": (
        *("DisplayedAreaTopLeftHandCorner", "DisplayedAreaBottomRightHandCorner"),
        "PresentationSizeMode",
    ),
    "SoftcopyVOILUTSequence": ("WindowCenter", "WindowWidth"),
    "ContentTemplateSequence": ("MappingResource", "TemplateIdentifier"),
}
"""PS3.3 10, C.7.6.16.2, C.7.6.17, C.8.20.3, C.8.23.3, C.10.4, C.11.8. The node writes no LUTs."""

WITH_A_PURPOSE = ("DerivationImageSequence", "SourceImageSequence")
"""Where a source image must say what it was used for (PS3.3 Table C.7.6.16-7)."""

NEEDS: Mapping[str, tuple[str, ...]] = {
    "WindowCenter": ("WindowWidth",),
    "WindowWidth": ("WindowCenter",),
    "RescaleIntercept": ("RescaleSlope",),
    "RescaleSlope": ("RescaleIntercept",),
    "ImagePositionPatient": ("ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID"),
    "ImageOrientationPatient": ("ImagePositionPatient",),
}
"""What stands at the top of an object needs these beside it (PS3.3 C.7.6.2, C.11.1, C.11.2)."""

NEVER_EMPTY = frozenset(
    {
        *("SpecificCharacterSet", "RescaleType", "FrameOfReferenceUID", "PixelSpacing"),
        *("ImagePositionPatient", "ImageOrientationPatient", "PresentationPixelSpacing"),
        *("FloatingPointValue", "ReferencedSegmentNumber", "ReferencedFrameNumber"),
    }
)
"""Types 1 and 1C: left out or with a value."""

MAY_BE_EMPTY = frozenset(
    {
        *("ReferencedPerformedProcedureStepSequence", "PerformedProcedureCodeSequence"),
        *("RequestedProcedureCodeSequence", "ReferencedStudySequence"),
        *(
            "AcquisitionContextSequence",
            "RegistrationTypeCodeSequence",
            "RadiopharmaceuticalInformationSequence",
        ),
        *("PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence"),
    }
)
"""Sequences of type 2 among those that the node writes."""


def missing(sequence: str, item: Dataset) -> Iterator[str]:
    """The attributes that an item of the sequence lacks."""
    for keyword in IN_EVERY_ITEM.get(sequence, ()):
        if not _valued(item, keyword):
            yield keyword


def torn(dataset: Dataset) -> Iterator[str]:
    """The attributes that are missing or empty beside others that need them."""
    for keyword, needed in NEEDS.items():
        if _valued(dataset, keyword):
            yield from (word for word in needed if not _valued(dataset, word))
    if _valued(dataset, "FrameOfReferenceUID") and "PositionReferenceIndicator" not in dataset:
        yield "PositionReferenceIndicator"  # type 2


def _valued(item: Dataset, keyword: str) -> bool:
    return keyword in item and not item[keyword].is_empty
