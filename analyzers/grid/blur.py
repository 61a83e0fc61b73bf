"""Gaussian blur of a volume along its axes, on the CPU or a CUDA device.

Both paths convolve one axis after the other in float32 with the same kernel, cut at 4 sigma, and
mirror the image at its edge (edge voxel repeated), as ``scipy.ndimage.gaussian_filter`` does.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.threads import bands, for_each
from analyzers.transfers import fetched, sent

TRUNCATE = 4.0
COLUMNS_AT_ONCE = 2048
"""Width of the strip that is blurred along the slices: with 120 slices it stays in the cache."""


def gaussian_kernel(sigma: float) -> NDArray[np.float32]:
    """Samples of a Gaussian of unit sum, cut at 4 sigma; ``[1]`` for sigma 0."""
    radius = int(TRUNCATE * sigma + 0.5)
    if radius == 0:
        return np.ones(1, np.float32)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return kernel


def blurred(
    values: NDArray[np.float32], sigmas: tuple[float, float, float], device: str
) -> NDArray[np.float32]:
    """Blur a C-contiguous float32 volume, on the CPU in place."""
    if device.startswith("cuda"):
        return blur_on_device(values, sigmas, device)
    return blur_on_cpu(values, sigmas)


def blur_on_cpu(
    values: NDArray[np.float32], sigmas: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Blur a C-contiguous float32 volume in place and return it."""
    across, down, along = (gaussian_kernel(sigma) for sigma in sigmas)
    none = np.ones(1, np.float32)
    flat = values.reshape(len(values), -1)

    def within(index: int) -> None:
        values[index] = cv2.sepFilter2D(
            values[index], -1, along, down, borderType=cv2.BORDER_REFLECT
        )

    def between(columns: slice) -> None:
        strip = np.ascontiguousarray(flat[:, columns])
        flat[:, columns] = cv2.sepFilter2D(strip, -1, none, across, borderType=cv2.BORDER_REFLECT)

    for_each(within, range(len(values)))
    if across.size > 1:
        for_each(between, bands(flat.shape[1], COLUMNS_AT_ONCE))
    return values


def blur_on_device(
    values: NDArray[np.float32], sigmas: tuple[float, float, float], device: str
) -> NDArray[np.float32]:
    """The same in torch. Sums of shifted copies, so no reduced-precision convolution is chosen."""
    import torch

    with torch.inference_mode():
        image = sent(values, device)
        for axis, sigma in enumerate(sigmas):
            kernel = gaussian_kernel(sigma)
            if kernel.size == 1:
                continue
            length = image.shape[axis]
            places = torch.from_numpy(mirrored(length, kernel.size // 2)).to(device)
            padded = image.index_select(axis, places)
            image = torch.zeros_like(image)
            for shift, weight in enumerate(kernel.tolist()):
                image.add_(padded.narrow(axis, shift, length), alpha=weight)
        smooth: NDArray[np.float32] = fetched(image)
    return smooth


def mirrored(length: int, radius: int) -> NDArray[np.int64]:
    """Indices of an axis and ``radius`` places beyond both ends: d c b a | a b c d | d c b a."""
    places = np.arange(-radius, length + radius) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)
