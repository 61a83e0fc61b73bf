"""On which side of the body a focus of uptake lies, where the images tell it safely.

Knows the midline from the outline of the body alone, so it says nothing of a body that may be cut
off or show one limb only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analyzers import codes
from analyzers.contract import Code

if TYPE_CHECKING:  # the process that plans knows this, and nothing that computes
    from analyzers.grid.balls import Mask

LEAST_WIDTH_MM = 250.0
"""Of a trunk or of both legs; a limb alone is narrower."""
BODY_SHARE = 0.1
"""Of the mean uptake in the fullest fifth of the columns from front to back: below is no body."""
CENTRAL_SHARE = 0.1
"""Of the width: nearer to the midline the side is not said."""


def side_of(
    suv: NDArray[np.float32], window: tuple[slice, ...], mask: Mask, width_mm: float
) -> Code | None:
    """Left or right; None near the midline, and where the body is not seen from side to side.

    suv: axes (z, y, x), x to the patient's left. window, mask: the focus. width_mm: of a voxel
    along x.
    """
    planes = suv[window[0]]
    filled = np.clip(planes, 0, None).mean(axis=(0, 1), dtype=np.float64)
    usual = float(np.percentile(filled, 80))
    body = np.flatnonzero(filled > BODY_SHARE * usual)
    if body.size == 0 or body[0] == 0 or body[-1] == len(filled) - 1:
        return None
    width = float(body[-1] - body[0] + 1)
    if width * width_mm < LEAST_WIDTH_MM:
        return None
    middle = (body[0] + body[-1]) / 2
    away = float(np.nonzero(mask)[2].mean()) + window[2].start - middle
    if abs(away) < CENTRAL_SHARE * width:
        return None
    return codes.LEFT if away > 0 else codes.RIGHT
