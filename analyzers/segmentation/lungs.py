"""Left and right lung on CT, their volume, mean attenuation and emphysema index."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families, structures
from analyzers.contract import (
    About,
    Code,
    Findings,
    InputContract,
    Limits,
    Measurement,
    NoParameters,
    NotApplicable,
    Segment,
    Segmentation,
    Volume,
)
from analyzers.segmentation.measures import measured, volume_and_attenuation

LOW_ATTENUATION_HU = -950
LEAST_EXTENT_MM = 40.0
LEAST_WIDTH_MM = 150.0
TISSUE_HU, CUT_FACE_SHARE = -500, 0.15
LEAST_LUNG_ML = 20.0


class LungSegmentation:
    """Segments both lungs on CT without trachea and main bronchi.

    Vessels, and nodules up to about 20 mm, belong to the lung; consolidated lung and larger masses
    do not, because attenuation cannot tell them from the chest wall. The emphysema index is the
    share of the lung below -950 HU (DOI 10.1164/ajrccm.154.1.8680679).
    """

    name: ClassVar[str] = "lung_segmentation"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Lung segmentation"
    about: ClassVar[About] = About(
        purpose="Marks the left and the right lung on chest CT, without airways.",
        gives=(
            "segments of both lungs",
            "volume, mean density and share below -950 HU",
        ),
        evidence="By a threshold of the patient: consolidations and masses wider than about 20 "
        "mm are not counted as lung. Not measured against manual contours.",
    )
    family: ClassVar[Code] = families.MORPHOLOGICAL_OPERATIONS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT"}), min_slices=5, max_spacing_mm=10.0
    )
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[NoParameters]] = NoParameters

    def __init__(self, device: str) -> None:
        """device: accepted for the contract's sake; the work is done on the CPU."""
        self.device = device

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """Both lungs with their measurements.

        Raises
        ------
        NotApplicable
            The images show no, or next to no, aerated lung.
        """
        from analyzers.anatomy.lung_masks import lung_masks
        from analyzers.anatomy.lung_sides import LEFT_LABEL, RIGHT_LABEL
        from analyzers.grid.patient_grid import (
            clear_padding,
            hounsfield,
            patient_grid,
            require_extent,
        )

        require_extent(volume, LEAST_EXTENT_MM)
        grid = patient_grid(volume)
        hu = hounsfield(volume, grid)
        if _is_sagittal_strip(hu, grid.spacing_mm):
            raise NotApplicable(
                "The images show a strip of the body too narrow to tell left from right."
            )
        labels = lung_masks(hu, grid.spacing_mm)
        clear_padding(volume, grid, labels)
        sides = [_side(hu, labels, label, volume.voxel_ml) for label in (RIGHT_LABEL, LEFT_LABEL)]
        total_ml = float(np.count_nonzero(labels)) * volume.voxel_ml
        if total_ml < LEAST_LUNG_ML:
            raise NotApplicable("The images show no aerated lung.")
        segmentation = Segmentation(grid.restore(labels), tuple(sides), title="Lungs")
        both = Measurement(codes.TOTAL_LUNG_VOLUME, round(total_ml, 1), codes.MILLILITER)
        return Findings(items=(segmentation, both), remarks=_missing(sides))


def _is_sagittal_strip(hu: NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> bool:
    """Whether both lateral faces cut through the body and lie too near to hold both lungs."""
    faces = (hu[:, :, 0], hu[:, :, -1])
    cut = all(float((face > TISSUE_HU).mean()) > CUT_FACE_SHARE for face in faces)
    return cut and hu.shape[2] * spacing_mm[2] < LEAST_WIDTH_MM


def _side(hu: NDArray[np.int16], labels: NDArray[np.uint8], label: int, voxel_ml: float) -> Segment:
    from analyzers.anatomy.lung_sides import LEFT_LABEL

    lung = structures.of("left_lung" if label == LEFT_LABEL else "right_lung")
    return lung.segment(label, _measurements(hu[labels == label], voxel_ml))


def _measurements(values: NDArray[np.int16], voxel_ml: float) -> tuple[Measurement, ...]:
    if values.size == 0:
        return ()
    low = 100.0 * float(np.mean(values < LOW_ATTENUATION_HU))
    return (
        *volume_and_attenuation(values, voxel_ml),
        measured(codes.LOW_ATTENUATION_FRACTION, low, codes.PERCENT),
    )


def _missing(sides: list[Segment]) -> tuple[str, ...]:
    return tuple(f"{side.label}: no aerated lung found." for side in sides if not side.measurements)
