"""A series as the crop that the hippocampus networks read, or why it is none: one check for all.

Its size, its likeness to the atlas, and whether what is seen lies on the side where the crop does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import NotApplicable, Volume
from analyzers.grid.field import mirrored_values
from analyzers.grid.patient_grid import PatientGrid, measured_here, patient_grid
from analyzers.models import hippocampus_atlas
from analyzers.models.hippocampus_atlas import Side
from analyzers.models.hippocampus_input import Resampling, normalized, require_crop

PLACELESS_MM = 2.0
"""From the origin to a corner of a crop without a place."""
LEAST_ASIDE_MM = 12.0
"""From the middle of the scanner, from which a crop lies on a side."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A crop as the networks see it. image: ``(z, y, x)`` at 1 mm, normalised."""

    grid: PatientGrid
    resampling: Resampling
    image: NDArray[np.float32]
    valid: NDArray[np.bool_] | None = None
    """What was measured of the crop's own voxels, patient axes; None: all."""
    cautions: tuple[str, ...] = ()
    """Why not to rely on what is found here."""
    likeness: float = 1.0
    """Correlation with the atlas."""

    def back(self, fields: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fields ``(n, z, y, x)`` of the networks' grid on the crop's own voxels, patient axes."""
        return np.stack([self.resampling.back(field) for field in fields])


def crop_of(volume: Volume) -> Crop:
    """What the networks are shown of a series.

    Raises
    ------
    NotApplicable
        It is no crop round a hippocampus, lies otherwise than its header says, or shows nothing.
    """
    require_crop(volume)
    grid = patient_grid(volume)
    values = np.nan_to_num(grid.view(mirrored_values(volume)))
    resampling = Resampling(values.shape, grid.spacing_mm)
    image = normalized(resampling.forward(values))
    if not image.any():
        raise NotApplicable("All pixels of the series have the same value.")
    atlas = hippocampus_atlas.stored()
    found = hippocampus_atlas.likeness(image, atlas)
    hippocampus_atlas.require_hippocampus(found)
    cautions = (
        *hippocampus_atlas.cautions(image, atlas, found.upright),
        *_of_side(volume, found.side),
    )
    return Crop(grid, resampling, image, measured_here(volume, grid), cautions, found.upright)


def _of_side(volume: Volume, seen: Side) -> tuple[str, ...]:
    """A caution where the side that the shape shows is not the one where the crop lies."""
    lies = _side_of_place(volume)
    if lies is not None and lies is not seen:
        return (
            f"The crop lies on the {lies} of the patient, but shows a {seen} hippocampus: it may be"
            " mirrored. Do not rely on the result before the side is clear.",
        )
    if lies is None and seen is Side.RIGHT:
        return (
            "The crop shows a right hippocampus or a mirrored left one; its header does not say"
            " where in the patient it lies. Do not rely on the result before the side is clear.",
        )
    return ()


def _side_of_place(volume: Volume) -> Side | None:
    """By the middle of the crop from the origin; None: near it, or no place was given.

    A corner at the origin is a place that nobody measured: it is what converters write.
    """
    last = np.array(volume.shape) - 1
    corners = [volume.affine @ [*(last * chosen), 1] for chosen in np.ndindex(2, 2, 2)]
    if min(float(np.abs(corner[:3]).max()) for corner in corners) <= PLACELESS_MM:
        return None
    x = float(np.mean(corners, 0)[0])
    if abs(x) < LEAST_ASIDE_MM:
        return None
    return Side.LEFT if x > 0 else Side.RIGHT
