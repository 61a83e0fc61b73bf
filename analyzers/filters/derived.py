"""What the filters share: sizes in mm, checks, and the derived image they give back."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import (
    Code,
    DerivedImage,
    Findings,
    InputContract,
    NotApplicable,
    Parameter,
    Volume,
)
from analyzers.grid.whole_values import has_whole_values, narrowed, whole

Sizes = tuple[int, int, int]
Floats = NDArray[np.float32]
WINDOW = "length of the window, taken to the nearest odd number of voxels"
Dimensions = Annotated[str, Parameter("within slices or in three dimensions", choices=("2d", "3d"))]
NoiseSigma = Annotated[
    float,
    Parameter(
        "standard deviation of the noise in the units of the source; 0: estimated",
        least=0,
        most=1e6,
    ),
]
INPUTS = InputContract(modalities=frozenset({"CT", "MR", "PT"}), derived=True)


def require_image(volume: Volume) -> None:
    """Raise NotApplicable when the series holds no image."""
    if volume.stored.size == 0:
        raise NotApplicable("The series holds no image.")


def window_in_voxels(volume: Volume, size_mm: float, dimensions: str) -> Sizes:
    """The odd number of voxels nearest to a length, along (slice, row, column); at least 1."""
    wanted = size_mm / volume.spacing_mm
    odd = 2 * np.maximum(np.floor(wanted / 2), 0).astype(int) + 1
    if dimensions == "2d":
        odd[0] = 1
    return int(odd[0]), int(odd[1]), int(odd[2])


def in_words(sizes: Sizes) -> str:
    """A window in voxels, as columns × rows × slices."""
    return f"{sizes[2]} × {sizes[1]} × {sizes[0]} voxels"


def where(dimensions: str) -> str:
    """The parameter in words."""
    return "within slices" if dimensions == "2d" else "in three dimensions"


def derived(
    volume: Volume, values: NDArray[Any], title: str, derivation: Code, remarks: str
) -> Findings:
    """One derived image; whole numbers again where the values of the source are whole.

    Padding is blank again, whatever the filter made of it.
    """
    volume.blank_padding(values)
    if volume.valid is not None:
        remarks += " Padding is left out."
    if has_whole_values(volume):
        is_whole = np.issubdtype(values.dtype, np.integer)
        values = narrowed(values) if is_whole else whole(values)
    return Findings(items=(DerivedImage(values, title, derivation, remarks),))
