"""Median over a window given in mm, on the CPU or a CUDA device.

The window has an odd number of voxels along each axis; beyond the edge of the image its edge voxels
are repeated, as ``scipy.ndimage.median_filter(mode="nearest")`` does.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
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
    InvalidParameters,
    Limits,
    Parameter,
    Parameters,
    Volume,
)
from analyzers.filters import derived, rank_network
from analyzers.filters.derived import Sizes
from analyzers.threads import bands, for_each

MOST_VOXELS = 343
"""Largest window (7×7×7 or 17×17): beyond it the selection is too slow to be of use."""
PART = 150_000
"""Voxels handled at once on the CPU: fewer cost calls, with more the ranks leave the cache."""


@dataclass(frozen=True, slots=True)
class MedianParameters(Parameters):
    """The window."""

    size_mm: Annotated[float, Parameter(derived.WINDOW, "mm", least=0.1, most=50)] = 3.0
    dimensions: derived.Dimensions = "3d"


class MedianFilter:
    """Derives a series of local medians on the same grid, in the same units."""

    name: ClassVar[str] = "median_filter"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Median filter"
    about: ClassVar[About] = About(
        purpose="Replaces each value by the median of its surroundings.",
        gives=("a series on the same grid, in the units of the source",),
    )
    family: ClassVar[Code] = families.NEIGHBORHOOD_ANALYSIS
    inputs: ClassVar[InputContract] = derived.INPUTS
    limits: ClassVar[Limits] = Limits(time_s=600.0, memory_mb=6144)
    parameters: ClassVar[type[MedianParameters]] = MedianParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: MedianParameters) -> Findings:
        """The image of medians.

        Raises
        ------
        InvalidParameters
            The window has too many voxels on this grid.
        NotApplicable
            The series holds no image.
        """
        derived.require_image(volume)
        sizes = derived.window_in_voxels(volume, parameters.size_mm, parameters.dimensions)
        if np.prod(sizes) > MOST_VOXELS:
            raise InvalidParameters(
                f"size_mm is {parameters.size_mm:g}: {derived.in_words(sizes)} in this series, "
                f"at most {MOST_VOXELS} in all are accepted"
            )
        values = _values(volume)
        if self.device.startswith("cuda"):
            values = median_on_device(values, sizes, self.device)
        else:
            values = median_on_cpu(values, sizes)
        return derived.derived(
            volume,
            values,
            f"Median {parameters.size_mm:g} mm {parameters.dimensions}",
            codes.SMOOTHING,
            f"Median of {derived.in_words(sizes)} {derived.where(parameters.dimensions)}.",
        )


def _values(volume: Volume) -> NDArray[Any]:
    """int16 where nothing is lost by it: twice as many voxels an instruction."""
    from analyzers.filters.slabs import in_slabs
    from analyzers.grid.field import MirroredPlanes

    return in_slabs(volume, MirroredPlanes(volume), lambda values: values)


def median_on_cpu(values: NDArray[Any], sizes: Sizes) -> NDArray[Any]:
    """The medians of a C-contiguous volume of int16 or float32 as a new array.

    sizes: odd, in voxels, along (slice, row, column).
    """
    import cv2

    out = np.empty_like(values)
    if sizes in ((1, 3, 3), (1, 5, 5)) and values.dtype in (np.int16, np.uint16, np.float32):

        def plane(index: int) -> None:
            cv2.medianBlur(values[index], sizes[1], out[index])

        for_each(plane, range(len(values)))
        return out
    _, height, width = values.shape
    parts = math.ceil(height * width / PART)
    rows = max(math.ceil(height / parts), 2 * sizes[1])
    largest = (min(rows, height) + sizes[1] - 1) * (width + sizes[2] - 1)
    buffers = _Buffers(largest, values.dtype)
    operations = Operations(np.minimum, np.maximum, buffers.take)

    def part(place: tuple[int, slice]) -> None:
        index, band = place
        window = _window(values, sizes, index, band, buffers.take)
        out[index, band] = _median_of_band(window, sizes, operations)
        buffers.free_all()

    for_each(part, [(index, band) for index in range(len(values)) for band in bands(height, rows)])
    return out


def median_on_device(values: NDArray[Any], sizes: Sizes, device: str) -> NDArray[Any]:
    """The same network in torch, slice by slice."""
    import torch

    out = np.empty_like(values)
    whole, dtype = slice(0, values.shape[1]), torch.from_numpy(out[:0]).dtype

    def empty(length: int) -> Any:
        return torch.empty(length, dtype=dtype, device=device)

    operations = Operations(torch.minimum, torch.maximum, empty)
    with torch.inference_mode():
        for index in range(len(values)):
            planes = _window(values, sizes, index, whole, lambda n: np.empty(n, values.dtype))
            window = [torch.from_numpy(plane).to(device) for plane in planes]
            out[index] = _median_of_band(window, sizes, operations).cpu().numpy()
    return out


@dataclass(frozen=True, slots=True)
class Operations:
    """Element-wise operations of the array library that the network runs in."""

    minimum: Callable[..., Any]
    maximum: Callable[..., Any]
    empty: Callable[[int], Any]
    """A flat array of so many elements."""


class _Buffers(threading.local):
    """Flat arrays that each thread uses again: fresh memory costs as much as the comparisons."""

    def __init__(self, largest: int, dtype: np.dtype[Any]) -> None:
        self._largest, self._dtype = largest, dtype
        self._arrays: list[NDArray[Any]] = []
        self._taken = 0

    def take(self, length: int) -> NDArray[Any]:
        if self._taken == len(self._arrays):
            self._arrays.append(np.empty(self._largest, self._dtype))
        self._taken += 1
        return self._arrays[self._taken - 1][:length]

    def free_all(self) -> None:
        self._taken = 0


def _window(
    values: NDArray[Any], sizes: Sizes, index: int, band: slice, empty: Callable[[int], Any]
) -> list[NDArray[Any]]:
    """The rows of a band ``(row, column)``, of all slices in the window, edge voxels repeated."""
    slices, rows, columns = values.shape
    across, down, along = (size // 2 for size in sizes)
    first, last = max(band.start - down, 0), min(band.stop + down, rows)
    above = first - (band.start - down)
    shape = band.stop - band.start + 2 * down, columns + 2 * along
    planes = []
    for nearest in range(index - across, index + across + 1):
        plane = empty(shape[0] * shape[1]).reshape(shape)
        inside = plane[above : above + last - first]
        inside[:, along : along + columns] = values[min(max(nearest, 0), slices - 1), first:last]
        inside[:, :along] = inside[:, along : along + 1]
        inside[:, along + columns :] = inside[:, along + columns - 1 : along + columns]
        plane[:above], plane[above + last - first :] = inside[0], inside[-1]
        planes.append(plane)
    return planes


def _median_of_band(window: list[Any], sizes: Sizes, ops: Operations) -> Any:
    """window: planes ``(row, column)`` with all that the medians of its middle need.

    Rows stand end to end in memory, so a voxel's neighbour is an offset and every operation runs
    over one contiguous stretch; what wraps round a row's end is cut off at last.
    """
    across, down, along = sizes
    rows, width = window[0].shape
    columns, kept = width - along + 1, rows - down + 1
    ranks = [plane.reshape(-1) for plane in window]
    ranks = _merged(ranks, across, 0, 1, ops, median=down * along == 1)
    ranks = _merged(ranks, down, width, len(ranks), ops, median=along == 1)
    ranks = _merged(ranks, along, 1, len(ranks), ops, median=True)
    (median,) = ranks
    padded = ops.empty(kept * width)
    padded[: median.shape[0]] = median
    return padded.reshape(kept, width)[:, :columns]


def _merged(
    ranks: list[Any], lists: int, offset: int, length: int, ops: Operations, *, median: bool
) -> list[Any]:
    """Merge the ranks of ``lists`` neighbours that lie ``offset`` apart."""
    if lists == 1 and not median:
        return ranks
    size = ranks[0].shape[0] - (lists - 1) * offset
    inputs = (
        ranks
        if offset == 0
        else [rank[i * offset : i * offset + size] for i in range(lists) for rank in ranks]
    )
    network = rank_network.merging(lists, length, median=median)
    return rank_network.run(network, inputs, ops.minimum, ops.maximum, lambda: ops.empty(size))
