"""Lung opacity on a frontal chest radiograph by a support vector machine on edges and density."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers.classification.learners import SupportVectors
from analyzers.classification.opacity import (
    INPUTS,
    LIMITS,
    calibration_of,
    framed_chest,
    in_words,
    verdict,
)
from analyzers.classification.opacity_features import KINDS, features, traits
from analyzers.contract import Findings, InputContract, Limits, NoParameters, Volume
from analyzers.models import stored_model


class OpacitySvm:
    """Present or absent, with a calibrated probability and the zones that weighed most.

    A reason is what the decision value loses when the features of one kind in one zone are
    replaced by their mean over the training images.
    """

    name: ClassVar[str] = "opacity_svm"
    version: ClassVar[str] = "1.0.0"
    title: ClassVar[str] = "Lung opacity (support vector machine)"
    inputs: ClassVar[InputContract] = INPUTS
    limits: ClassVar[Limits] = LIMITS
    parameters: ClassVar[type[NoParameters]] = NoParameters

    def __init__(self, device: str) -> None:
        self.device = device
        self.model = stored_model.load(self.name)
        self.machine = SupportVectors.of(self.model.arrays)
        named = str(self.model.facts["model"]["features"]).split("+")
        self.kinds = tuple(kind for kind in KINDS if kind in named)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """Raises NotApplicable when it is no frontal chest radiograph."""
        chest = framed_chest(volume, self.model.arrays["mean_chest"])
        row = features(chest.framed, self.kinds)
        score = self.machine.decide(row[None])
        probability = float(calibration_of(self.model).probability(score)[0])
        reasons = in_words(self._weights(row, float(score[0])))
        return Findings(items=(verdict(self.model, probability, reasons),))

    def _weights(self, row: NDArray[np.float64], score: float) -> dict[str, float]:
        names = np.array([str(trait) for trait in traits(self.kinds)])
        groups = np.unique(names)
        without = np.where(names[None] == groups[:, None], self.machine.mean, row)
        lost = score - self.machine.decide(without)
        return {str(group): float(part) for group, part in zip(groups, lost, strict=True)}
