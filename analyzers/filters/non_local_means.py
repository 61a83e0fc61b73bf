"""Non-local means: a voxel becomes the mean of those round it, weighted by how alike patches are.

Buades, Coll, Morel, CVPR 2005, DOI 10.1109/CVPR.2005.38, with the noise's share taken off the
distance (Darbon et al., ISBI 2008): ``weight = exp(-max(d² - 2σ², 0) / h²)``, d² the mean squared
difference of two patches. One shift of the whole image at a time, so a shift and its opposite share
their distances. The image is mirrored at its edge for patches; voxels outside have no weight.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

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
    counting,
)
from analyzers.filters import derived
from analyzers.filters.derived import Floats, Sizes
from analyzers.filters.mean import box_on_cpu, box_on_device
from analyzers.filters.wavelet_denoise import noise_deviation
from analyzers.threads import bands, for_each
from analyzers.transfers import fetched, sent

if TYPE_CHECKING:
    from analyzers.grid.field import MirroredPlanes

MOST_SHIFTS = 1500
SLAB = 4
"""Slices handled at once in three dimensions, beside those that the search reaches into."""


@dataclass(frozen=True, slots=True)
class NonLocalMeansParameters(Parameters):
    """What is compared, where, and how strongly."""

    patch_mm: Annotated[
        float,
        Parameter(
            "length of a patch, taken to the nearest odd number of voxels", "mm", least=0.1, most=20
        ),
    ] = 2.0
    search_mm: Annotated[
        float,
        Parameter(
            "length of the region searched, taken to the nearest odd number of voxels",
            "mm",
            least=0.1,
            most=50,
        ),
    ] = 6.0
    strength: Annotated[float, Parameter("h as a multiple of the noise", least=0.05, most=5)] = 0.8
    sigma: derived.NoiseSigma = 0.0
    dimensions: derived.Dimensions = "2d"


class NonLocalMeans:
    """Derives a denoised series on the same grid, in the same units."""

    name: ClassVar[str] = "non_local_means"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Non-local means"
    about: ClassVar[About] = About(
        purpose="Removes noise by averaging like patches (non-local means).",
        gives=("a series on the same grid, in the units of the source",),
    )
    family: ClassVar[Code] = families.ADAPTIVE_FILTERING
    inputs: ClassVar[InputContract] = derived.INPUTS
    limits: ClassVar[Limits] = Limits(time_s=1800.0, memory_mb=8192)
    parameters: ClassVar[type[NonLocalMeansParameters]] = NonLocalMeansParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: NonLocalMeansParameters) -> Findings:
        """The denoised image.

        Raises
        ------
        InvalidParameters
            The region searched has too many voxels on this grid.
        NotApplicable
            The series holds no image.
        """
        from analyzers.grid.field import MirroredPlanes
        from analyzers.grid.whole_values import Gathered

        derived.require_image(volume)
        dimensions = parameters.dimensions
        patch = derived.window_in_voxels(volume, parameters.patch_mm, dimensions)
        search = derived.window_in_voxels(volume, parameters.search_mm, dimensions)
        if np.prod(search) > MOST_SHIFTS:
            raise InvalidParameters(
                f"search_mm is {parameters.search_mm:g}: {derived.in_words(search)} in this "
                f"series, at most {MOST_SHIFTS} in all are accepted"
            )
        slices = MirroredPlanes(volume)
        middle = len(slices) // 2
        sigma = parameters.sigma or estimated_noise(slices[middle : middle + 1])
        out = Gathered(volume)
        if sigma > 0:
            noise = (sigma, parameters.strength)
            denoise(slices, patch, search, noise, self.device, out.put)
        else:
            for z in range(len(slices)):
                out.put(slice(z, z + 1), slices[z : z + 1])
        return derived.derived(
            volume,
            out.values,
            f"Non-local means {parameters.search_mm:g} mm {dimensions}",
            codes.SMOOTHING,
            f"Non-local means, patches of {derived.in_words(patch)}, search in "
            f"{derived.in_words(search)}, noise {sigma:.3g}, strength {parameters.strength:g}, "
            f"{derived.where(dimensions)}.",
        )


def estimated_noise(values: Floats) -> float:
    """Standard deviation of the noise within the middle slice; 0 where it is too small."""
    import torch

    from analyzers.filters.wavelet_transform import decomposed

    middle = values[len(values) // 2][None]
    if min(middle.shape[1:]) < 4:
        return 0.0
    coefficients = decomposed(torch.from_numpy(middle), "db2", [1, 2], "cpu").values
    rows, columns = (length // 2 for length in coefficients.shape[1:])
    return noise_deviation(coefficients[:, rows:, columns:])


def denoised(
    values: Floats, patch: Sizes, search: Sizes, noise: tuple[float, float], device: str
) -> Floats:
    """The denoised C-contiguous float32 volume as a new array.

    patch, search: odd, in voxels. noise: its standard deviation, and h as a multiple of it.
    """
    out = np.empty_like(values)
    denoise(values, patch, search, noise, device, out.__setitem__)
    return out


def denoise(
    values: Floats | MirroredPlanes,
    patch: Sizes,
    search: Sizes,
    noise: tuple[float, float],
    device: str,
    put: Callable[[slice, Floats], object],
) -> None:
    """As ``denoised``, some slices at a time, from any thread. put: takes them."""
    reach = search[0] // 2 + patch[0] // 2

    def slab(places: slice) -> None:
        first = max(places.start - reach, 0)
        around = values[first : places.stop + reach]
        done = _means(around, patch, search, noise, device)
        put(places, done[places.start - first : places.stop - first])
        one_more()

    slabs = bands(len(values), 1 if reach == 0 else SLAB)
    one_more = counting(len(slabs))
    for_each(slab, slabs, torch_on_device=device)


def _means(
    values: Floats, patch: Sizes, search: Sizes, noise: tuple[float, float], device: str
) -> Floats:
    import torch

    sigma, strength = noise
    image = sent(values, device)
    total, weights = image.clone(), torch.ones_like(image)
    memory = torch.empty(image.numel(), dtype=image.dtype, device=image.device)
    for shift in half_shifts(search, values.shape):
        here, there = overlap(shift, values.shape)
        one, other = image[here], image[there]
        distance = memory[: one.numel()].view(one.shape)  # used again: fresh memory costs much
        torch.sub(one, other, out=distance)
        distance.square_()
        distance = _patch_means(distance, patch)
        weight = distance.sub_(2 * sigma**2).clamp_(min=0).mul_(-1 / (strength * sigma) ** 2).exp_()
        total[here].addcmul_(weight, other)
        total[there].addcmul_(weight, one)
        weights[here].add_(weight)
        weights[there].add_(weight)
    means: Floats = fetched(total.div_(weights))
    return means


def _patch_means(distance: Any, patch: Sizes) -> Any:
    import torch

    if distance.device.type == "cpu":
        return torch.from_numpy(box_on_cpu(distance.contiguous().numpy(), patch))
    return box_on_device(distance, patch)


def half_shifts(search: Sizes, shape: tuple[int, ...]) -> list[Sizes]:
    """One of each shift and its opposite within the region searched, without (0, 0, 0)."""
    across, down, along = (
        range(-min(size // 2, length - 1), min(size // 2, length - 1) + 1)
        for size, length in zip(search, shape, strict=True)
    )
    shifts = itertools.product(across, down, along)
    return [shift for shift in shifts if shift > (0, 0, 0)]


def overlap(shift: Sizes, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a volume and its copy moved by the shift lie over each other."""
    here = tuple(slice(max(0, -d), n - max(0, d)) for d, n in zip(shift, shape, strict=True))
    there = tuple(slice(max(0, d), n - max(0, -d)) for d, n in zip(shift, shape, strict=True))
    return here, there
