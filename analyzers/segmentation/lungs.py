"""Left and right lung on CT, their volume, mean attenuation and emphysema index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families, structures
from analyzers.contract import (
    About,
    Classification,
    Code,
    Findings,
    InputContract,
    Limits,
    Measurement,
    NoParameters,
    NotApplicable,
    Reference,
    Segment,
    Segmentation,
    Subject,
    Volume,
    counting,
)
from analyzers.segmentation.measures import Tally, measured, tallied

if TYPE_CHECKING:
    from analyzers.grid.hounsfield import Hounsfield
    from analyzers.grid.patient_grid import PatientGrid

LOW_ATTENUATION_HU = -950
LEAST_EXTENT_MM = 40.0
LEAST_WIDTH_MM = 150.0
TISSUE_HU, CUT_FACE_SHARE = -500, 0.15
LEAST_LUNG_ML = 20.0

ADULT_YEARS = 18
VOLUME_ML = {"F": -10150.0, "M": -10150.0 + 605.3}
ML_A_CM, ML_A_KG, USUAL_ML = 92.61, -12.99, 1766.0
"""Volume of both lungs by height and weight, and how far from it is usual (Cheng et al., Int J COPD
2019;14:1657, DOI 10.2147/COPD.S187596; 564 healthy people)."""
HEIGHTS_M, WEIGHTS_KG = (1.4, 2.0), (35.0, 120.0)
"""Beyond them the equation is not asked: of so few people it knows."""
VOLUME_SOURCE = (
    "healthy Chinese adults of this sex, height and weight, breathed in fully, Cheng et al. 2019"
)

UNAERATED_LABEL, FLUID_LABEL = 3, 4
CERTAINTY = Code("CERTAINPLACE", codes.PRIVATE_SCHEME, "Certainty of its place")
LIKELY = Code("LIKELY", codes.PRIVATE_SCHEME, "Likely in the lung or the pleural space")
POSSIBLE = Code("POSSIBLE", codes.PRIVATE_SCHEME, "Possible, may be of another organ")
LIKELY_FROM = 0.5
UNTOLD = (
    "About {volume} mL inside the ribs are as dark as fluid and may be fluid, a very fatty liver "
    "or another organ: they lie as a liver does, or no denser liver is seen. They are not marked."
)
NOT_IN_VOLUMES = (
    "Tissue without air among the lungs, consolidation, mass or effusion, is not in their volumes; "
    "near the mediastinum and on the diaphragm only what has the density of fluid is told from "
    "other organs, and marked."
)
NOT_LOOKED_FOR = (
    "Tissue without air among the lungs, consolidation, mass or effusion, is not in their volumes, "
    "and was not looked for: slices this thick do not show it."
)


class LungSegmentation:
    """Segments both lungs on CT without trachea and main bronchi.

    Vessels, and nodules up to about 20 mm, belong to the lung. Consolidated lung, effusions and
    larger masses do not: what lies inside the ribs, beside the mediastinum and above aerated lung
    is a segment of its own, with how certain its place is, and so is what has the density of fluid
    at the back of the chest wall; other tissue on the diaphragm cannot be told from liver and
    spleen. The emphysema index is the share of the lung below -950 HU
    (DOI 10.1164/ajrccm.154.1.8680679).
    """

    name: ClassVar[str] = "lung_segmentation"
    version: ClassVar[str] = "1.5.0"
    title: ClassVar[str] = "Lung segmentation"
    about: ClassVar[About] = About(
        purpose="Marks the left and the right lung on chest CT, without airways.",
        gives=(
            "segments of both lungs",
            "volume, mean density and share below -950 HU; what volume is usual, where the header "
            "says sex, height and weight of an adult",
            "segments of tissue without air and of fluid among them, where their place and "
            "density tell them",
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
        from analyzers.anatomy.little_lung import little_lung
        from analyzers.anatomy.lung_masks import lung_masks
        from analyzers.anatomy.lung_sides import LEFT_LABEL, RIGHT_LABEL
        from analyzers.grid.hounsfield import hounsfield_planes
        from analyzers.grid.patient_grid import clear_padding, patient_grid, require_extent

        require_extent(volume, LEAST_EXTENT_MM)
        one_more = counting(4)
        grid = patient_grid(volume)
        hu = hounsfield_planes(volume, grid)
        one_more()
        if _is_sagittal_strip(hu, grid.spacing_mm):
            raise NotApplicable(
                "The images show a strip of the body too narrow to tell left from right."
            )
        labels = lung_masks(hu, grid.spacing_mm)
        one_more()
        clear_padding(volume, grid, labels)
        found = tallied(hu, labels, (RIGHT_LABEL, LEFT_LABEL), LOW_ATTENUATION_HU)
        total_ml = float(sum(one.voxels for one in found.values())) * volume.voxel_ml
        if total_ml < LEAST_LUNG_ML:
            raise NotApplicable("The images show no aerated lung.")
        sides = [_side(label, one, volume.voxel_ml) for label, one in found.items()]
        one_more()
        others, limits = self._without_air(volume, grid, hu, labels)
        one_more()
        segmentation = Segmentation(grid.restore(labels), (*sides, *others), title="Lungs")
        usual = usual_volume(volume.subject) if _is_whole(labels, found) else None
        both = Measurement(
            codes.TOTAL_LUNG_VOLUME, round(total_ml, 1), codes.MILLILITER, reference=usual
        )
        return Findings((segmentation, both), (*_missing(sides), *limits), little_lung(total_ml))

    @staticmethod
    def _without_air(
        volume: Volume, grid: PatientGrid, hu: Hounsfield, labels: NDArray[np.uint8]
    ) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
        """The segments of what has no air, entered into ``labels``, and what is not among them."""
        from analyzers.anatomy.unaerated import fluid, space, unaerated
        from analyzers.grid.patient_grid import clear_padding

        where = space(hu, labels, grid.spacing_mm)
        if where is None:
            return (), (NOT_LOOKED_FOR,)
        segments: list[tuple[str, int, NDArray[np.bool_], Code, tuple[str, ...]]] = []
        tissue, dark = unaerated(where, hu, labels), fluid(where, hu, labels)
        water = dark.fluid
        if tissue is not None:
            share = (
                f"{100 * tissue.enclosed:.0f} % of its surface is bounded by aerated lung or ribs"
            )
            answer = LIKELY if tissue.enclosed >= LIKELY_FROM else POSSIBLE
            segments.append(("unaerated_tissue", UNAERATED_LABEL, tissue.mask, answer, (share,)))
        if water is not None:
            share = f"{100 * water.on_wall:.0f} % of its surface lies on the chest wall"
            segments.append(("fluid_like_tissue", FLUID_LABEL, water.mask, POSSIBLE, (share,)))
        found = []
        for key, number, mask, answer, reasons in segments:
            clear_padding(volume, grid, mask)
            mask &= labels == 0
            labels[mask] = number
            tally = tallied(hu, mask.view(np.uint8), (1,))[1]
            measurements = tally.volume_and_attenuation(volume.voxel_ml)
            judged = Classification(CERTAINTY, answer, reasons=reasons)
            found.append(structures.of(key).segment(number, measurements, (judged,)))
        untold = (UNTOLD.format(volume=f"{dark.untold_ml:.0f}"),) if dark.untold_ml else ()
        return tuple(found), (*untold, NOT_IN_VOLUMES)


def usual_volume(subject: Subject) -> Reference | None:
    """Which volume of both lungs is usual; None where the header does not tell it of an adult."""
    age, height, weight = subject.age_years, subject.height_m, subject.weight_kg
    if age is None or height is None or weight is None or subject.sex not in VOLUME_ML:
        return None
    is_known = HEIGHTS_M[0] <= height <= HEIGHTS_M[1] and WEIGHTS_KG[0] <= weight <= WEIGHTS_KG[1]
    if age < ADULT_YEARS or not is_known:
        return None
    usual = VOLUME_ML[subject.sex] + ML_A_CM * 100 * height + ML_A_KG * weight
    return Reference(round(usual - USUAL_ML), round(usual + USUAL_ML), VOLUME_SOURCE)


def _is_whole(labels: NDArray[np.uint8], lungs: Iterable[int]) -> bool:
    """Whether no lung meets a border of the images."""
    sides = (labels.take((0, -1), axis) for axis in range(3))
    return not any(np.isin(side, list(lungs)).any() for side in sides)


def _is_sagittal_strip(hu: Hounsfield, spacing_mm: tuple[float, float, float]) -> bool:
    """Whether both lateral faces cut through the body and lie too near to hold both lungs."""
    whole = slice(None)
    faces = (hu[whole, whole, 0], hu[whole, whole, -1])
    cut = all(float((face > TISSUE_HU).mean()) > CUT_FACE_SHARE for face in faces)
    return cut and hu.shape[2] * spacing_mm[2] < LEAST_WIDTH_MM


def _side(label: int, tally: Tally, voxel_ml: float) -> Segment:
    from analyzers.anatomy.lung_sides import LEFT_LABEL

    lung = structures.of("left_lung" if label == LEFT_LABEL else "right_lung")
    return lung.segment(label, _measurements(tally, voxel_ml))


def _measurements(tally: Tally, voxel_ml: float) -> tuple[Measurement, ...]:
    if not tally.voxels:
        return ()
    low = 100.0 * (tally.below / tally.voxels)
    return (
        *tally.volume_and_attenuation(voxel_ml),
        measured(codes.LOW_ATTENUATION_FRACTION, low, codes.PERCENT),
    )


def _missing(sides: list[Segment]) -> tuple[str, ...]:
    return tuple(f"{side.label}: no aerated lung found." for side in sides if not side.measurements)
