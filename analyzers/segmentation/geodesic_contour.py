"""Geodesic active contour: the shortest surface round the structure where edges make it cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import families
from analyzers.contract import About, Code, Findings, InputContract, Limits, Parameter, Volume
from analyzers.segmentation.target import Scene, TargetParameters, scene

CERTAIN = 4.0


@dataclass(frozen=True, slots=True)
class GeodesicParameters(TargetParameters):
    """What counts as an edge, and how much it counts."""

    smoothing_mm: Annotated[
        float,
        Parameter("width of the model image that edges are taken from", "mm", least=0.1, most=5),
    ] = 0.7
    edge_mm: Annotated[
        float,
        Parameter(
            "an edge that rises over this length halves the cost of the surface",
            "mm",
            least=0.5,
            most=20,
        ),
    ] = 5.0
    contour_mm: Annotated[
        float, Parameter("weight of the contour against the values", "mm", least=0.1, most=10)
    ] = 1.0


class GeodesicContour:
    """Segments a structure by its edge; gaps in the edge are bridged by the shortest surface.

    The energy of Caselles, Kimmel and Sapiro (DOI 10.1023/A:1007979827043), minimised globally
    after Bresson et al. (DOI 10.1007/s10851-007-0002-0): length, weighted by
    g = 1 / (1 + (edge · ‖∇f‖)²)
    of the model image f = argmin Σ‖y - f‖² + λΣ‖∇f‖², a weak term for the values, and certain
    voxels held fast. Good for round structures with broken borders; spicules are cut off.
    """

    name: ClassVar[str] = "geodesic_contour"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Geodesic contour segmentation"
    about: ClassVar[About] = About(
        purpose="Outlines the structure round a point, or those in a range of values, by the "
        "shortest surface along edges (geodesic contour).",
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
    parameters: ClassVar[type[GeodesicParameters]] = GeodesicParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: GeodesicParameters) -> Findings:
        """The structure at the point, or all structures in the range.

        Raises
        ------
        NotApplicable
            No contrast, no structure, or a point outside the images.
        """
        from analyzers.segmentation.outlined import outlined

        of = scene(volume, parameters)
        inside = shortest_contour(of, parameters, self.device)
        return outlined(volume, of, inside, parameters, "Geodesic contour")


def shortest_contour(of: Scene, parameters: GeodesicParameters, device: str) -> NDArray[np.float32]:
    """Membership on the working grid, 0–1. That of the scene is spent."""
    import torch

    from analyzers.segmentation.variational import Quadratic, least_surface, model_image, slope

    with torch.inference_mode():
        y = torch.from_numpy(of.membership).to(device)
        f = model_image(Quadratic(y, None, parameters.smoothing_mm**2), of.spacing_mm, 40)
        edge = slope(f, of.spacing_mm).mul_(parameters.edge_mm).square_().add_(1.0).reciprocal_()
        cost = f.mul_(-2.0).add_(1.0)
        cost[torch.from_numpy(of.outside).to(device)] = CERTAIN
        cost[torch.from_numpy(of.core).to(device)] = -CERTAIN
        u = least_surface(cost, edge, parameters.contour_mm, of.spacing_mm, 120)
        found: NDArray[np.float32] = u.cpu().numpy()
    return found
