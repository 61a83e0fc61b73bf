"""What is reported of foci of uptake: candidates, organs by name, and what the totals hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, structures
from analyzers.contract import Classification, Code, Findings, Measurement, Segment, Segmentation
from analyzers.segmentation.measures import MAXIMUM, measured
from analyzers.segmentation.pet_foci import Focus, suv_peak
from analyzers.segmentation.pet_physiology import Named, Organ
from analyzers.segmentation.pet_sides import side_of

if TYPE_CHECKING:
    from analyzers.grid.balls import Mask
    from analyzers.grid.patient_grid import PatientGrid

METABOLIC_VOLUME = Code("126032", "DCM", "Metabolic Volume")
TOTAL_LESION_GLYCOLYSIS = Code("126033", "DCM", "Total Lesion Glycolysis")
PEAK_IN_ROI = Code("126031", "DCM", "Peak Value Within ROI")
VOLUME_OF_ALL = Code("MTVALL", codes.PRIVATE_SCHEME, "Metabolic volume with organs")
GLYCOLYSIS_OF_ALL = Code("TLGALL", codes.PRIVATE_SCHEME, "Glycolysis with organs")
IS_PHYSIOLOGIC = Code("PHYSUPTAKE", codes.PRIVATE_SCHEME, "Physiologic uptake")
LIKELY = Code("LIKELY", codes.PRIVATE_SCHEME, "Likely")
POSSIBLE = Code("371930009", "SCT", "Possible")
TITLE = "Foci of uptake"
PAIRED = frozenset({Organ.KIDNEY})


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Foci that are reported as one segment, the ``nth`` of its structure."""

    key: str
    foci: tuple[Focus, ...]
    nth: int = 1
    named: Named | None = None

    @property
    def is_likely_organ(self) -> bool:
        return self.named is not None and self.named.is_likely


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """The uptake that is measured: SUV on axes (z, y, x), where it was measured, and the grid."""

    suv: NDArray[np.float32]
    valid: Mask | None
    grid: PatientGrid
    voxel_ml: float


def rows_of(foci: Sequence[Focus], named: Sequence[Named], most: int) -> list[Row]:
    """Candidates, hottest first, at most so many; then organs, the likely ones first."""
    by_focus = {one.focus: one for one in named}
    candidates = [one for number, one in enumerate(foci) if number not in by_focus]

    def organ(one: Named) -> tuple[bool, str, int]:
        return (not one.is_likely, one.organ.value, one.focus if one.organ in PAIRED else 0)

    rows = [Row("focus", (one,), nth) for nth, one in enumerate(candidates[:most], start=1)]
    for _, group in groupby(sorted(named, key=organ), key=organ):
        alike = list(group)
        key = alike[0].organ.value
        nth = 1 + sum(row.key == key for row in rows)
        rows.append(Row(key, tuple(foci[one.focus] for one in alike), nth, alike[0]))
    return rows


def findings(rows: Sequence[Row], of: Picture, remarks: tuple[str, ...]) -> Findings:
    """A segment for each row, and totals of what no organ is likely to be."""
    labels = np.zeros(of.suv.shape, np.uint8)
    segments: list[Segment] = []
    candidate, organs = np.zeros(2), np.zeros(2)
    for row in rows:
        number = len(segments) + 1
        taken = _take(row, labels, number)
        values = of.suv[taken.window][taken.mask].astype(np.float64)
        if values.size == 0:
            continue
        share = values.size * of.voxel_ml * np.array([1.0, values.mean()])
        candidate, organs = (
            (candidate, organs + share) if row.is_likely_organ else (candidate + share, organs)
        )
        segments.append(_segment(row, taken, number, values, of))
    if not segments:
        empty = structures.of("focus").missing()
        nothing = Segmentation(of.grid.restore(labels), (empty,), title=TITLE)
        return Findings((nothing,), ("No focus of raised uptake was found.", *remarks))
    whole = Segmentation(of.grid.restore(labels), tuple(segments), title=TITLE)
    return Findings((whole, *_totals(candidate, organs)), remarks)


def _totals(candidate: NDArray[np.float64], organs: NDArray[np.float64]) -> tuple[Measurement, ...]:
    found = [
        measured(METABOLIC_VOLUME, candidate[0], codes.MILLILITER),
        measured(TOTAL_LESION_GLYCOLYSIS, candidate[1], codes.GRAM),
    ]
    if organs[0]:
        volume, glycolysis = candidate + organs
        found += [
            measured(VOLUME_OF_ALL, volume, codes.MILLILITER),
            measured(GLYCOLYSIS_OF_ALL, glycolysis, codes.GRAM),
        ]
    return tuple(found)


def _take(row: Row, labels: NDArray[np.uint8], number: int) -> Focus:
    """What of a row's foci is free, labelled, as one focus."""
    for one in row.foci:
        free = one.mask & (labels[one.window] == 0)
        labels[one.window][free] = number
    window = tuple(
        slice(min(part.start for part in axis), max(part.stop for part in axis))
        for axis in zip(*(one.window for one in row.foci), strict=True)
    )
    return Focus(window, labels[window] == number, row.foci[0].threshold)


def _segment(row: Row, taken: Focus, number: int, suv: NDArray[np.float64], of: Picture) -> Segment:
    volume_ml = suv.size * of.voxel_ml
    peak = suv_peak(of.suv, taken, of.grid.spacing_mm, of.valid)
    measurements: tuple[Measurement, ...] = (
        measured(METABOLIC_VOLUME, volume_ml, codes.MILLILITER),
        measured(codes.SUV_BW, suv.max(), codes.GRAM_PER_ML, MAXIMUM),
        measured(codes.SUV_BW, suv.mean(), codes.GRAM_PER_ML, codes.MEAN),
        measured(codes.SUV_BW, peak, codes.GRAM_PER_ML, PEAK_IN_ROI),
        measured(TOTAL_LESION_GLYCOLYSIS, volume_ml * suv.mean(), codes.GRAM),
    )
    side = side_of(of.suv, taken.window, taken.mask, of.grid.spacing_mm[2])
    answers = (_answer(row.named),) if row.named else ()
    made = structures.of(row.key).segment(row.nth, measurements, answers, side)
    return replace(made, number=number)


def _answer(named: Named) -> Classification:
    answer = LIKELY if named.is_likely else POSSIBLE
    return Classification(IS_PHYSIOLOGIC, answer, reasons=(f"By place and shape: {named.why}.",))
