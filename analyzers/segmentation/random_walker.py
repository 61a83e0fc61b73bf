"""Random walker: how likely a walk from a voxel meets the inside before the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import families
from analyzers.contract import About, Code, Findings, InputContract, Limits, Parameter, Volume
from analyzers.segmentation.target import Scene, TargetParameters, scene

SEED_TRUST = 1e3
"""A number that sixteen bits hold."""


@dataclass(frozen=True, slots=True)
class RandomWalkerParameters(TargetParameters):
    """How far a walk goes, and what stops it."""

    contrast: Annotated[
        float,
        Parameter("difference of membership at which a walk rarely passes", least=0.02, most=1),
    ] = 0.15
    walk_mm: Annotated[
        float,
        Parameter("how far a walk goes before the values decide", "mm", least=0.5, most=50),
    ] = 4.0


class RandomWalker:
    """Segments a structure across weak or missing edges, from seeds inside and outside.

    Grady (DOI 10.1109/TPAMI.2006.233), with the values as a prior (DOI 10.1109/CVPR.2005.239): the
    minimiser of Σ d‖y - f‖² + λΣ w‖∇f‖², where w falls at edges and d holds the seeds. Good for
    structures that touch others of like values through a narrow neck.
    """

    name: ClassVar[str] = "random_walker"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Random walker segmentation"
    about: ClassVar[About] = About(
        purpose="Outlines the structure round a point, or those in a range of values, by random "
        "walks from marked voxels (random walker).",
        gives=(
            "a segment for each structure",
            "volume and mean value",
        ),
    )
    family: ClassVar[Code] = families.NEIGHBORHOOD_ANALYSIS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT", "MR", "PT"}), derived=True
    )
    limits: ClassVar[Limits] = Limits(time_s=600.0, memory_mb=6144)
    parameters: ClassVar[type[RandomWalkerParameters]] = RandomWalkerParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: RandomWalkerParameters) -> Findings:
        """The structure at the point, or all structures in the range.

        Raises
        ------
        NotApplicable
            No contrast, no structure, or a point outside the images.
        """
        from analyzers.segmentation.outlined import outlined

        of = scene(volume, parameters)
        inside = walked(of, parameters, self.device)
        return outlined(volume, of, inside, parameters, "Random walker")


def walked(of: Scene, parameters: RandomWalkerParameters, device: str) -> NDArray[np.float32]:
    """The probability of the inside on the working grid, 0–1. The membership is spent."""
    import torch

    from analyzers.segmentation.variational import Quadratic, edge_weights, model_image

    with torch.inference_mode():
        observed = torch.from_numpy(of.membership).to(device)
        core, outside = (torch.from_numpy(mask).to(device) for mask in (of.core, of.outside))
        weights = edge_weights(observed, parameters.contrast)
        trust = torch.ones_like(observed, dtype=torch.float16)
        trust[core | outside] = SEED_TRUST
        observed[outside] = 0.0
        observed[core] = 1.0
        energy = Quadratic(observed, trust, parameters.walk_mm**2, weights)
        found: NDArray[np.float32] = model_image(energy, of.spacing_mm, 200).cpu().numpy()
    return found
