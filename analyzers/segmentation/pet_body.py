"""Where in the body a PET lies, told from the PET alone: outline, midline, liver, parting of the
legs; axes (z, y, x), z to the head, y to the back, x to the patient's left.

Every landmark must prove what it is; one that cannot is None, and nothing is placed by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the process that plans knows this, and nothing that computes
    from analyzers.grid.balls import Mask, Spacing
    from analyzers.segmentation.pet_reference import Liver

OUTLINE_SUV = 0.12
"""Skin and fat take up 0.2 to 0.4; air beside the body shows scatter and noise below a tenth."""
LEG_CM2 = (12.0, 150.0)
"""Area of the core of one thigh near the parting: of the lean to that of the very obese."""
CORE_SHARE = 0.5
"""Thighs touch: their cores lie deeper than so much of the greatest depth, and are apart."""
LEGS_ALIKE = 0.6
"""Area of the smaller thigh over that of the larger one."""
LEGS_MM = 40.0
"""So far down two legs are seen, before their parting is believed."""


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """The outline, filled plane by plane, and the landmarks in it."""

    outline: Mask
    spacing_mm: Spacing
    liver: Liver | None
    parting: int | None
    """The plane where the trunk parts into legs."""

    def midline(self, first: int, last: int) -> float:
        """Column halfway between the sides of the body, over these planes."""
        columns = np.flatnonzero(self._planes(first, last).any(axis=(0, 1)))
        return float(columns[0] + columns[-1]) / 2 if columns.size else 0.0

    def depths(self, first: int, last: int) -> tuple[float, float]:
        """Rows of front and back near the midline, over these planes."""
        middle = round(self.midline(first, last))
        reach = max(1, round(40.0 / self.spacing_mm[2]))
        part = self._planes(first, last)[:, :, max(middle - reach, 0) : middle + reach + 1]
        rows = np.flatnonzero(part.any(axis=(0, 2)))
        return (float(rows[0]), float(rows[-1])) if rows.size else (0.0, 0.0)

    def _planes(self, first: int, last: int) -> Mask:
        return self.outline[max(first, 0) : max(last, first, 0) + 1]


def body_of(suv: NDArray[np.float32], spacing_mm: Spacing) -> Body:
    """The body seen, with the landmarks that are sure."""
    from analyzers.segmentation.pet_reference import liver_of

    outline = _outline(suv, spacing_mm)
    return Body(outline, spacing_mm, liver_of(suv, spacing_mm), _parting(outline, spacing_mm))


def _outline(suv: NDArray[np.float32], spacing_mm: Spacing) -> Mask:
    """Whatever takes up more than air, without what is small and apart; holes are body."""
    from scipy import ndimage

    from analyzers.grid.binary import sizes_of

    size = [max(1, 2 * round(4.0 / step) + 1) for step in spacing_mm]
    body: Mask = ndimage.uniform_filter(suv, size, mode="nearest") > OUTLINE_SUV
    labels, count = ndimage.label(body)
    if count == 0:
        return body
    sizes = sizes_of(labels)
    sizes[0] = 0
    body = labels == int(sizes.argmax())
    return np.stack([ndimage.binary_fill_holes(plane) for plane in body])


def _parting(outline: Mask, spacing_mm: Spacing) -> int | None:
    """The highest plane below the trunk from which down two legs of one size lie side by side."""
    down = max(2, round(LEGS_MM / spacing_mm[0]))
    filled = np.flatnonzero(outline.any(axis=(1, 2)))
    if filled.size == 0:
        return None
    first = int(filled[0])
    legs = [_two_legs(plane, spacing_mm) for plane in outline[first:]]
    together = next((z for z, seen in enumerate(legs) if not seen), len(legs))
    return first + together if down <= together < len(legs) else None


def _two_legs(plane: Mask, spacing_mm: Spacing) -> bool:
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(plane, 1), sampling=spacing_mm[1:])[1:-1, 1:-1]
    labels, _ = ndimage.label(depth > CORE_SHARE * depth.max())
    areas = np.bincount(labels.ravel())[1:] * spacing_mm[1] * spacing_mm[2] / 100.0
    kept = np.flatnonzero(areas >= LEG_CM2[0])
    if kept.size != 2 or areas[kept].max() > LEG_CM2[1]:
        return False
    a, b = (np.nonzero(labels == one + 1)[1].mean() for one in kept)
    width = np.sqrt(areas[kept].min() * 100.0) / spacing_mm[2]
    alike = areas[kept].min() >= LEGS_ALIKE * areas[kept].max()
    return bool(alike and abs(a - b) >= 0.7 * width)
