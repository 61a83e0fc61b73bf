"""Wavelet denoising: orthogonal transform, soft thresholds after BayesShrink, transform back.

Chang, Yu, Vetterli, IEEE Trans. Image Processing 9 (2000) 1532, DOI 10.1109/83.862633: each detail
band is shrunk by ``T = noise variance / signal deviation`` of that band. The noise deviation is the
median absolute coefficient of the finest diagonal band over 0.6745 (Donoho). As
``skimage.restoration.denoise_wavelet(method="BayesShrink", mode="soft", rescale_sigma=False)``.
The transform is that of ``wavelet_transform``, on the CPU and on CUDA.
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
    Limits,
    Parameter,
    Parameters,
    Volume,
)
from analyzers.filters import derived
from analyzers.filters.derived import Floats
from analyzers.threads import bands, for_each

if TYPE_CHECKING:
    from analyzers.filters.wavelet_transform import Image
    from analyzers.grid.field import MirroredPlanes

MEDIAN_OF_NORMAL = 0.6744897501960817
"""Median of the absolute value of a standard normal variable."""


WAVELETS = (
    "haar",
    *(f"db{n}" for n in range(2, 9)),
    *(f"sym{n}" for n in range(2, 9)),
    *(f"coif{n}" for n in range(1, 4)),
)


@dataclass(frozen=True, slots=True)
class WaveletParameters(Parameters):
    """Which transform, how deep, and the noise that is taken away."""

    wavelet: Annotated[str, Parameter("an orthogonal wavelet of PyWavelets", choices=WAVELETS)] = (
        "db2"
    )
    levels: Annotated[
        int, Parameter("levels; fewer where the image is too small", least=1, most=6)
    ] = 3
    sigma: derived.NoiseSigma = 0.0
    dimensions: derived.Dimensions = "3d"


class WaveletDenoise:
    """Derives a denoised series on the same grid, in the same units."""

    name: ClassVar[str] = "wavelet_denoise"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Wavelet denoising (BayesShrink)"
    about: ClassVar[About] = About(
        purpose="Removes noise from the wavelet transform (BayesShrink).",
        gives=("a series on the same grid, in the units of the source",),
    )
    family: ClassVar[Code] = families.MULTI_SCALE_FILTERING
    inputs: ClassVar[InputContract] = derived.INPUTS
    limits: ClassVar[Limits] = Limits(time_s=600.0, memory_mb=8192)
    parameters: ClassVar[type[WaveletParameters]] = WaveletParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: WaveletParameters) -> Findings:
        """The denoised image.

        Raises
        ------
        NotApplicable
            The series holds no image.
        """
        from analyzers.grid.field import MirroredPlanes
        from analyzers.grid.whole_values import Gathered

        derived.require_image(volume)
        out = Gathered(volume)
        denoise(MirroredPlanes(volume), parameters, self.device, out.put)
        return derived.derived(
            volume,
            out.values,
            f"Wavelet denoised {parameters.wavelet} {parameters.dimensions}",
            codes.SMOOTHING,
            f"Wavelet denoising, BayesShrink, soft threshold, wavelet {parameters.wavelet}, at "
            f"most {parameters.levels} levels, {derived.where(parameters.dimensions)}.",
        )


def denoised(values: Floats, parameters: WaveletParameters, device: str) -> Floats:
    """Denoise a C-contiguous float32 volume in place and return it."""
    denoise(values, parameters, device, values.__setitem__)
    return values


def denoise(
    slices: Floats | MirroredPlanes,
    parameters: WaveletParameters,
    device: str,
    put: Callable[[slice, Floats], object],
) -> None:
    """Of the volume only the coefficients are held. put: takes some slices, from any thread."""
    depth, height, width = slices.shape

    def part(places: slice) -> None:
        def put_plane(z: int, plane: Any) -> None:
            place = places.start + z
            put(slice(place, place + 1), plane.cpu().numpy()[None])

        shape = (places.stop - places.start, height, width)
        _denoise(_Sent(slices, places.start, shape, device), parameters, device, put_plane)

    step = 1 if parameters.dimensions == "2d" else max(depth, 1)
    for_each(part, bands(depth, step), torch_on_device=device)


@dataclass(frozen=True, slots=True)
class _Sent:
    """Slices, from the first one on, as tensors on the device."""

    slices: Floats | MirroredPlanes
    first: int
    shape: tuple[int, int, int]
    device: str

    def __getitem__(self, z: int, /) -> Any:
        from torch import from_numpy

        return from_numpy(self.slices[self.first + z]).to(self.device)


def _denoise(
    image: Image, parameters: WaveletParameters, device: str, put: Callable[[int, Any], object]
) -> None:
    import pywt

    shape = image.shape
    axes = [axis for axis in range(3) if shape[axis] >= pywt.Wavelet(parameters.wavelet).dec_len]
    if not axes:
        for z in range(shape[0]):
            put(z, image[z])
        return
    deepest = pywt.dwtn_max_level(shape, parameters.wavelet, axes)
    levels = min(parameters.levels, max(deepest, 1))
    shrinking = _Shrinking(parameters.wavelet, axes, device)
    shrinking.level(image, levels, parameters.sigma or None, put)


@dataclass(frozen=True, slots=True)
class _Shrinking:
    wavelet: str
    axes: list[int]
    device: str

    def level(
        self, image: Image, levels: int, sigma: float | None, put: Callable[[int, Any], object]
    ) -> None:
        """Transform, shrink the detail bands, go on with the coarse band, transform back."""
        from analyzers.filters.wavelet_transform import decomposed, reconstruct

        coefficients = decomposed(image, self.wavelet, self.axes, self.device)
        coarse, *details = _bands(coefficients.values, self.axes)
        if sigma is None:
            sigma = noise_deviation(details[-1])
        for band in details:
            _shrink(band, sigma**2)
        if levels > 1:
            self.level(coarse, levels - 1, sigma, coarse.__setitem__)
        reconstruct(coefficients, self.wavelet, self.axes, image.shape, put)


def _bands(coefficients: Any, axes: list[int]) -> list[Any]:
    """Views of the bands: the coarse one first, the one that is fine along all axes last."""
    halves = []
    for axis, length in enumerate(coefficients.shape):
        half = length // 2
        split = [slice(0, half), slice(half, length)]
        halves.append(split if axis in axes else [slice(None)])
    return [coefficients[place] for place in itertools.product(*halves)]


def noise_deviation(diagonal: Any) -> float:
    """Standard deviation of the noise from the finest diagonal band.

    Coefficients of exactly 0 come from padding and are not counted.
    """
    found = np.abs(diagonal.cpu().numpy())
    flat, count = found.reshape(-1), 0
    for plane in found:
        counted = plane[plane > 0]
        flat[count : count + counted.size] = counted
        count += counted.size
    middle = np.median(flat[:count], overwrite_input=True) if count else 0.0
    return float(middle) / MEDIAN_OF_NORMAL


def _shrink(band: Any, noise_variance: float) -> None:
    """Soft threshold after BayesShrink, in place."""
    from torch import float64
    from torch.nn.functional import softshrink

    power = sum(float(plane.square().sum(dtype=float64)) for plane in band) / band.numel()
    signal = max(power - noise_variance, float(np.finfo(np.float32).eps))
    threshold = noise_variance / signal**0.5
    for plane in band:
        plane.copy_(softshrink(plane, threshold))
