"""Lung opacity on a frontal chest radiograph by a support vector machine on edges and density."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import families
from analyzers.contract import About, Code, Findings, InputContract, Limits, NoParameters, Volume
from analyzers.models.learners import SupportVectors
from analyzers.radiograph.opacity import (
    ADDED,
    FITNESS_MODEL,
    INPUTS,
    LIMITS,
    calibration_of,
    evidence,
    framed_chest,
    in_words,
    on_frame,
    verdict,
)


class OpacitySvm:
    """Present or absent, with a calibrated probability, the zones that weighed most, and a map.

    A reason is what the decision value loses when the features of one kind in one zone are
    replaced by their mean over the training images; the map is what it loses by each place.
    """

    name: ClassVar[str] = "opacity_svm"
    version: ClassVar[str] = "1.4.1"
    title: ClassVar[str] = "Lung opacity (support vector machine)"
    about: ClassVar[About] = About(
        purpose="Says whether a frontal chest radiograph shows a lung opacity, by a support "
        "vector machine.",
        gives=(
            "present or absent, with a calibrated probability and reasons",
            "a map of the evidence",
        ),
        card="models/weights/opacity_svm/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/opacity_svm/model.toml",
        FITNESS_MODEL,
    )
    inputs: ClassVar[InputContract] = INPUTS
    limits: ClassVar[Limits] = LIMITS
    parameters: ClassVar[type[NoParameters]] = NoParameters

    def __init__(self, device: str) -> None:
        from analyzers.models import stored_model
        from analyzers.radiograph.opacity_features import KINDS

        self.device = device
        self.model = stored_model.load(self.name)
        self.machine = SupportVectors.of(self.model.arrays)
        named = str(self.model.facts["model"]["features"]).split("+")
        self.kinds = tuple(kind for kind in KINDS if kind in named)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """Raises NotApplicable when it is no frontal chest radiograph."""
        from analyzers.radiograph.opacity_features import INNER, PLACES, cells, features, traits

        chest = framed_chest(volume, self.model.arrays["mean_chest"])
        row = features(chest.framed, self.kinds)
        score = self.machine.decide(row[None])
        probability = float(calibration_of(self.model).probability(score)[0])
        names = np.array([str(trait) for trait in traits(self.kinds)])
        zones, index = np.unique(names, return_inverse=True)
        lost = self._lost(row, index, len(zones)).tolist()
        reasons = in_words(dict(zip(zones.tolist(), lost, strict=True)))
        places = self._lost(row, cells(self.kinds), PLACES**2).reshape(PLACES, PLACES)
        chart = evidence(chest, volume, on_frame(np.maximum(places, 0), INNER), ADDED)
        answer = verdict(self.model, probability, reasons)
        return Findings(items=(answer, chart), cautions=chest.cautions)

    def _lost(
        self, row: NDArray[np.float64], group: NDArray[np.intp], count: int
    ) -> NDArray[np.float64]:
        """What the decision value loses with each group of features."""
        is_left_out = group[None] == np.arange(count)[:, None]
        without = np.where(is_left_out, self.machine.mean, row)
        lost: NDArray[np.float64] = self.machine.decide(row[None]) - self.machine.decide(without)
        return lost
