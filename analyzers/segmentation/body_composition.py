"""Skeletal muscle, subcutaneous and visceral fat on CT at one level of the abdomen."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    Reference,
    Segment,
    Segmentation,
    Subject,
    Volume,
    counting,
)
from analyzers.segmentation.measures import AREA, Tally, measured, tallied

if TYPE_CHECKING:
    from analyzers.anatomy.abdominal_level import LumbarLevel
    from analyzers.anatomy.abdominal_wall import Compartments
    from analyzers.grid.hounsfield import Hounsfield
    from analyzers.grid.patient_grid import PatientGrid


MUSCLE, SUBCUTANEOUS, VISCERAL = 1, 2, 3
TISSUES = {
    MUSCLE: "skeletal_muscle",
    SUBCUTANEOUS: "subcutaneous_fat",
    VISCERAL: "visceral_fat",
}
"""Keys in the table of structures."""
LEAST_EXTENT_MM = 150.0
LEAST_MUSCLE_CM2 = {"F": 92.2, "M": 144.3}
"""At L3: mean less two standard deviations of kidney donors of 18 to 40 years (Derstine et al., Sci
Rep 2018;8:11369, DOI 10.1038/s41598-018-29825-5)."""
MUSCLE_SOURCE = "healthy adults of 18 to 40 years at L3, mean less 2 SD, Derstine et al. 2018"
ADULT_YEARS = 18.0


@dataclass(frozen=True, slots=True)
class BodyCompositionParameters(Parameters):
    """Where in the body is measured."""

    z_mm: Annotated[
        float | None, Parameter("patient z (LPS) of the level; left out: L3, estimated", "mm")
    ] = None
    slab_mm: Annotated[
        float,
        Parameter("planes within this height are measured and averaged", "mm", least=0, most=30),
    ] = 5.0


class BodyComposition:
    """Areas (cm²) of muscle, subcutaneous and visceral fat in a slab at L3 or at a level given.

    L3 is estimated from iliac crests or lung bases, not counted, and the report says from which.
    Fat is parted by the abdominal wall. The border between muscle and an organ that touches it is
    an estimate from the wall nearby: muscle is the least certain of the three. Vertebra, disc and
    canal are no muscle. A level that the images do not show is refused.
    """

    name: ClassVar[str] = "body_composition"
    version: ClassVar[str] = "1.3.0"
    title: ClassVar[str] = "Body composition"
    about: ClassVar[About] = About(
        purpose="Measures muscle and fat on one level of an abdominal CT.",
        gives=(
            "segments of muscle, subcutaneous and visceral fat",
            "areas and mean densities",
        ),
        evidence="L3 is estimated from iliac crests or lung bases, not counted.",
    )
    family: ClassVar[Code] = families.MORPHOLOGICAL_OPERATIONS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT"}), min_slices=1, max_spacing_mm=10.0
    )
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[BodyCompositionParameters]] = BodyCompositionParameters

    def __init__(self, device: str) -> None:
        """device: accepted for the contract's sake; the work is done on the CPU."""
        self.device = device

    def analyze(self, volume: Volume, parameters: BodyCompositionParameters) -> Findings:
        """The three tissues on the planes of the level.

        Raises
        ------
        NotApplicable
            No landmark of L3, the level lies outside the images, or there is no abdomen there.
        """
        from analyzers.anatomy.abdominal_wall import compartments
        from analyzers.anatomy.bone_masks import bone_mask
        from analyzers.anatomy.spinal_column import spinal_column
        from analyzers.grid.hounsfield import hounsfield_planes
        from analyzers.grid.patient_grid import clear_padding, patient_grid, require_extent

        require_extent(volume, LEAST_EXTENT_MM)
        one_more = counting(3)
        grid = patient_grid(volume)
        hu = hounsfield_planes(volume, grid)
        bone = bone_mask(hu, grid.spacing_mm)
        one_more()
        heights = _heights(volume, grid)
        level = _level(hu, bone, heights, grid, parameters)
        one_more()
        planes = _planes(level, heights, grid.spacing_mm[0], parameters.slab_mm)
        labels = np.zeros(hu.shape, np.uint8)
        for z in planes:
            spine = spinal_column(bone, z, grid.spacing_mm)
            found = compartments(hu[z], bone[z], spine, grid.spacing_mm[1:])
            if found is None:
                raise NotApplicable("The images show no abdomen at the level.")
            labels[z] = _labels(found)
        clear_padding(volume, grid, labels)
        tallies = tallied(hu, labels, (MUSCLE, SUBCUTANEOUS, VISCERAL))
        one_more()
        cut_off = _cut_off(hu, _field(volume, grid), planes)
        usual = None
        if parameters.z_mm is None and not cut_off:
            usual = usual_muscle(volume.subject)
        segments = tuple(
            _segment(kind, tally, len(planes), grid, usual if kind == MUSCLE else None)
            for kind, tally in tallies.items()
        )
        height_mm = float(np.mean([heights[z] for z in planes]))
        remark = (
            f"Level: {level.basis}; z = {height_mm:.0f} mm, mean of {len(planes)} plane"
            f"{'s' if len(planes) > 1 else ''}."
        )
        whole = Segmentation(grid.restore(labels), segments, title="Body composition")
        return Findings((whole,), (remark, *cut_off))


def _heights(volume: Volume, grid: PatientGrid) -> NDArray[np.float64]:
    """Patient z (mm) of the middle of each (y, x) plane."""
    axis = grid.order[0]
    index = np.array([(size - 1) / 2 for size in volume.shape] + [1.0])
    out = []
    for place in range(volume.shape[axis]):
        index[axis] = volume.shape[axis] - 1 - place if grid.reverse[0] else place
        out.append(float((volume.affine @ index)[2]))
    return np.array(out)


def _level(
    hu: Hounsfield,
    bone: NDArray[np.bool_],
    heights: NDArray[np.float64],
    grid: PatientGrid,
    parameters: BodyCompositionParameters,
) -> LumbarLevel:
    from analyzers.anatomy.abdominal_level import LumbarLevel, third_lumbar

    step = grid.spacing_mm[0]
    if parameters.z_mm is not None:
        beyond_mm = float(np.abs(heights - parameters.z_mm).min())
        if beyond_mm > step / 2:
            raise NotApplicable(
                f"The level z = {parameters.z_mm:g} mm lies {beyond_mm:.0f} mm outside the images."
            )
        plane = float(np.interp(0.0, heights - parameters.z_mm, np.arange(len(heights))))
        return LumbarLevel(plane, "as given")
    found = third_lumbar(hu, bone, grid.spacing_mm)
    if found is None:
        raise NotApplicable(
            "The images show neither iliac crests nor lung bases from which to estimate L3."
        )
    beyond_mm = max(-found.plane, found.plane - (len(hu) - 1)) * step
    if beyond_mm > step / 2:
        raise NotApplicable(
            f"L3 ({found.basis}) would lie {beyond_mm:.0f} mm outside the images: nothing is "
            "measured on another level unless it is given (z_mm)."
        )
    return found


def _planes(
    level: LumbarLevel, heights: NDArray[np.float64], step_mm: float, slab_mm: float
) -> list[int]:
    """The planes whose middle lies in the slab; the nearest one at least."""
    nearest = int(np.clip(round(level.plane), 0, len(heights) - 1))
    reach = slab_mm / 2 / step_mm
    inside = [z for z in range(len(heights)) if abs(z - level.plane) <= reach]
    return inside or [nearest]


def _labels(found: Compartments) -> NDArray[np.uint8]:
    out = np.zeros(found.muscle.shape, np.uint8)
    out[found.subcutaneous] = SUBCUTANEOUS
    out[found.visceral] = VISCERAL
    out[found.muscle] = MUSCLE
    return out


def usual_muscle(subject: Subject) -> Reference | None:
    """The least usual area of muscle at L3; None where age or sex do not tell it."""
    is_adult = subject.age_years is not None and subject.age_years >= ADULT_YEARS
    least = LEAST_MUSCLE_CM2.get(subject.sex or "") if is_adult else None
    return None if least is None else Reference(least, None, MUSCLE_SOURCE)


def _segment(
    kind: int, tally: Tally, planes: int, grid: PatientGrid, usual: Reference | None
) -> Segment:
    area_cm2 = tally.voxels / planes * grid.spacing_mm[1] * grid.spacing_mm[2] / 100.0
    area = measured(AREA, area_cm2, codes.SQUARE_CENTIMETER)
    measurements = [replace(area, reference=usual)]
    if tally.voxels:
        mean = tally.total_hu / tally.voxels
        name, unit = codes.ATTENUATION_COEFFICIENT, codes.HOUNSFIELD_UNIT
        measurements.append(measured(name, mean, unit, codes.MEAN))
    return structures.of(TISSUES[kind]).segment(kind, tuple(measurements))


def _field(volume: Volume, grid: PatientGrid) -> NDArray[np.bool_] | None:
    """The field of view on axes (z, y, x), where padding tells it."""
    from analyzers.grid.field import field_of_view

    field = field_of_view(volume)
    return None if field is None else grid.view(field)


def _cut_off(hu: Hounsfield, field: NDArray[np.bool_] | None, planes: list[int]) -> tuple[str, ...]:
    """A sentence when the body meets the left, right, front or back edge of the images.

    Or the border of a field of view that is smaller than they are.
    """
    from scipy import ndimage

    middle = planes[len(planes) // 2]
    plane = hu[middle] > -250
    edges = [plane[:, 0], plane[:, -1], plane[0], plane[-1]]
    if field is not None:
        edges.append(plane[field[middle] & ~ndimage.binary_erosion(field[middle])])
    if any(edge.size and float(edge.mean()) > 0.05 for edge in edges):
        return ("The body is cut by the edge of the images: subcutaneous fat is of a part.",)
    return ()
