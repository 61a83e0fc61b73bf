"""Lung opacity on a frontal chest radiograph by an ensemble of small networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from analyzers.classification import concepts, weights
from analyzers.classification.chest_frame import unsquared
from analyzers.classification.network_evidence import grad_cam, occlusion
from analyzers.classification.opacity import (
    INPUTS,
    LIMITS,
    FramedChest,
    calibration_of,
    framed_chest,
    in_words,
    verdict,
)
from analyzers.classification.opacity_features import zone_of
from analyzers.classification.opacity_network import OpacityNetwork, network_input
from analyzers.contract import (
    Findings,
    InputContract,
    InvalidParameters,
    Limits,
    Measurement,
    ParametricMap,
    Volume,
)


@dataclass(frozen=True, slots=True)
class OpacityCnnParameters:
    """evidence: the map that is reported, "grad_cam", "occlusion" or "none"."""

    evidence: str = "grad_cam"

    def __post_init__(self) -> None:
        if self.evidence not in ("grad_cam", "occlusion", "none"):
            raise InvalidParameters(
                f"evidence is {self.evidence!r}, 'grad_cam', 'occlusion' or 'none' is accepted"
            )


class OpacityCnn:
    """Present or absent, with a calibrated probability, its spread over the ensemble and the
    mirror image, a map of the evidence, and the zones that weigh most (by occlusion)."""

    name: ClassVar[str] = "opacity_cnn"
    version: ClassVar[str] = "1.0.0"
    title: ClassVar[str] = "Lung opacity (neural network)"
    inputs: ClassVar[InputContract] = INPUTS
    limits: ClassVar[Limits] = LIMITS
    parameters: ClassVar[type[OpacityCnnParameters]] = OpacityCnnParameters

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.model = weights.load(self.name)
        self.networks = ensemble(self.model, self.device)

    def analyze(self, volume: Volume, parameters: OpacityCnnParameters) -> Findings:
        """Raises NotApplicable when it is no frontal chest radiograph."""
        chest = framed_chest(volume, self.model.arrays["mean_chest"])
        x = network_input(chest.framed[None]).to(self.device)
        logits = member_logits(self.networks, x)
        calibration = calibration_of(self.model)
        probability = float(calibration.probability(np.array(logits.mean())))
        spread = float(calibration.probability(logits).std())
        covered = occlusion(self.networks, x)
        items: tuple[Measurement | ParametricMap, ...] = (
            Measurement(concepts.PROBABILITY_SPREAD, spread, concepts.NO_UNIT),
        )
        if parameters.evidence == "grad_cam":
            items += (_map(chest, volume, grad_cam(self.networks, x), "Grad-CAM"),)
        elif parameters.evidence == "occlusion":
            items += (_map(chest, volume, covered, "Occlusion"),)
        return Findings(items=(verdict(self.model, probability, in_words(_zones(covered))), *items))


def ensemble(model: weights.StoredModel, device: torch.device) -> list[OpacityNetwork]:
    """The networks of a stored ensemble, ready to answer."""
    networks = []
    for number in range(int(model.number("model", "networks"))):
        network = OpacityNetwork()
        own = weights.part_of(model.arrays, f"{number}.")
        network.load_state_dict({key: torch.from_numpy(np.array(one)) for key, one in own.items()})
        networks.append(network.eval().to(device))
    return networks


def member_logits(networks: list[OpacityNetwork], x: torch.Tensor) -> NDArray[np.float64]:
    """The logit of each network for the image and for its mirror image."""
    with torch.inference_mode():
        said = [network(view).logit for network in networks for view in (x, x.flip(3))]
    return torch.cat(said).double().cpu().numpy()


def _zones(covered: NDArray[np.float32]) -> dict[str, float]:
    """The mean loss by occlusion in each zone of the chest."""
    side = covered.shape[0]
    places = (np.arange(12) + 0.5) / 12
    losses: dict[str, list[float]] = {}
    for row in places:
        for column in places:
            value = float(covered[int(row * side), int(column * side)])
            losses.setdefault(zone_of(row, column), []).append(value)
    return {zone: float(np.mean(values)) for zone, values in losses.items()}


def _map(
    chest: FramedChest, volume: Volume, chart: NDArray[np.float32], method: str
) -> ParametricMap:
    """The chart back on the radiograph it was made from."""
    rows, columns = volume.shape[1:]
    lifted = unsquared(chest.frame.lift(chart), (rows, columns))
    relative = method == "Grad-CAM"
    return ParametricMap(
        values=np.ascontiguousarray(lifted[None], np.float32),
        title=f"{method}: evidence for lung opacity",
        quantity=concepts.OPACITY_EVIDENCE if relative else concepts.SCORE_CHANGE,
        unit=concepts.NO_UNIT,
    )
