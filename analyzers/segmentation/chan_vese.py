"""Chan–Vese: the two smooth phases that explain the image best, with the least surface between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import families
from analyzers.contract import About, Code, Findings, InputContract, Limits, Parameter, Volume
from analyzers.segmentation.target import Scene, TargetParameters, scene

if TYPE_CHECKING:
    from torch import Tensor

    from analyzers.grid.balls import Spacing

ROUNDS, STEPS = 3, 60
LEAST_INNER = 0.55
"""The phases may drift towards each other, not past each other."""
LEAST_TRUST = 1e-3


@dataclass(frozen=True, slots=True)
class ChanVeseParameters(TargetParameters):
    """How smooth the surface is, and how even the values."""

    smoothness_mm: Annotated[
        float,
        Parameter(
            "weight of the surface; structures thinner than twice this vanish",
            "mm",
            least=0.1,
            most=5,
        ),
    ] = 0.4
    phase_mm: Annotated[
        float,
        Parameter("over how far the values of a phase may drift", "mm", least=2, most=100),
    ] = 15.0


class ChanVese:
    """Segments a structure that differs from its surroundings by value, not by a sharp edge.

    Piecewise smooth model of Chan and Vese (DOI 10.1023/A:1020874308076): inside and outside each
    have a model image f that solves min Σ‖y - f‖² + λΣ‖∇f‖² in its phase; the border follows by
    convex minimisation. Good for masses, organs and bright structures with soft borders; it joins
    neighbours of the same values, which random_walker and watershed part better.
    """

    name: ClassVar[str] = "chan_vese"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Chan-Vese segmentation"
    about: ClassVar[About] = About(
        purpose="Outlines the structure round a point, or those in a range of values, by values "
        "that are even inside and outside (Chan-Vese).",
        gives=(
            "a segment for each structure",
            "volume and mean value",
        ),
    )
    family: ClassVar[Code] = families.DEFORMABLE_MODELS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT", "MR", "PT"}), derived=True
    )
    limits: ClassVar[Limits] = Limits(time_s=600.0, memory_mb=6144)
    parameters: ClassVar[type[ChanVeseParameters]] = ChanVeseParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: ChanVeseParameters) -> Findings:
        """The structure at the point, or all structures in the range.

        Raises
        ------
        NotApplicable
            No contrast, no structure, or a point outside the images.
        """
        from analyzers.segmentation.outlined import outlined

        of = scene(volume, parameters)
        inside = two_phases(of, parameters, self.device)
        return outlined(volume, of, inside, parameters, "Chan-Vese")


def two_phases(of: Scene, parameters: ChanVeseParameters, device: str) -> NDArray[np.float32]:
    """Membership of the inner phase on the working grid, 0–1."""
    import torch

    from analyzers.segmentation.variational import least_surface

    with torch.inference_mode():
        y = torch.from_numpy(of.membership).to(device)
        outside = torch.from_numpy(of.outside).to(device)
        inner: Tensor | float = 1.0
        outer: Tensor | float = 0.0
        u = y
        for turn in range(ROUNDS):
            if turn:
                inner = _phase(y, u, parameters.phase_mm, of.spacing_mm).clamp_(LEAST_INNER, 1.0)
                outer = _phase(y, 1 - u, parameters.phase_mm, of.spacing_mm)
                outer = outer.clamp_(0.0, 1 - LEAST_INNER)
            cost = (y - inner).square_().sub_((y - outer).square_())
            cost[outside] = 1.0
            del inner, outer, u  # made anew in each turn, as wide as the image
            u = least_surface(cost, None, parameters.smoothness_mm, of.spacing_mm, STEPS)
        found: NDArray[np.float32] = u.cpu().numpy()
    return found


def _phase(y: Tensor, trust: Tensor, phase_mm: float, spacing_mm: Spacing) -> Tensor:
    """The model image of one phase; solved on blocks of about a quarter of its length."""
    from torch.nn.functional import avg_pool3d, interpolate

    from analyzers.segmentation.variational import Quadratic, model_image

    block = tuple(
        max(1, min(int(phase_mm / 4 / step), size))
        for step, size in zip(spacing_mm, y.shape, strict=True)
    )
    large = (spacing_mm[0] * block[0], spacing_mm[1] * block[1], spacing_mm[2] * block[2])
    weight, mass = (
        avg_pool3d(one[None], block, ceil_mode=True, count_include_pad=False)[0]
        for one in (trust, trust * y)
    )
    known = mass / weight.clamp(min=LEAST_TRUST)
    f = model_image(Quadratic(known, weight + LEAST_TRUST, phase_mm**2), large)
    fine = interpolate(f[None, None], size=y.shape, mode="trilinear", align_corners=False)
    smooth: Tensor = fine[0, 0]
    return smooth
