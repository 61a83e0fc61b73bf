"""Moving average over a window given in mm, on the CPU or a CUDA device.

The window has an odd number of voxels along each axis; the image is mirrored at its edge (edge
voxel repeated), as ``scipy.ndimage.uniform_filter`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families
from analyzers.contract import (
    About,
    Code,
    Findings,
    InputContract,
    Limits,
    Parameter,
    Parameters,
    Volume,
)
from analyzers.filters import derived
from analyzers.filters.derived import Sizes
from analyzers.threads import bands, for_each
from analyzers.transfers import fetched, sent

COLUMNS_AT_ONCE = 2048
"""Width of the strip that is averaged along the slices: with 120 slices it stays in the cache."""


@dataclass(frozen=True, slots=True)
class MeanParameters(Parameters):
    """The window."""

    size_mm: Annotated[float, Parameter(derived.WINDOW, "mm", least=0.1, most=100)] = 3.0
    dimensions: derived.Dimensions = "3d"


class MeanFilter:
    """Derives a series of local means on the same grid, in the same units."""

    name: ClassVar[str] = "mean_filter"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Mean filter"
    about: ClassVar[About] = About(
        purpose="Replaces each value by the mean of its surroundings.",
        gives=("a series on the same grid, in the units of the source",),
    )
    family: ClassVar[Code] = families.NEIGHBORHOOD_ANALYSIS
    inputs: ClassVar[InputContract] = derived.INPUTS
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[MeanParameters]] = MeanParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: MeanParameters) -> Findings:
        """The averaged image.

        Raises
        ------
        NotApplicable
            The series holds no image.
        """
        from analyzers.filters.slabs import smoothed_in_slabs

        derived.require_image(volume)
        sizes = derived.window_in_voxels(volume, parameters.size_mm, parameters.dimensions)
        values = smoothed_in_slabs(
            volume,
            lambda image: averaged(image, sizes, self.device),
            reach=sizes[0] // 2,
            device=self.device,
        )
        return derived.derived(
            volume,
            values,
            f"Mean {parameters.size_mm:g} mm {parameters.dimensions}",
            codes.SMOOTHING,
            f"Mean over {derived.in_words(sizes)} {derived.where(parameters.dimensions)}.",
        )


def averaged(values: NDArray[np.float32], sizes: Sizes, device: str) -> NDArray[np.float32]:
    """Average a C-contiguous float32 volume, on the CPU in place."""
    if device.startswith("cuda"):
        return mean_on_device(values, sizes, device)
    return mean_on_cpu(values, sizes)


def mean_on_cpu(values: NDArray[np.float32], sizes: Sizes) -> NDArray[np.float32]:
    """Average a C-contiguous float32 volume in place and return it. sizes: odd, in voxels."""
    import cv2

    across, down, along = sizes

    def within(index: int) -> None:
        cv2.blur(values[index], (along, down), values[index], borderType=cv2.BORDER_REFLECT)

    def between(columns: slice) -> None:
        strip = np.ascontiguousarray(flat[:, columns])
        flat[:, columns] = cv2.blur(strip, (1, across), borderType=cv2.BORDER_REFLECT)

    if down * along > 1:
        for_each(within, range(len(values)))
    if across > 1:
        flat = values.reshape(len(values), -1)
        for_each(between, bands(flat.shape[1], COLUMNS_AT_ONCE))
    return values


def mean_on_device(values: NDArray[np.float32], sizes: Sizes, device: str) -> NDArray[np.float32]:
    """The same in torch: sums of shifted copies along one axis after the other."""

    mean: NDArray[np.float32] = fetched(box_on_device(sent(values, device), sizes))
    return mean


def box_on_device(image: Any, sizes: Sizes) -> Any:
    """Local means of a tensor as a new one."""
    import torch

    from analyzers.grid.blur import mirrored

    for axis, size in enumerate(sizes):
        if size == 1:
            continue
        length = image.shape[axis]
        places = torch.from_numpy(mirrored(length, size // 2)).to(image.device)
        padded = image.index_select(axis, places)
        image = padded.narrow(axis, 0, length).clone()
        for shift in range(1, size):
            image.add_(padded.narrow(axis, shift, length))
        image.div_(size)
    return image


def box_on_cpu(values: NDArray[np.float32], sizes: Sizes) -> NDArray[np.float32]:
    """As ``mean_on_cpu`` on the calling thread: for parts of a volume."""
    import cv2

    across, down, along = sizes
    for index, plane in enumerate(values):
        values[index] = cv2.blur(plane, (along, down), borderType=cv2.BORDER_REFLECT)
    if across > 1:
        flat = values.reshape(len(values), -1)
        for columns in bands(flat.shape[1], COLUMNS_AT_ONCE):
            strip = np.ascontiguousarray(flat[:, columns])
            flat[:, columns] = cv2.blur(strip, (1, across), borderType=cv2.BORDER_REFLECT)
    return values
