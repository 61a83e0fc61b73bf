"""Gaussian smoothing with a width in mm, on the CPU or a CUDA device.

Both paths convolve one axis after the other in float32 with the same kernel, cut at 4 sigma, and
mirror the image at its edge (edge voxel repeated), as ``scipy.ndimage.gaussian_filter`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families
from analyzers.contract import Code, Findings, InputContract, Limits, Volume
from analyzers.filters import derived
from analyzers.grid import field
from analyzers.threads import bands, for_each

LEAST_SIGMA_MM, LARGEST_SIGMA_MM = 0.1, 20.0
TRUNCATE = 4.0
COLUMNS_AT_ONCE = 2048
"""Width of the strip that is blurred along the slices: with 120 slices it stays in the cache."""


@dataclass(frozen=True, slots=True)
class GaussianParameters:
    """sigma_mm: standard deviation, 0.1–20 mm. dimensions: "2d" (within slices) or "3d"."""

    sigma_mm: float = 1.0
    dimensions: str = "3d"

    def __post_init__(self) -> None:
        derived.check_range("sigma_mm", self.sigma_mm, LEAST_SIGMA_MM, LARGEST_SIGMA_MM)
        derived.check_dimensions(self.dimensions)


class GaussianFilter:
    """Derives a smoothed series on the same grid, in the same units."""

    name: ClassVar[str] = "gaussian_filter"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Gaussian filter"
    family: ClassVar[Code] = families.NEIGHBORHOOD_ANALYSIS
    inputs: ClassVar[InputContract] = derived.INPUTS
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[GaussianParameters]] = GaussianParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: GaussianParameters) -> Findings:
        """The smoothed image; whole numbers again where the values of the source are whole.

        Raises
        ------
        NotApplicable
            The series holds no image.
        """
        derived.require_image(volume)
        sigmas = sigmas_in_voxels(volume, parameters)
        values = field.smoothed(volume, lambda image: blurred(image, sigmas, self.device))
        return derived.derived(
            volume,
            values,
            f"Gaussian {parameters.sigma_mm:g} mm {parameters.dimensions}",
            codes.GAUSSIAN_BLUR,
            f"Gaussian filter, standard deviation {parameters.sigma_mm:g} mm, "
            f"{derived.where(parameters.dimensions)}.",
        )


def sigmas_in_voxels(volume: Volume, parameters: GaussianParameters) -> tuple[float, float, float]:
    """Standard deviations along (slice, row, column) in voxels; 0 leaves an axis as it is."""
    along = parameters.sigma_mm / volume.spacing_mm
    first = 0.0 if parameters.dimensions == "2d" else float(along[0])
    return first, float(along[1]), float(along[2])


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
        image = torch.from_numpy(values).to(device)
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
        smooth: NDArray[np.float32] = image.cpu().numpy()
    return smooth


def mirrored(length: int, radius: int) -> NDArray[np.int64]:
    """Indices of an axis and ``radius`` places beyond both ends: d c b a | a b c d | d c b a."""
    places = np.arange(-radius, length + radius) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)
