"""What the hippocampus networks are shown, in training and in use: size, spacing, grey values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.contract import NotApplicable, Volume

LEAST_EXTENT_MM, MOST_EXTENT_MM = 20.0, 80.0
STEP_MM = 1.0
"""Side of a voxel of the networks' grid."""
PATCH = (32, 48, 32)
"""Voxels (z, y, x) of a training window."""
LARGEST_WINDOW = (64, 64, 64)
"""Voxels that a network sees at once in use: a crop as in the training set is seen whole."""
CLIPPED_SHARES = (0.5, 99.5)
"""Percentiles beyond which grey values are clipped."""
TOLERANCE_MM = 0.02
"""Spacing that differs less from ``STEP_MM`` is not resampled."""


def require_crop(volume: Volume) -> None:
    """Refuse what is no crop round one hippocampus.

    Raises
    ------
    NotApplicable
        A side is shorter than 20 mm or longer than 80 mm.
    """
    extent = np.array(volume.shape) * volume.spacing_mm
    said = " × ".join(f"{side:.0f}" for side in extent)
    if volume.stored.size == 0 or extent.min() < LEAST_EXTENT_MM:
        raise NotApplicable(f"The images cover only {said} mm, too little to hold a hippocampus.")
    if extent.max() > MOST_EXTENT_MM:
        raise NotApplicable(
            f"The images cover {said} mm; this model reads crops round one hippocampus of at most"
            f" {MOST_EXTENT_MM:.0f} mm a side, as it was trained on."
        )


@dataclass(frozen=True, slots=True)
class Resampling:
    """How a (z, y, x) array of some spacing lies on the networks' grid; both share their edges."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @property
    def needed(self) -> bool:
        return any(abs(step - STEP_MM) > TOLERANCE_MM for step in self.spacing_mm)

    @property
    def target(self) -> tuple[int, ...]:
        """Shape on the networks' grid."""
        return tuple(
            max(1, round(size * step / STEP_MM))
            for size, step in zip(self.shape, self.spacing_mm, strict=True)
        )

    def forward(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values on the networks' grid, linear; averaged first where the grid is coarser."""
        out = values.astype(np.float32)
        if not self.needed:
            return out
        blur = [max(0.0, 0.5 * (STEP_MM / step - 1)) for step in self.spacing_mm]
        return _onto(ndimage.gaussian_filter(out, blur), self.target)

    def back(self, field: NDArray[Any]) -> NDArray[np.float32]:
        """A field of the networks' grid on the array's own voxels, linear."""
        return _onto(field, self.shape) if self.needed else field.astype(np.float32)


def _onto(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    steps = [have / want for have, want in zip(values.shape, shape, strict=True)]
    offset = [(step - 1) / 2 for step in steps]
    out: NDArray[np.float32] = ndimage.affine_transform(
        values.astype(np.float32), np.array(steps), offset, shape, order=1, mode="nearest"
    )
    return out


def normalized(values: NDArray[Any]) -> NDArray[np.float32]:
    """Clipped to the percentiles, mean 0, standard deviation 1; a constant image becomes 0."""
    low, high = np.percentile(values, CLIPPED_SHARES)
    out = np.clip(values, low, high).astype(np.float32)
    deviation = float(out.std())
    if deviation < 1e-6:
        return np.zeros_like(out)
    scaled: NDArray[np.float32] = (out - out.mean()) / np.float32(deviation)
    return scaled
