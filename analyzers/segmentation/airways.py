"""Trachea and bronchi on CT, their volume and the cross-section of the trachea."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

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
    Reference,
    Segmentation,
    Subject,
    Volume,
    counting,
)
from analyzers.segmentation.measures import measured

if TYPE_CHECKING:
    from analyzers.grid.balls import Mask, Spacing


LEAST_EXTENT_MM = 60.0
TOP_MM, LEAST_PLANES = 30.0, 3
LEAST_ROUNDNESS = 0.55
"""Area over that of the circle round the plane's widest extent; two main bronchi have less."""
LARGEST_WIDTH_MM = 35.0


ADULT_YEARS = 18
USUAL_MM2 = {"M": (180.0, 396.0), "F": (142.0, 266.0)}
"""Mean with two standard deviations (288, 54 and 204, 31) of 50 men and 50 women on CT (Lee et al.,
J Korean Radiol Soc 1988;24:265)."""
AREA_SOURCE = "50 healthy Koreans of this sex on CT, mean with 2 SD, Lee et al. 1988"


class AirwaySegmentation:
    """Segments the lumen of trachea and bronchi, as far as the images let them be followed.

    About the fourth to sixth generation on slices of 1 mm, main and lobar bronchi on slices of
    3 mm; growing stops early rather than leak into the lung. Walls are not included.
    """

    name: ClassVar[str] = "airway_segmentation"
    version: ClassVar[str] = "1.1.0"
    title: ClassVar[str] = "Airway segmentation"
    about: ClassVar[About] = About(
        purpose="Marks the lumen of trachea and bronchi on chest CT.",
        gives=(
            "a segment with its volume",
            "cross-section of the trachea, and what is usual of an adult's, where the header says "
            "the sex",
        ),
    )
    family: ClassVar[Code] = families.NEIGHBORHOOD_ANALYSIS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT"}), min_slices=10, max_spacing_mm=3.0
    )
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[NoParameters]] = NoParameters

    def __init__(self, device: str) -> None:
        """device: accepted for the contract's sake; the work is done on the CPU."""
        self.device = device

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """The airways with their measurements.

        Raises
        ------
        NotApplicable
            The images show no trachea or main bronchi between aerated lungs.
        """
        from analyzers.anatomy.airway_tree import airway_tree
        from analyzers.grid.hounsfield import hounsfield_planes
        from analyzers.grid.patient_grid import clear_padding, patient_grid, require_extent

        require_extent(volume, LEAST_EXTENT_MM)
        one_more = counting(3)
        grid = patient_grid(volume)
        hu = hounsfield_planes(volume, grid)
        one_more()
        tree = airway_tree(hu, grid.spacing_mm)
        one_more()
        if tree is None:
            raise NotApplicable("The images show no trachea or main bronchi between aerated lungs.")
        clear_padding(volume, grid, tree.mask)
        volume_ml = np.count_nonzero(tree.mask) * volume.voxel_ml
        size = measured(codes.VOLUME, volume_ml, codes.MILLILITER)
        segment = structures.of("airways").segment(1, (size,))
        labels = grid.restore(tree.mask.view(np.uint8))
        one_more()
        usual = usual_area(volume.subject)
        tube = [replace(one, reference=usual) for one in _trachea(tree.mask, grid.spacing_mm)]
        airways = Segmentation(labels, (segment,), title="Airways")
        return Findings((airways, *tube))


def usual_area(subject: Subject) -> Reference | None:
    """Which cross-section of the trachea is usual; None where age or sex do not tell it."""
    is_adult = subject.age_years is not None and subject.age_years >= ADULT_YEARS
    usual = USUAL_MM2.get(subject.sex or "") if is_adult else None
    return None if usual is None else Reference(*usual, AREA_SOURCE)


def _trachea(airways: Mask, spacing_mm: Spacing) -> tuple[Measurement, ...]:
    """Median cross-section of the trachea in the planes near its top; () where it is not shown."""
    planes = np.flatnonzero(airways.any(axis=(1, 2)))[::-1]
    count = max(LEAST_PLANES, round(TOP_MM / spacing_mm[0]))
    areas = [_tube_area(airways[z], spacing_mm) for z in planes[:count]]
    tube = [area for area in areas if area > 0]
    if len(tube) < LEAST_PLANES:
        return ()
    name = Code("TRACHCSA", codes.PRIVATE_SCHEME, "Cross-sectional area of the trachea")
    return (measured(name, float(np.median(tube)), codes.SQUARE_MILLIMETER),)


def _tube_area(plane: Mask, spacing_mm: Spacing) -> float:
    """Area (mm²) of a plane that shows one tube; 0 where it shows several or none."""
    rows, columns = np.nonzero(plane)
    extent = ((np.ptp(rows) + 1) * spacing_mm[1], (np.ptp(columns) + 1) * spacing_mm[2])
    area = rows.size * spacing_mm[1] * spacing_mm[2]
    fills = area >= LEAST_ROUNDNESS * np.pi / 4 * extent[0] * extent[1]
    return float(area) if fills and max(extent) <= LARGEST_WIDTH_MM else 0.0
