"""Calcium in the mediastinum on CT without contrast agent: an Agatston-like score, not gated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families, structures
from analyzers.contract import (
    About,
    Code,
    Findings,
    InputContract,
    Limits,
    NotApplicable,
    Parameter,
    Parameters,
    Segmentation,
    Volume,
)
from analyzers.segmentation.measures import measured

if TYPE_CHECKING:
    from analyzers.grid.balls import Mask
    from analyzers.segmentation.agatston import CalciumScore


CALCIUM_SCORE = Code("112058", "DCM", "Calcium score")

LEAST_EXTENT_MM = 60.0
LEAST_REGION_ML = 50.0
BLOOD_RANGE_HU = (-20.0, 130.0)
ENHANCED_BLOOD_HU = 90.0
ENHANCED_SHARE = 0.05
"""More of the region above 130 HU than this is contrast agent, not calcium."""


@dataclass(frozen=True, slots=True)
class CalciumParameters(Parameters):
    """When the score is doubted."""

    loud_hu: Annotated[
        float,
        Parameter("noise from which the score is called unreliable", "HU", least=10, most=200),
    ] = 30.0


class CalciumScoring:
    """Scores calcium between the lungs: heart, coronary arteries, valves and thoracic aorta in one.

    No vessel is told from another, and no coronary score is claimed: without ECG gating motion
    blurs small plaques, so the number is Agatston-like, for follow-up and triage. Calcified nodes
    between the lungs count too. Bone, gas and lungs are left out with a rim of 2.5 to 4 mm, in
    which calcium of the aortic wall close to lung or spine is lost.
    """

    name: ClassVar[str] = "calcium_score"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Thoracic calcium score, not ECG-gated"
    about: ClassVar[About] = About(
        purpose="Scores calcium between the lungs on CT without contrast agent.",
        gives=(
            "a segment of calcium",
            "an Agatston-like score and the volume",
        ),
        evidence="Of the whole mediastinum, not of the coronary arteries; not ECG-gated. Sharp "
        "kernels brighten edges beside air.",
    )
    family: ClassVar[Code] = families.NEIGHBORHOOD_ANALYSIS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT"}),
        min_slices=10,
        max_spacing_mm=5.0,
        max_thickness_mm=5.0,
        contrast=False,
    )
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[CalciumParameters]] = CalciumParameters

    def __init__(self, device: str) -> None:
        """device: accepted for the contract's sake; the work is done on the CPU."""
        self.device = device

    def analyze(self, volume: Volume, parameters: CalciumParameters) -> Findings:
        """The score and the calcified voxels.

        Raises
        ------
        NotApplicable
            The images do not show the space between two lungs, or show contrast agent in it.
        """
        from analyzers.anatomy.mediastinum import mediastinum
        from analyzers.grid.patient_grid import (
            clear_padding,
            hounsfield,
            patient_grid,
            require_extent,
        )
        from analyzers.segmentation.agatston import agatston

        require_extent(volume, LEAST_EXTENT_MM)
        grid = patient_grid(volume)
        hu = hounsfield(volume, grid)
        region = mediastinum(hu, grid.spacing_mm)
        clear_padding(volume, grid, region)
        if np.count_nonzero(region) * volume.voxel_ml < LEAST_REGION_ML:
            raise NotApplicable("The images do not show the heart between two aerated lungs.")
        _refuse_contrast_agent(hu, region)
        found = agatston(hu, region, grid.spacing_mm)
        clear_padding(volume, grid, found.mask)
        labels = grid.restore(found.mask.view(np.uint8))
        segment = structures.of("calcium").segment(
            1,
            (
                measured(CALCIUM_SCORE, found.score, codes.NO_UNIT, digits=1),
                measured(
                    codes.VOLUME,
                    np.count_nonzero(found.mask) * volume.voxel_ml,
                    codes.MILLILITER,
                ),
            ),
        )
        return Findings(
            (Segmentation(labels, (segment,), title="Calcium"),), _remarks(found, parameters)
        )


def _refuse_contrast_agent(hu: NDArray[np.int16], region: Mask) -> None:
    from analyzers.segmentation.agatston import THRESHOLD_HU

    values = hu[region]
    blood = values[(values > BLOOD_RANGE_HU[0]) & (values < BLOOD_RANGE_HU[1])]
    bright = float((values >= THRESHOLD_HU).mean())
    typical = float(np.median(blood)) if blood.size else 0.0
    if typical > ENHANCED_BLOOD_HU or bright > ENHANCED_SHARE:
        raise NotApplicable("Heart and vessels hold contrast agent; calcium cannot be scored.")


def _remarks(found: CalciumScore, parameters: CalciumParameters) -> tuple[str, ...]:
    said = [
        "Agatston-like score of everything calcified between the lungs (heart, coronary arteries, "
        "valves, thoracic aorta, nodes); not ECG-gated, not a coronary score.",
        f"{found.lesions} plaques, scored in slabs of {found.slab_mm:.1f} mm.",
        "Sharp edges beside lung, airways and oesophagus can count as plaques: look at the marks.",
    ]
    if found.smoothing_mm > 0:
        said.append(f"Smoothed by {found.smoothing_mm:.1f} mm against noise before scoring.")
    if found.noise_hu > parameters.loud_hu:
        said.append(
            f"Noise of {found.noise_hu:.0f} HU: part of the score may be noise; do not compare it."
        )
    return tuple(said)
