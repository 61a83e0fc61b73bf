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
    Detection,
    Findings,
    InputContract,
    Limits,
    NotApplicable,
    Parameter,
    Parameters,
    Segment,
    Segmentation,
    Volume,
    counting,
)
from analyzers.segmentation.measures import measured

if TYPE_CHECKING:
    from analyzers.grid.balls import Mask
    from analyzers.grid.patient_grid import PatientGrid
    from analyzers.segmentation.agatston import CalciumScore


CALCIUM_SCORE = Code("112058", "DCM", "Calcium score")

LEAST_EXTENT_MM = 60.0
LEAST_REGION_ML = 50.0
BLOOD_RANGE_HU = (-20.0, 130.0)
ENHANCED_BLOOD_HU = 90.0
ENHANCED_SHARE = 0.05
"""More of the region above 130 HU than this is contrast agent, not calcium."""


MOST_SITES = 30
ROOM_MM = 20.0
LARGEST_OVERSHOOT_HU = 5.0
"""Beside air, above the tissue behind it; a smooth kernel has none, noise may give a little."""


@dataclass(frozen=True, slots=True)
class CalciumParameters(Parameters):
    """When no score is given."""

    loud_hu: Annotated[
        float,
        Parameter("noise from which no score is given", "HU", least=10, most=200),
    ] = 30.0


class CalciumScoring:
    """Scores calcium in the walls of heart, coronary arteries, valves and thoracic aorta in one.

    No vessel is told from another, and no coronary score is claimed: without ECG gating motion
    blurs small plaques, so the number is Agatston-like, for follow-up and triage. Sharp kernels, by
    name or by how the images overshoot beside air, and loud images are refused: their edges and
    their noise pass for calcium. What lies near lung, bone, the front of the chest or gas in
    airways and oesophagus is left out, and calcium of the aortic wall there is lost with it.
    """

    name: ClassVar[str] = "calcium_score"
    version: ClassVar[str] = "1.1.1"
    title: ClassVar[str] = "Thoracic calcium score, not ECG-gated"
    about: ClassVar[About] = About(
        purpose="Scores calcium of heart and aorta on CT without contrast agent.",
        gives=(
            "a segment of calcium and a mark at each site",
            "an Agatston-like score, of each site too, and the volume",
        ),
        evidence="Of heart and thoracic aorta together, not of the coronary arteries; not "
        "ECG-gated. Sharp kernels and loud images are refused. Compared with no score by a person.",
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
        from analyzers.anatomy.little_lung import LITTLE_ML
        from analyzers.anatomy.mediastinum import mediastinum
        from analyzers.grid.hounsfield import hounsfield_planes
        from analyzers.grid.patient_grid import clear_padding, patient_grid, require_extent
        from analyzers.segmentation.agatston import agatston

        require_extent(volume, LEAST_EXTENT_MM)
        one_more = counting(4)
        grid = patient_grid(volume)
        planes = hounsfield_planes(volume, grid)
        one_more()
        space = mediastinum(planes, grid.spacing_mm)
        one_more()
        region = space.walls
        clear_padding(volume, grid, region)
        between_ml = np.count_nonzero(space.between) * volume.voxel_ml
        if between_ml < LEAST_REGION_ML or space.lungs_ml < LITTLE_ML:
            raise NotApplicable("The images do not show the heart between two aerated lungs.")
        window = _window(space.between, grid)
        hu, between = planes[window], space.between[window]
        _refuse_contrast_agent(hu, between)
        if np.count_nonzero(region) * volume.voxel_ml < LEAST_REGION_ML:
            raise NotApplicable("The images do not show the heart between two aerated lungs.")
        _refuse_sharp(volume, hu, between, grid)
        one_more()
        found = agatston(hu, region[window], grid.spacing_mm)
        one_more()
        if found.noise_hu > parameters.loud_hu:
            raise NotApplicable(
                f"Noise of {found.noise_hu:.0f} HU: it would be scored as calcium (limit "
                f"{parameters.loud_hu:.0f} HU)."
            )
        whole_sites = np.zeros(region.shape, np.uint16)
        whole_sites[window] = found.sites
        clear_padding(volume, grid, whole_sites)
        sites = grid.restore(whole_sites)
        whole = Segmentation(
            (sites > 0).astype(np.uint8), (_segment(found, sites, volume),), "Calcium"
        )
        return Findings((whole, *_marks(found, sites)), _remarks(found))


def _window(between: Mask, grid: PatientGrid) -> tuple[slice, ...]:
    """All planes, of them what holds the space between the lungs and all that smoothing and the
    test of the kernel look at round it."""
    from analyzers.grid.binary import box_of

    box = box_of(between)
    assert box is not None
    rows, columns = (
        slice(max(0, part.start - int(ROOM_MM / step)), part.stop + int(ROOM_MM / step) + 1)
        for part, step in zip(box[1:], grid.spacing_mm[1:], strict=True)
    )
    return slice(None), rows, columns


def _segment(found: CalciumScore, sites: NDArray[np.uint16], volume: Volume) -> Segment:
    size_ml = np.count_nonzero(sites) * volume.voxel_ml
    return structures.of("calcium").segment(
        1,
        (
            measured(CALCIUM_SCORE, found.score, codes.NO_UNIT, digits=1),
            measured(codes.VOLUME, size_ml, codes.MILLILITER),
        ),
    )


def _marks(found: CalciumScore, sites: NDArray[np.uint16]) -> tuple[Detection, ...]:
    """A box round each site with its own part of the score, the highest first."""
    from scipy import ndimage

    calcium = structures.of("calcium")
    marks = []
    boxes = ndimage.find_objects(sites, max_label=min(len(found.site_scores), MOST_SITES))
    for number, (box, score) in enumerate(zip(boxes, found.site_scores, strict=False), start=1):
        if box is None:
            continue
        marks.append(
            Detection(
                key=f"calcium_{number}",
                kind=calcium.kind,
                category=calcium.category,
                first=(box[0].start, box[1].start, box[2].start),
                last=(box[0].stop - 1, box[1].stop - 1, box[2].stop - 1),
                measurements=(measured(CALCIUM_SCORE, score, codes.NO_UNIT, digits=1),),
                site=calcium.site,
            )
        )
    return tuple(marks)


def _refuse_sharp(volume: Volume, hu: NDArray[np.int16], between: Mask, grid: PatientGrid) -> None:
    from analyzers.segmentation.kernels import is_sharp, overshoot_hu

    if volume.facts is not None and is_sharp(volume.facts.kernel):
        raise NotApplicable(
            "The images were made with a sharp kernel, whose edges pass for calcium: a smooth "
            "reconstruction is needed."
        )
    over = overshoot_hu(hu, between, grid.spacing_mm)
    if over is not None and over > LARGEST_OVERSHOOT_HU:
        raise NotApplicable(
            f"Soft tissue beside air is {over:.0f} HU brighter than behind it, as a sharp kernel "
            "makes it; its edges pass for calcium: a smooth reconstruction is needed."
        )


def _refuse_contrast_agent(hu: NDArray[np.int16], region: Mask) -> None:
    from analyzers.segmentation.agatston import THRESHOLD_HU

    values = hu[region]
    blood = values[(values > BLOOD_RANGE_HU[0]) & (values < BLOOD_RANGE_HU[1])]
    bright = float((values >= THRESHOLD_HU).mean())
    typical = float(np.median(blood)) if blood.size else 0.0
    if typical > ENHANCED_BLOOD_HU or bright > ENHANCED_SHARE:
        raise NotApplicable("Heart and vessels hold contrast agent; calcium cannot be scored.")


def _remarks(found: CalciumScore) -> tuple[str, ...]:
    count = len(found.site_scores)
    said = [
        "Agatston-like score of calcium in the walls of heart, coronary arteries, valves and "
        "thoracic aorta; not ECG-gated, not a coronary score.",
        f"{count} sites, scored in slabs of {found.slab_mm:.1f} mm.",
    ]
    if count:
        said.append("Each mark has its own score: what is no calcium is taken off the total by it.")
    if count > MOST_SITES:
        said.append(f"The {MOST_SITES} highest of {count} sites are marked.")
    if found.smoothing_mm > 0:
        said.append(f"Smoothed by {found.smoothing_mm:.1f} mm against noise before scoring.")
    return tuple(said)
