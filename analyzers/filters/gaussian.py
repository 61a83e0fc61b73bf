"""Gaussian smoothing with a width in mm, on the CPU or a CUDA device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

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


@dataclass(frozen=True, slots=True)
class GaussianParameters(Parameters):
    """How far values are smoothed."""

    sigma_mm: Annotated[float, Parameter("standard deviation", "mm", least=0.1, most=20)] = 1.0
    dimensions: derived.Dimensions = "3d"


class GaussianFilter:
    """Derives a smoothed series on the same grid, in the same units."""

    name: ClassVar[str] = "gaussian_filter"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Gaussian filter"
    about: ClassVar[About] = About(
        purpose="Smooths with a Gaussian.",
        gives=("a series on the same grid, in the units of the source",),
    )
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
        values = self._values(volume, sigmas_in_voxels(volume, parameters))
        return derived.derived(
            volume,
            values,
            f"Gaussian {parameters.sigma_mm:g} mm {parameters.dimensions}",
            codes.GAUSSIAN_BLUR,
            f"Gaussian filter, standard deviation {parameters.sigma_mm:g} mm, "
            f"{derived.where(parameters.dimensions)}.",
        )

    def _values(self, volume: Volume, sigmas: tuple[float, float, float]) -> NDArray[Any]:
        from analyzers.grid import field
        from analyzers.grid.blur import blurred
        from analyzers.grid.blur_slabs import blurred_whole

        done = None if self.device.startswith("cuda") else blurred_whole(volume, sigmas)
        if done is not None:
            return done
        return field.smoothed(volume, lambda image: blurred(image, sigmas, self.device))


def sigmas_in_voxels(volume: Volume, parameters: GaussianParameters) -> tuple[float, float, float]:
    """Standard deviations along (slice, row, column) in voxels; 0 leaves an axis as it is."""
    along = parameters.sigma_mm / volume.spacing_mm
    first = 0.0 if parameters.dimensions == "2d" else float(along[0])
    return first, float(along[1]), float(along[2])
