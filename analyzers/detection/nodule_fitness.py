"""Whether a chest on CT is one on which the nodule model was ever measured.

It was trained on an adult's lungs, and tried with noise up to 60 HU. What is beyond that is
answered with a caution; what shows no lung is refused where the lungs are looked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from analyzers.grid.hounsfield import Hounsfield
from analyzers.grid.noise import SPREAD, second_differences

LOUD_HU = 65.0
"""The noise that was added, and that of the training images."""
SOFT_HU = (-100, 150)
PLANES = 7
"""So many are looked at for noise."""
FEWEST_PIXELS = 500
CUT_MM2 = 400.0
"""Of lung in the plane at a border of the images: more than the tip of an apex or a recess."""
NARROW_MM, WIDE_MM = 150.0, 450.0
"""Of both lungs of an adult from side to side."""
MEDIAN_OF_NORMAL = 0.6745
"""Of its absolute values, in standard deviations."""

CUT = (
    "The images cut the lungs ({where}): of what lies beyond nothing is said, and no mark does not"
    " mean that the lungs hold no nodule."
)
NOISY = (
    "Caution: the images have noise of {noise} HU; the method was tried with up to {limit} HU."
    " Marks may be noise, and nodules may be missed."
)
ODD_SIZE = (
    "Caution: both lungs together are {width} mm wide, and no adult's are: the header may say the"
    " voxels wrong, or this is a child. Do not rely on diameters."
)


def cautions(
    hu: Hounsfield, lungs: NDArray[np.uint8], spacing_mm: tuple[float, float, float]
) -> tuple[str, ...]:
    """Why marks, or that there are none, should not be relied on. lungs: axes (z, y, x) from feet
    to head, front to back, the patient's right to left; 0 outside."""
    return tuple(_said(hu, lungs, spacing_mm))


def _said(
    hu: Hounsfield, lungs: NDArray[np.uint8], spacing_mm: tuple[float, float, float]
) -> Iterator[str]:
    noise = noise_hu(hu, lungs)
    if noise is not None and noise > LOUD_HU:
        yield NOISY.format(noise=round(noise), limit=round(LOUD_HU))
    where = cut(lungs, spacing_mm)
    if where:
        yield CUT.format(where=", ".join(where))
    columns = np.flatnonzero(lungs.any(axis=(0, 1)))
    width = float(np.ptp(columns) + 1) * spacing_mm[2] if columns.size else 0.0
    is_whole = not {"on the right", "on the left"} & set(where)
    if width > WIDE_MM or (is_whole and width < NARROW_MM and len(np.unique(lungs)) > 2):
        yield ODD_SIZE.format(width=round(width))


def cut(lungs: NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> tuple[str, ...]:
    """At which borders of the images the lungs end."""
    ends = ("below", "above"), ("in front", "behind"), ("on the right", "on the left")
    found = []
    for axis, names in enumerate(ends):
        area = float(np.prod(spacing_mm)) / spacing_mm[axis]
        for place, name in zip((0, -1), names, strict=True):
            if np.count_nonzero(lungs.take(place, axis)) * area > CUT_MM2:
                found.append(name)
    return tuple(found)


def noise_hu(hu: Hounsfield, lungs: NDArray[np.uint8]) -> float | None:
    """Noise in soft tissue of planes with lung (Immerkær 1996, DOI 10.1006/cviu.1996.0060), the
    middle of the planes; None where too little of it is seen."""
    import cv2

    planes = np.flatnonzero(lungs.any(axis=(1, 2)))
    found = []
    for z in planes[np.linspace(0, len(planes) - 1, min(PLANES, len(planes))).astype(int)]:
        plane = np.asarray(hu[int(z)], np.float32)
        smooth = cv2.GaussianBlur(plane, (0, 0), 2)
        soft = (smooth > SOFT_HU[0]) & (smooth < SOFT_HU[1])
        if np.count_nonzero(soft) >= FEWEST_PIXELS:
            second = np.abs(second_differences(plane)[soft])
            found.append(float(np.median(second)) / MEDIAN_OF_NORMAL / SPREAD)
    return float(np.median(found)) if found else None
