"""Watershed: floods the gradient of the model image from what is certain to be in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import families
from analyzers.contract import About, Code, Findings, InputContract, Limits, Parameter, Volume
from analyzers.segmentation.target import Scene, TargetParameters, scene

OUTSIDE, INSIDE = 1, 2


@dataclass(frozen=True, slots=True)
class WatershedParameters(TargetParameters):
    """What is flooded."""

    smoothing_mm: Annotated[
        float,
        Parameter("width of the model image whose gradient is flooded", "mm", least=0.1, most=5),
    ] = 0.7


class Watershed:
    """Segments a structure up to the ridge of the gradient between it and its surroundings.

    The relief is ‖∇f‖ of f = argmin Σ‖y - f‖² + λΣ‖∇f‖² (on the device); the flooding (Beucher,
    Meyer) is sequential and runs on the CPU. Keeps corners and thin parts, and has no parameter of
    shape; without a closed edge it leaks to where the next one is.
    """

    name: ClassVar[str] = "watershed"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Watershed segmentation"
    about: ClassVar[About] = About(
        purpose="Outlines the structure round a point, or those in a range of values, by "
        "flooding the gradient (watershed).",
        gives=(
            "a segment for each structure",
            "volume and mean value",
        ),
    )
    family: ClassVar[Code] = families.MORPHOLOGICAL_OPERATIONS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT", "MR", "PT"}), derived=True
    )
    limits: ClassVar[Limits] = Limits(time_s=600.0, memory_mb=6144)
    parameters: ClassVar[type[WatershedParameters]] = WatershedParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: WatershedParameters) -> Findings:
        """The structure at the point, or all structures in the range.

        Raises
        ------
        NotApplicable
            No contrast, no structure, or a point outside the images.
        """
        from analyzers.segmentation.outlined import outlined

        of = scene(volume, parameters)
        inside = flooded(of, parameters, self.device)
        return outlined(volume, of, inside, parameters, "Watershed")


def flooded(of: Scene, parameters: WatershedParameters, device: str) -> NDArray[np.float32]:
    """1 inside, 0 outside, on the working grid. The membership is spent."""
    import torch
    from skimage.segmentation import watershed

    from analyzers.segmentation.variational import Quadratic, model_image, slope

    with torch.inference_mode():
        y = torch.from_numpy(of.membership).to(device)
        f = model_image(Quadratic(y, None, parameters.smoothing_mm**2), of.spacing_mm, 40)
        relief: NDArray[np.float32] = slope(f, of.spacing_mm).cpu().numpy()
        del f
    open_to_both = _undecided(of)
    markers = np.zeros(relief.shape, np.uint8)
    markers[of.outside] = OUTSIDE
    markers[of.core] = INSIDE
    basins = watershed(  # type: ignore[no-untyped-call]  # partly typed
        relief, markers, mask=open_to_both
    )
    return np.asarray((basins == INSIDE) | (of.core & ~open_to_both), np.float32)


def _undecided(of: Scene) -> NDArray[np.bool_]:
    """What is not certain, and the certain voxels beside it: from the others nothing floods."""
    undecided = ~(of.core | of.outside)
    near = undecided.copy()
    for axis in range(3):
        along, other = np.moveaxis(near, axis, 0), np.moveaxis(undecided, axis, 0)
        along[1:] |= other[:-1]
        along[:-1] |= other[1:]
    return near
