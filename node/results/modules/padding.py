"""What a new image says of its padding: Pixel Padding Value and Range Limit (PS3.3 C.7.5.1.1.2).

The values of the image it is made from stay where they still mean nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.series.padding import Padding, padding_of
from node.series.source import Source

LOWEST, HIGHEST = -32768, 32767


def mark(
    dataset: Dataset,
    stored: NDArray[np.int16],
    source: Source,
    slice_index: int,
    *,
    same_rescale: bool,
) -> None:
    """Write padding into a signed 16-bit slice where the source has it, and declare its value.

    That of the source where the rescale is the same and no pixel comes to it that was measured as
    something else; otherwise the lowest there is.
    """
    volume = source.volume
    declared = padding_of(source.headers[source.frames[slice_index].header])
    if declared is None or volume is None:
        return
    valid = None if volume.valid is None else volume.valid[slice_index]
    measured = stored if valid is None else stored[valid]
    was = volume.stored[slice_index] if valid is None else volume.stored[slice_index][valid]
    kept = same_rescale and declared.lowest >= LOWEST and declared.highest <= HIGHEST
    if not kept or (_among(declared, measured) and not _among(declared, was)):
        declared = Padding(LOWEST)
    if valid is not None:
        stored[~valid] = declared.value
    declare(dataset, declared)


def keep(dataset: Dataset, header: Dataset) -> None:
    """Declare what the source declares, for pixels that are the same, with their own sign."""
    declared = padding_of(header)
    if declared is not None:
        declare(dataset, declared)


def declare(dataset: Dataset, padding: Padding) -> None:
    vr = "SS" if dataset.PixelRepresentation == 1 else "US"
    dataset.add_new("PixelPaddingValue", vr, padding.value)
    if padding.limit is not None:
        dataset.add_new("PixelPaddingRangeLimit", vr, padding.limit)


def _among(padding: Padding, stored: NDArray[Any]) -> bool:
    return bool(np.any((stored >= padding.lowest) & (stored <= padding.highest)))
