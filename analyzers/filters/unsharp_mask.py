"""Unsharp masking: adds what a Gaussian blur of a width in mm takes away.

``value + amount * (value - blurred)``, as ``skimage.filters.unsharp_mask(preserve_range=True)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

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
from analyzers.filters.gaussian import (
    GaussianParameters,
    sigmas_in_voxels,
)
from analyzers.threads import for_each


@dataclass(frozen=True, slots=True)
class UnsharpMaskParameters(Parameters):
    """What is taken for blur, and how much of the difference is added."""

    sigma_mm: Annotated[float, Parameter("width of the blur", "mm", least=0.1, most=20)] = 1.5
    amount: Annotated[float, Parameter("gain of the difference", least=0, most=10)] = 1.0
    dimensions: derived.Dimensions = "3d"


class UnsharpMask:
    """Derives a sharpened series on the same grid, in the same units."""

    name: ClassVar[str] = "unsharp_mask"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Unsharp mask"
    about: ClassVar[About] = About(
        purpose="Sharpens: adds what a blur takes away.",
        gives=("a series on the same grid, in the units of the source",),
    )
    family: ClassVar[Code] = families.NEIGHBORHOOD_ANALYSIS
    inputs: ClassVar[InputContract] = derived.INPUTS
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[UnsharpMaskParameters]] = UnsharpMaskParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: UnsharpMaskParameters) -> Findings:
        """The sharpened image; it may leave the range of the source at steep edges.

        Raises
        ------
        NotApplicable
            The series holds no image.
        """
        from analyzers.filters.slabs import in_slabs
        from analyzers.grid.blur import gaussian_kernel
        from analyzers.grid.field import MirroredPlanes

        derived.require_image(volume)
        blur = GaussianParameters(parameters.sigma_mm, parameters.dimensions)
        sigmas = sigmas_in_voxels(volume, blur)
        values = in_slabs(
            volume,
            MirroredPlanes(volume),
            lambda image: sharpened(image, sigmas, parameters.amount, self.device),
            reach=gaussian_kernel(sigmas[0]).size // 2,
            device=self.device,
        )
        return derived.derived(
            volume,
            values,
            f"Unsharp mask {parameters.sigma_mm:g} mm {parameters.dimensions}",
            codes.UNSHARP_MASK,
            f"Unsharp mask, standard deviation {parameters.sigma_mm:g} mm, amount "
            f"{parameters.amount:g}, {derived.where(parameters.dimensions)}.",
        )


def sharpened(
    values: derived.Floats, sigmas: tuple[float, float, float], amount: float, device: str
) -> derived.Floats:
    """Sharpen a C-contiguous float32 volume in place and return it; sigmas in voxels."""
    import cv2

    from analyzers.grid.blur import blur_on_cpu, blur_on_device

    if device.startswith("cuda"):
        blurred = blur_on_device(values, sigmas, device)
    else:
        blurred = blur_on_cpu(values.copy(), sigmas)

    def plane(index: int) -> None:
        cv2.addWeighted(values[index], 1 + amount, blurred[index], -amount, 0.0, values[index])

    for_each(plane, range(len(values)))
    return values
