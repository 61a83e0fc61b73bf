"""What a nodule model marks in the same lungs under other conditions than it was trained on.

Nothing is drawn here: what is marked, but for the nodules that the patient really has, is false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.detection.nodule_candidates import (
    CEILING_HU,
    FLOOR_HU,
    STEP_MM,
    LungGrid,
    candidates,
)
from analyzers.detection.nodule_model import NoduleModel
from analyzers.detection.nodule_shape import cut_out

NOISE_HU, SHARPENING, SLICE_SIGMA_MM = 60.0, 1.5, 1.0
SCALES = (0.8, 1.3, 1.6)
"""Vessels of smaller and of larger lungs."""

IsReal = Callable[[tuple[int, int, int]], bool]


@dataclass(frozen=True, slots=True)
class Strain:
    """A condition, the false marks under it, and how many real nodules were marked."""

    name: str
    false_marks: int
    real_found: int


def strained(model: NoduleModel, grid: LungGrid, is_real: IsReal) -> tuple[Strain, ...]:
    """The marks of a study as it is, and under each condition."""
    hu = grid.hu
    noise = np.random.default_rng(0).normal(0, NOISE_HU, hu.shape).astype(np.float32)
    images = {
        "as it is": hu,
        f"noise of {NOISE_HU:g} HU added": _limited(hu + noise),
        "sharp kernel": _limited(hu + SHARPENING * (hu - ndimage.gaussian_filter(hu, 1))),
        "slices of about 2.5 mm": ndimage.gaussian_filter1d(hu, SLICE_SIGMA_MM / STEP_MM, axis=0),
    }
    found = [
        _marks(model, replace(grid, hu=image), is_real, 1.0, name) for name, image in images.items()
    ]
    found += [
        _marks(model, _scaled(grid, scale), is_real, scale, f"{scale:g} times as wide")
        for scale in SCALES
    ]
    return tuple(found)


def _limited(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(hu, FLOOR_HU, CEILING_HU).astype(np.float32)


def _scaled(grid: LungGrid, scale: float) -> LungGrid:
    lungs, left = (
        ndimage.zoom(mask.astype(np.float32), scale, order=1) > 0.5
        for mask in (grid.lungs, grid.left)
    )
    hila = tuple(one * scale for one in grid.hila)
    return LungGrid(ndimage.zoom(grid.hu, scale, order=1), lungs, left, grid.window, hila)


def _marks(model: NoduleModel, grid: LungGrid, is_real: IsReal, scale: float, name: str) -> Strain:
    false, real = 0, 0
    for one in candidates(grid, "cpu"):
        piece = cut_out(grid, one)
        if piece is None or model.probability(piece.shape) < model.operating_point.threshold:
            continue
        z, y, x = (round(v / scale) for v in one.centre)
        if is_real((z, y, x)):
            real += 1
        else:
            false += 1
    return Strain(name, false, real)
