"""Lung opacity on a frontal chest radiograph by an ensemble of small networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families
from analyzers.contract import (
    About,
    Code,
    Findings,
    InputContract,
    Limits,
    Measurement,
    Parameter,
    Parameters,
    ParametricMap,
    Volume,
)
from analyzers.radiograph import concepts
from analyzers.radiograph.opacity import (
    FITNESS_MODEL,
    INPUTS,
    LIMITS,
    calibration_of,
    evidence,
    framed_chest,
    in_words,
    verdict,
)

if TYPE_CHECKING:
    import torch

    from analyzers.models import stored_model
    from analyzers.radiograph.opacity_network import OpacityNetwork


MAP = "Grad-CAM: evidence for lung opacity"
COVERED_MAP = "Occlusion: what speaks for lung opacity (positive) and against it (log odds)"
EVIDENCE = ("grad_cam", "occlusion", "none")


@dataclass(frozen=True, slots=True)
class OpacityCnnParameters(Parameters):
    """What is reported beside the answer."""

    evidence: Annotated[str, Parameter("the map that is reported", choices=EVIDENCE)] = "grad_cam"


class OpacityCnn:
    """Present or absent, with a calibrated probability, its spread over the ensemble and the
    mirror image, a map of the evidence, and the zones that weigh most."""

    name: ClassVar[str] = "opacity_cnn"
    version: ClassVar[str] = "2.4.1"
    title: ClassVar[str] = "Lung opacity (neural network)"
    about: ClassVar[About] = About(
        purpose="Says whether a frontal chest radiograph shows a lung opacity, by neural networks.",
        gives=(
            "present or absent, with a calibrated probability and reasons",
            "a map of the evidence",
        ),
        card="models/weights/opacity_cnn/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/opacity_cnn/model.toml",
        FITNESS_MODEL,
    )
    inputs: ClassVar[InputContract] = INPUTS
    limits: ClassVar[Limits] = LIMITS
    parameters: ClassVar[type[OpacityCnnParameters]] = OpacityCnnParameters

    def __init__(self, device: str) -> None:
        import torch

        from analyzers.models import stored_model

        self.device = torch.device(device)
        self.model = stored_model.load(self.name)
        self.networks = ensemble(self.model, self.device)

    def analyze(self, volume: Volume, parameters: OpacityCnnParameters) -> Findings:
        """Raises NotApplicable when it is no frontal chest radiograph."""
        from analyzers.classification.network_evidence import contributions, grad_cam, occlusion
        from analyzers.radiograph.opacity_network import network_input

        chest = framed_chest(volume, self.model.arrays["mean_chest"])
        x = network_input(chest.framed[None]).to(self.device)
        logits = member_logits(self.networks, x)
        calibration = calibration_of(self.model)
        probability = float(calibration.probability(np.array(logits.mean())))
        spread = float(calibration.probability(logits).std())
        reasons = in_words(_zones(contributions(self.networks, x)))
        items: tuple[Measurement | ParametricMap, ...] = (
            Measurement(concepts.PROBABILITY_SPREAD, spread, codes.NO_UNIT),
        )
        if parameters.evidence == "grad_cam":
            items += (evidence(chest, volume, grad_cam(self.networks, x), MAP),)
        elif parameters.evidence == "occlusion":
            chart = occlusion(
                self.networks, x, np.asarray(self.model.arrays["mean_chest"], np.float32)
            )
            items += (evidence(chest, volume, chart, COVERED_MAP, concepts.SCORE_CHANGE),)
        answer = verdict(self.model, probability, reasons)
        return Findings(items=(answer, *items), cautions=chest.cautions)


def ensemble(model: stored_model.StoredModel, device: torch.device) -> list[OpacityNetwork]:
    """The networks of a stored ensemble, ready to answer."""
    import torch

    from analyzers.models import stored_model
    from analyzers.radiograph.opacity_network import OpacityNetwork

    networks = []
    for number in range(int(model.number("model", "networks"))):
        network = OpacityNetwork()
        own = stored_model.part_of(model.arrays, f"{number}.")
        network.load_state_dict({key: torch.from_numpy(np.array(one)) for key, one in own.items()})
        networks.append(network.eval().to(device))
    return networks


def member_logits(networks: list[OpacityNetwork], x: torch.Tensor) -> NDArray[np.float64]:
    """The logit of each network for the image and for its mirror image."""
    import torch

    with torch.inference_mode():
        said = [network(view).logit for network in networks for view in (x, x.flip(3))]
    return torch.cat(said).double().cpu().numpy()


def _zones(added: NDArray[np.float32]) -> dict[str, float]:
    """What the places of each zone of the chest add together; ``(n, n)`` of the network's field."""
    from analyzers.radiograph.chest_frame import SIZE
    from analyzers.radiograph.opacity_features import zone_of
    from analyzers.radiograph.opacity_network import CROP

    inner = np.linspace(CROP.start, CROP.stop, 2 * len(added) + 1)[1::2] / SIZE
    sums: dict[str, float] = {}
    for row, line in zip(inner.tolist(), added.tolist(), strict=True):
        for column, value in zip(inner.tolist(), line, strict=True):
            zone = zone_of(row, column)
            sums[zone] = sums.get(zone, 0.0) + value
    return sums
