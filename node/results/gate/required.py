"""What each kind of object must hold: type 1 and type 2 attributes of its modules (PS3.3).

Type 1 must have a value, type 2 must be there. Written down by hand from the module tables, so
that the gate does not believe the library that made the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    BlendingSoftcopyPresentationStateStorage,
    Comprehensive3DSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    EncapsulatedSTLStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MRImageStorage,
    ParametricMapStorage,
    PositronEmissionTomographyImageStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    SpatialRegistrationStorage,
)

from node.results.gate import inherited
from node.series.source import Source

LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")


@dataclass(frozen=True, slots=True)
class Required:
    """Keywords at the top level of a data set, and paths below it."""

    valued: tuple[str, ...]
    """Type 1."""
    present: tuple[str, ...]
    """Type 2."""
    items: Mapping[str, tuple[str, ...]]
    """Type 1 in every item of a sequence; the path is "Outer/Inner"."""
    groups: tuple[str, ...] = ()
    """Functional group macros that every frame has, its own or shared (PS3.3 C.7.6.16)."""


_VALUED = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber", "Manufacturer"),
    *("InstanceNumber", "InstanceCreationDate", "ContributingEquipmentSequence", "SeriesNumber"),
)
_PRESENT = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
_EQUIPMENT_ITEM = {
    "ContributingEquipmentSequence": ("PurposeOfReferenceCodeSequence", "Manufacturer")
}
_PIXELS = (
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
    *("BitsStored", "HighBit", "PixelRepresentation", "PixelData", "ImageType"),
)
_PLANE = (
    *("FrameOfReferenceUID", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"),
    *("DerivationDescription", "DerivationCodeSequence", "SourceImageSequence"),
)
_PLANE_PRESENT = ("PositionReferenceIndicator", "SliceThickness")
_REFERENCE = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")

_SEG = Required(
    valued=(
        *(*_VALUED, *_PIXELS, "ContentDate", "ContentTime", "ContentLabel", "SegmentationType"),
        *("SegmentSequence", "SegmentsOverlap", "NumberOfFrames", "ReferencedSeriesSequence"),
        *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
        *("DimensionOrganizationSequence", "DimensionIndexSequence", "LossyImageCompression"),
    ),
    present=(*_PRESENT, "ContentDescription", "ContentCreatorName"),
    items={
        **_EQUIPMENT_ITEM,
        "SegmentSequence": (
            *("SegmentNumber", "SegmentLabel", "SegmentAlgorithmType", "SegmentAlgorithmName"),
            *("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"),
            *("SegmentationAlgorithmIdentificationSequence", "TrackingID", "TrackingUID"),
        ),
        "SegmentSequence/SegmentationAlgorithmIdentificationSequence": (
            *("AlgorithmFamilyCodeSequence", "AlgorithmName", "AlgorithmVersion"),
        ),
        "PerFrameFunctionalGroupsSequence": ("FrameContentSequence",),
        "PerFrameFunctionalGroupsSequence/FrameContentSequence": ("DimensionIndexValues",),
        "PerFrameFunctionalGroupsSequence/DerivationImageSequence": ("DerivationCodeSequence",),
        "ReferencedSeriesSequence": ("SeriesInstanceUID", "ReferencedInstanceSequence"),
    },
    groups=("FrameContentSequence", "SegmentIdentificationSequence", "DerivationImageSequence"),
)

_LABEL_MAP = Required(
    valued=_SEG.valued,
    present=_SEG.present,
    items={
        **_SEG.items,
        "SegmentSequence": (
            *("SegmentNumber", "SegmentLabel", "SegmentAlgorithmType", "SegmentAlgorithmName"),
            *("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"),
        ),
    },
    groups=("FrameContentSequence", "DerivationImageSequence"),
)
"""The background is described too, and followed up by nobody."""

_SR = Required(
    valued=(
        *(*_VALUED, "ContentDate", "ContentTime", "CompletionFlag", "VerificationFlag"),
        *("ValueType", "ConceptNameCodeSequence", "ContinuityOfContent", "ContentSequence"),
        "CurrentRequestedProcedureEvidenceSequence",
        "ContentTemplateSequence",
    ),
    present=(
        *_PRESENT,
        "PerformedProcedureCodeSequence",
        "ReferencedPerformedProcedureStepSequence",
    ),
    items={
        **_EQUIPMENT_ITEM,
        "CurrentRequestedProcedureEvidenceSequence": (
            *("StudyInstanceUID", "ReferencedSeriesSequence"),
        ),
        "CurrentRequestedProcedureEvidenceSequence/ReferencedSeriesSequence": (
            *("SeriesInstanceUID", "ReferencedSOPSequence"),
        ),
    },
)

_DERIVED_ITEMS = {**_EQUIPMENT_ITEM, "SourceImageSequence": _REFERENCE}

_CT = Required(
    valued=(*_VALUED, *_PIXELS, *_PLANE, "RescaleIntercept", "RescaleSlope"),
    present=(*_PRESENT, *_PLANE_PRESENT, "KVP", "AcquisitionNumber"),
    items=_DERIVED_ITEMS,
)

_MR = Required(
    valued=(*_VALUED, *_PIXELS, *_PLANE, "ScanningSequence", "SequenceVariant"),
    present=(
        *(*_PRESENT, *_PLANE_PRESENT, "ScanOptions", "MRAcquisitionType"),
        *("EchoTime", "EchoTrainLength"),
    ),
    items=_DERIVED_ITEMS,
)

_PET = Required(
    valued=(
        *(*_VALUED, *_PIXELS, *_PLANE, "RescaleIntercept", "RescaleSlope", "SeriesDate"),
        *("SeriesTime", "Units", "CountsSource", "SeriesType", "NumberOfSlices"),
        *("DecayCorrection", "FrameReferenceTime", "ImageIndex"),
    ),
    present=(
        *(*_PRESENT, *_PLANE_PRESENT, "CorrectedImage", "CollimatorType", "AcquisitionDate"),
        *("AcquisitionTime", "ActualFrameDuration", "RadiopharmaceuticalInformationSequence"),
        *("PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence"),
    ),
    items=_DERIVED_ITEMS,
)

_SC = Required(
    valued=(*_VALUED, *_PIXELS, "ConversionType", "PlanarConfiguration"),
    present=(*_PRESENT, "PatientOrientation"),
    items=_DERIVED_ITEMS,
)

_MAP = Required(
    valued=(
        *(*_VALUED, "ContentDate", "ContentTime", "ContentLabel", "FloatPixelData"),
        *("Rows", "Columns", "NumberOfFrames", "FrameOfReferenceUID", "ImageType"),
        *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
        *("DimensionOrganizationSequence", "DimensionIndexSequence", "ReferencedSeriesSequence"),
        *("ContentQualification", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"),
        *("BurnedInAnnotation", "RecognizableVisualFeatures", "LossyImageCompression"),
        "PresentationLUTShape",
    ),
    present=(
        *(*_PRESENT, "ContentDescription", "ContentCreatorName", "AcquisitionContextSequence"),
        "PositionReferenceIndicator",
    ),
    items={
        **_EQUIPMENT_ITEM,
        "ReferencedSeriesSequence": ("ReferencedInstanceSequence",),
    },
    groups=(
        *("FrameContentSequence", "DerivationImageSequence", "PixelValueTransformationSequence"),
        *("RealWorldValueMappingSequence", "ParametricMapFrameTypeSequence"),
    ),
)

_REG = Required(
    valued=(
        *(*_VALUED, "ContentDate", "ContentTime", "ContentLabel", "FrameOfReferenceUID"),
        *("RegistrationSequence", "ReferencedSeriesSequence"),
    ),
    present=(*_PRESENT, "ContentDescription", "ContentCreatorName", "PositionReferenceIndicator"),
    items={
        **_EQUIPMENT_ITEM,
        "RegistrationSequence": ("MatrixRegistrationSequence", "ReferencedImageSequence"),
        "RegistrationSequence/ReferencedImageSequence": _REFERENCE,
        "RegistrationSequence/MatrixRegistrationSequence": ("MatrixSequence",),
        "RegistrationSequence/MatrixRegistrationSequence/MatrixSequence": (
            *("FrameOfReferenceTransformationMatrix", "FrameOfReferenceTransformationMatrixType"),
        ),
        "ReferencedSeriesSequence": ("SeriesInstanceUID", "ReferencedInstanceSequence"),
        "ReferencedSeriesSequence/ReferencedInstanceSequence": _REFERENCE,
    },
)

_BLENDING = Required(
    valued=(
        *(*_VALUED, "ContentLabel", "PresentationCreationDate", "PresentationCreationTime"),
        *("BlendingSequence", "RelativeOpacity", "DisplayedAreaSelectionSequence", "ICCProfile"),
        *(f"{channel}PaletteColorLookupTableData" for channel in ("Red", "Green", "Blue")),
        *(f"{channel}PaletteColorLookupTableDescriptor" for channel in ("Red", "Green", "Blue")),
    ),
    present=(*_PRESENT, "ContentDescription", "ContentCreatorName"),
    items={
        **_EQUIPMENT_ITEM,
        "BlendingSequence": ("BlendingPosition", "StudyInstanceUID", "ReferencedSeriesSequence"),
        "BlendingSequence/ReferencedSeriesSequence": (
            *("SeriesInstanceUID", "ReferencedImageSequence"),
        ),
        "BlendingSequence/ReferencedSeriesSequence/ReferencedImageSequence": _REFERENCE,
        "DisplayedAreaSelectionSequence": (
            *("DisplayedAreaTopLeftHandCorner", "DisplayedAreaBottomRightHandCorner"),
            "PresentationSizeMode",
        ),
    },
)

_WINDOW = Required(
    valued=(
        *(*_VALUED, "ContentLabel", "PresentationCreationDate", "PresentationCreationTime"),
        *("ReferencedSeriesSequence", "DisplayedAreaSelectionSequence", "PresentationLUTShape"),
    ),
    present=(*_PRESENT, "ContentDescription", "ContentCreatorName"),
    items={
        **_EQUIPMENT_ITEM,
        "ReferencedSeriesSequence": ("SeriesInstanceUID", "ReferencedImageSequence"),
        "ReferencedSeriesSequence/ReferencedImageSequence": _REFERENCE,
        "SoftcopyVOILUTSequence": ("WindowCenter", "WindowWidth"),
        "GraphicAnnotationSequence": ("GraphicLayer",),
        "GraphicAnnotationSequence/TextObjectSequence": ("UnformattedTextValue",),
        "GraphicAnnotationSequence/GraphicObjectSequence": (
            *("GraphicAnnotationUnits", "GraphicDimensions", "NumberOfGraphicPoints"),
            *("GraphicData", "GraphicType"),
        ),
        "GraphicLayerSequence": ("GraphicLayer", "GraphicLayerOrder"),
    },
)

_KEY_OBJECTS = Required(
    valued=(
        *(*_VALUED, "ContentDate", "ContentTime", "ValueType", "ContinuityOfContent"),
        *("ConceptNameCodeSequence", "ContentTemplateSequence", "ContentSequence"),
        "CurrentRequestedProcedureEvidenceSequence",
    ),
    present=(*_PRESENT, "ReferencedPerformedProcedureStepSequence"),
    items=_EQUIPMENT_ITEM,
)

_DOCUMENT = Required(
    valued=(
        *(*_VALUED, "ContentDate", "ContentTime", "ConversionType", "BurnedInAnnotation"),
        *("SourceInstanceSequence", "MIMETypeOfEncapsulatedDocument", "EncapsulatedDocument"),
    ),
    present=(*_PRESENT, "AcquisitionDateTime", "DocumentTitle", "ConceptNameCodeSequence"),
    items={**_EQUIPMENT_ITEM, "SourceInstanceSequence": _REFERENCE},
)

_MESH = Required(
    valued=(
        *(*_VALUED, "ContentDate", "ContentTime", "BurnedInAnnotation", "FrameOfReferenceUID"),
        *("SourceInstanceSequence", "MIMETypeOfEncapsulatedDocument", "EncapsulatedDocument"),
        *("ConceptNameCodeSequence", "MeasurementUnitsCodeSequence", "ModelModification"),
        *("ModelMirroring", "ModelUsageCodeSequence", "ContentDescription"),
    ),
    present=(*_PRESENT, "AcquisitionDateTime", "DocumentTitle", "PositionReferenceIndicator"),
    items={**_EQUIPMENT_ITEM, "SourceInstanceSequence": _REFERENCE},
)

_STRUCTURE_SET = Required(
    valued=(
        *(*_VALUED, "StructureSetLabel", "StructureSetDate", "StructureSetTime"),
        *("FrameOfReferenceUID", "ReferencedFrameOfReferenceSequence", "StructureSetROISequence"),
        *("ROIContourSequence", "RTROIObservationsSequence", "ApprovalStatus"),
    ),
    present=(*_PRESENT, "OperatorsName", "PositionReferenceIndicator"),
    items={
        **_EQUIPMENT_ITEM,
        "ReferencedFrameOfReferenceSequence": ("FrameOfReferenceUID", "RTReferencedStudySequence"),
        "StructureSetROISequence": (
            *("ROINumber", "ReferencedFrameOfReferenceUID", "ROIName", "ROIGenerationAlgorithm"),
        ),
        "ROIContourSequence": ("ReferencedROINumber", "ROIDisplayColor", "ContourSequence"),
        "ROIContourSequence/ContourSequence": (
            *("ContourImageSequence", "ContourGeometricType", "NumberOfContourPoints"),
            "ContourData",
        ),
        "RTROIObservationsSequence": ("ObservationNumber", "ReferencedROINumber"),
    },
)

REQUIRED: Mapping[str, Required] = {
    SegmentationStorage: _SEG,
    LABEL_MAP_STORAGE: _LABEL_MAP,
    Comprehensive3DSRStorage: _SR,
    KeyObjectSelectionDocumentStorage: _KEY_OBJECTS,
    CTImageStorage: _CT,
    EncapsulatedPDFStorage: _DOCUMENT,
    MRImageStorage: _MR,
    PositronEmissionTomographyImageStorage: _PET,
    SecondaryCaptureImageStorage: _SC,
    ParametricMapStorage: _MAP,
    SpatialRegistrationStorage: _REG,
    EncapsulatedSTLStorage: _MESH,
    RTStructureSetStorage: _STRUCTURE_SET,
    BlendingSoftcopyPresentationStateStorage: _BLENDING,
    GrayscaleSoftcopyPresentationStateStorage: _WINDOW,
}


def missing(dataset: Dataset, source: Source | None = None) -> list[str]:
    """The required attributes that the object lacks, as sentences; empty when it is complete.

    A gap that the images have in what is copied from them is not the object's.
    """
    table = REQUIRED.get(str(dataset.get("SOPClassUID")))
    if table is None:
        return [f"SOP class {dataset.get('SOPClassUID')} is none that the node makes"]
    empty = [word for word in table.valued if not _valued(dataset, word)]
    if source is not None:
        empty = [word for word in empty if not inherited.is_gap(word, dataset, source)]
    found = [f"{word} is missing or empty" for word in empty]
    found += [f"{word} is missing" for word in table.present if word not in dataset]
    for path, keywords in table.items.items():
        for item in _items([dataset], path.split("/")):
            found += [f"{path}/{word} is missing" for word in keywords if not _valued(item, word)]
    groups = (*table.groups, *(_PLACE if table.groups and _is_placed(dataset) else ()))
    found += [f"{word} is missing" for word in groups if not _in_every_frame(dataset, word)]
    return list(dict.fromkeys(found))


_PLACE = ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence")


def _is_placed(dataset: Dataset) -> bool:
    """Whether its frames lie in space: a segmentation of a radiograph does not."""
    return _valued(dataset, "FrameOfReferenceUID")


def _in_every_frame(dataset: Dataset, macro: str) -> bool:
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    return any(_valued(one, macro) for one in shared) or all(_valued(one, macro) for one in frames)


def _valued(dataset: Dataset, keyword: str) -> bool:
    return keyword in dataset and not dataset[keyword].is_empty


def _items(datasets: list[Dataset], path: list[str]) -> list[Dataset]:
    for keyword in path:
        datasets = [item for dataset in datasets for item in dataset.get(keyword) or []]
    return datasets
