"""Turns the header of a CT image into that of an Enhanced CT image (PS3.3 A.38)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

_PER_FRAME = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "WindowCenter",
    "WindowWidth",
    "KVP",
    "ConvolutionKernel",
    "GantryDetectorTilt",
    "AcquisitionDate",
    "AcquisitionTime",
    "BodyPartExamined",
)
"""What stands in functional groups, not in the data set itself."""


def enhance(common: Dataset, positions: Sequence[Sequence[str]], dimension_uid: str) -> Dataset:
    """An Enhanced CT header with one frame a position, in the order given; no pixels yet."""
    image = deepcopy(common)
    image.SOPClassUID = uid.EnhancedCTImageStorage
    image.NumberOfFrames = len(positions)
    _set_equipment(image)
    _set_image(image)
    _set_dimensions(image, dimension_uid)
    image.SharedFunctionalGroupsSequence = Items([_shared(common)])
    image.PerFrameFunctionalGroupsSequence = Items(
        [_frame(common, position, number) for number, position in enumerate(positions, start=1)]
    )
    for keyword in _PER_FRAME:
        if keyword in image:
            delattr(image, keyword)
    return image


def _set_equipment(image: Dataset) -> None:
    image.DeviceSerialNumber = "1"
    image.SoftwareVersions = "1"


def _set_image(image: Dataset) -> None:
    image.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    _set_kind(image)
    image.AcquisitionDateTime = f"{image.AcquisitionDate}{image.AcquisitionTime}"
    image.AcquisitionDuration = 5.0
    image.AcquisitionContextSequence = Items()
    image.ContentQualification = "RESEARCH"
    image.BurnedInAnnotation = "NO"
    image.LossyImageCompression = "00"
    image.PresentationLUTShape = "IDENTITY"
    image.MultienergyCTAcquisition = "NO"
    image.InstanceNumber = 1


def _set_kind(holder: Dataset) -> None:
    holder.PixelPresentation = "MONOCHROME"
    holder.VolumetricProperties = "VOLUME"
    holder.VolumeBasedCalculationTechnique = "NONE"


def _set_dimensions(image: Dataset, dimension_uid: str) -> None:
    organization = _item(DimensionOrganizationUID=dimension_uid)
    image.DimensionOrganizationSequence = Items([organization])
    image.DimensionIndexSequence = Items(
        [
            _item(
                DimensionOrganizationUID=dimension_uid,
                DimensionIndexPointer=0x00200032,  # Image Position (Patient)
                FunctionalGroupPointer=0x00209113,  # Plane Position Sequence
                DimensionDescriptionLabel="Position",
            )
        ]
    )


def _shared(common: Dataset) -> Dataset:
    def taken(*keywords: str) -> Dataset:
        return _item(**{keyword: common[keyword].value for keyword in keywords})

    chest = _item(CodeValue="51185008", CodingSchemeDesignator="SCT", CodeMeaning="Chest")
    kind = _item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    _set_kind(kind)
    return _item(
        PixelMeasuresSequence=Items([taken("PixelSpacing", "SliceThickness")]),
        PlaneOrientationSequence=Items([taken("ImageOrientationPatient")]),
        FrameAnatomySequence=Items(
            [_item(FrameLaterality="U", AnatomicRegionSequence=Items([chest]))]
        ),
        PixelValueTransformationSequence=Items(
            [taken("RescaleIntercept", "RescaleSlope", "RescaleType")]
        ),
        FrameVOILUTSequence=Items([taken("WindowCenter", "WindowWidth")]),
        CTImageFrameTypeSequence=Items([kind]),
        CTAcquisitionTypeSequence=Items(
            [_item(AcquisitionType="SPIRAL", ConstantVolumeFlag="NO", FluoroscopyFlag="NO")]
        ),
        CTAcquisitionDetailsSequence=Items([_acquisition(common)]),
        CTTableDynamicsSequence=Items(
            [_item(TableSpeed=50.0, TableFeedPerRotation=25.0, SpiralPitchFactor=1.0)]
        ),
        CTGeometrySequence=Items(
            [_item(DistanceSourceToDetector=1000.0, DistanceSourceToDataCollectionCenter=500.0)]
        ),
        CTReconstructionSequence=Items([_reconstruction(common)]),
        CTExposureSequence=Items([_exposure()]),
        CTXRayDetailsSequence=Items(
            [
                _item(
                    KVP=120.0,
                    FocalSpots=[1.0],
                    FilterType="FLAT",
                    FilterMaterial="ALUMINUM",
                    CalciumScoringMassFactorPatient=1.0,
                )
            ]
        ),
        IrradiationEventIdentificationSequence=Items(
            [_item(IrradiationEventUID=f"{common.SeriesInstanceUID[:60]}.1")]
        ),
        CTPositionSequence=Items(
            [
                _item(
                    TablePosition=0.0,
                    ReconstructionTargetCenterPatient=[0.0, 0.0, 0.0],
                    DataCollectionCenterPatient=[0.0, 0.0, 0.0],
                )
            ]
        ),
    )


def _acquisition(common: Dataset) -> Dataset:
    return _item(
        RotationDirection="CW",
        RevolutionTime=0.5,
        SingleCollimationWidth=0.625,
        TotalCollimationWidth=40.0,
        TableHeight=0.0,
        GantryDetectorTilt=float(common.GantryDetectorTilt),
        DataCollectionDiameter=500.0,
    )


def _reconstruction(common: Dataset) -> Dataset:
    rows, columns = common.PixelSpacing
    return _item(
        ReconstructionAlgorithm="FILTER_BACK_PROJ",
        ConvolutionKernel=common.ConvolutionKernel,
        ConvolutionKernelGroup="GENERAL",
        ReconstructionFieldOfView=[float(columns) * common.Columns, float(rows) * common.Rows],
        ReconstructionPixelSpacing=[float(rows), float(columns)],
        ReconstructionAngle=360.0,
        ImageFilter="NONE",
    )


def _exposure() -> Dataset:
    return _item(
        ExposureTimeInms=500.0,
        XRayTubeCurrentInmA=200.0,
        ExposureInmAs=100.0,
        ExposureModulationType=["NONE"],
        CTDIvol=5.0,
        CTDIPhantomTypeCodeSequence=Items(
            [
                _item(
                    CodeValue="113691",
                    CodingSchemeDesignator="DCM",
                    CodeMeaning="IEC Body Dosimetry Phantom",
                )
            ]
        ),
    )


def _frame(common: Dataset, position: Sequence[str], number: int) -> Dataset:
    moment = f"{common.AcquisitionDate}{common.AcquisitionTime}"
    content = _item(
        FrameAcquisitionNumber=1,
        FrameAcquisitionDateTime=moment,
        FrameReferenceDateTime=moment,
        FrameAcquisitionDuration=500.0,
        StackID="1",
        InStackPositionNumber=number,
        DimensionIndexValues=[number],
    )
    return _item(
        FrameContentSequence=Items([content]),
        PlanePositionSequence=Items([_item(ImagePositionPatient=list(position))]),
    )


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
