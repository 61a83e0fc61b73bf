"""Lung opacity from one or two radiographs and what the header says of person and view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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
    NoParameters,
    NotApplicable,
    Volume,
)
from analyzers.radiograph import concepts
from analyzers.radiograph.opacity import (
    FITNESS_MODEL,
    INPUTS,
    LIMITS,
    calibration_of,
    framed_chest,
    in_words,
    verdict,
)

if TYPE_CHECKING:
    from analyzers.classification.multimodal_network import FusionNetwork, Inputs
    from analyzers.models import stored_model


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What is seen of one radiograph; None: nothing, and ``refusal`` says why if there is one."""

    components: NDArray[np.float32] | None = None
    refusal: str = ""
    cautions: tuple[str, ...] = ()


_Images = tuple[list[NDArray[np.float32] | None], tuple[str, ...], tuple[str, ...]]
"""Components of two images, remarks, cautions."""


class MultimodalClassifier:
    """Present or absent, with a calibrated probability and its spread over the networks.

    Reads a second radiograph of the study where there is one, and age, sex, weight, height and
    view position where the header gives them. A reason is what the log odds lose when that input
    is hidden. The remarks say what was missing, and what was given but is without weight because
    no training image carried it.
    """

    name: ClassVar[str] = "multimodal_classifier"
    version: ClassVar[str] = "1.2.2"
    title: ClassVar[str] = "Lung opacity (images and header)"
    about: ClassVar[About] = About(
        purpose="Says whether a frontal chest radiograph shows a lung opacity, with a second "
        "radiograph and the header where they are there.",
        gives=(
            "present or absent, with a calibrated probability and its spread",
            "reasons",
        ),
        evidence="No gain over one image so far.",
        card="models/weights/multimodal_classifier/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/multimodal_classifier/model.toml",
        FITNESS_MODEL,
    )
    inputs: ClassVar[InputContract] = INPUTS
    companions: ClassVar[Mapping[str, InputContract]] = {"second": INPUTS}
    limits: ClassVar[Limits] = LIMITS
    parameters: ClassVar[type[NoParameters]] = NoParameters

    def __init__(self, device: str, model: stored_model.StoredModel | None = None) -> None:
        from analyzers.classification.multimodal_input import Projection
        from analyzers.models import stored_model

        self.device = device
        self.model = stored_model.load(self.name) if model is None else model
        self.projection = Projection.of(self.model.arrays)
        self.networks = restored(self.model)
        learnt = self.model.facts["model"]["values_learnt"]
        self.learnt = frozenset(learnt if isinstance(learnt, list) else ())

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """Raises NotApplicable when no radiograph given is a frontal chest radiograph."""
        from analyzers.classification.multimodal_input import header_values, inputs

        images, remarks, cautions = self._images(volume)
        values = header_values(volume.subject, volume.facts.view if volume.facts else "")
        case = inputs([images], [values])
        scores = self._scores(case)
        calibration = calibration_of(self.model)
        probability = float(calibration.probability(scores.mean()))
        spread = float(calibration.probability(scores).std())
        items = (
            verdict(self.model, probability, in_words(self._lost(case, float(scores.mean())))),
            Measurement(concepts.PROBABILITY_SPREAD, spread, codes.NO_UNIT),
        )
        return Findings(items, (*remarks, *self._of_values(values)), cautions)

    def _images(self, volume: Volume) -> _Images:
        """The components of both images, readable ones first, and what is to be said of them."""
        second = volume.companions.get("second")
        first, other = self._components(volume), self._components(second) if second else _Seen()
        if first.components is None and other.components is None:
            raise NotApplicable(first.refusal)
        cautions = tuple(dict.fromkeys((*first.cautions, *other.cautions)))
        pair = [first.components, other.components]
        if first.components is None:
            said = f"Judged on the second radiograph alone: {first.refusal}"
            return pair[::-1], (said,), cautions
        if other.refusal:
            return pair, (f"The second radiograph was not used: {other.refusal}",), cautions
        return pair, () if second else ("There was no second radiograph.",), cautions

    def _components(self, volume: Volume) -> _Seen:
        """The components of a radiograph and why not to rely on them, or why there are none."""
        from analyzers.classification.multimodal_input import KINDS
        from analyzers.radiograph.opacity_features import features

        try:
            chest = framed_chest(volume, self.model.arrays["mean_chest"])
        except NotApplicable as verdict:
            return _Seen(refusal=str(verdict))
        components = self.projection(features(chest.framed, KINDS)[None])[0]
        return _Seen(components, cautions=chest.cautions)

    def _scores(self, case: Inputs) -> NDArray[np.float64]:
        """The logit of each network for one case."""
        import torch

        with torch.inference_mode():
            return torch.cat([network(case) for network in self.networks]).double().numpy()

    def _lost(self, case: Inputs, score: float) -> dict[str, float]:
        """What the log odds lose when an input that is there is hidden."""
        import torch

        from analyzers.classification.multimodal_input import IMAGES, VALUES

        slope, lost = calibration_of(self.model).slope, {}
        for place, (name, present) in enumerate(
            zip((*IMAGES, *VALUES.values()), [*case.seen[0], *case.known[0]], strict=True)
        ):
            if present:
                left = torch.arange(len(IMAGES) + len(VALUES)) != place
                hidden = case.without(left[: len(IMAGES)], left[len(IMAGES) :])
                lost[name] = slope * (score - float(self._scores(hidden).mean()))
        return lost

    def _of_values(self, given: Mapping[str, float]) -> tuple[str, ...]:
        from analyzers.classification.multimodal_input import VALUES

        missing = [VALUES[name] for name in VALUES if name not in given]
        unused = [VALUES[name] for name in VALUES if name in given and name not in self.learnt]
        remarks = []
        if missing:
            remarks.append(f"Not given in the header: {', '.join(missing)}.")
        if unused:
            remarks.append(
                f"Given, but without weight (never seen in training): {', '.join(unused)}."
            )
        return tuple(remarks)


def restored(model: stored_model.StoredModel) -> list[FusionNetwork]:
    """The networks of a stored model."""
    import torch

    from analyzers.classification.multimodal_input import VALUES
    from analyzers.classification.multimodal_network import FusionNetwork
    from analyzers.models import stored_model

    networks = []
    size = np.asarray(model.arrays["components"]).shape[0]
    for number in range(int(model.number("model", "networks"))):
        network = FusionNetwork(size, len(VALUES))
        own = stored_model.part_of(model.arrays, f"{number}.")
        network.load_state_dict({key: torch.from_numpy(np.array(one)) for key, one in own.items()})
        networks.append(network.eval())
    return networks
