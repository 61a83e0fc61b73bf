"""Lung opacity on a frontal chest radiograph by a random forest on edges, texture and density."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analyzers.classification import concepts
from analyzers.classification.learners import Forest
from analyzers.classification.opacity import (
    INPUTS,
    LIMITS,
    calibration_of,
    framed_chest,
    in_words,
    summed,
    verdict,
)
from analyzers.classification.opacity_features import KINDS, features, traits
from analyzers.contract import Findings, InputContract, Limits, Measurement, NoParameters, Volume
from analyzers.models import stored_model


class OpacityRandomForest:
    """Present or absent, with a calibrated probability and the zones that weighed most.

    A reason is the sum of what the features of one kind in one zone added on the paths through
    the trees; the spread between the trees is reported as its uncertainty.
    """

    name: ClassVar[str] = "opacity_random_forest"
    version: ClassVar[str] = "1.0.0"
    title: ClassVar[str] = "Lung opacity (random forest)"
    inputs: ClassVar[InputContract] = INPUTS
    limits: ClassVar[Limits] = LIMITS
    parameters: ClassVar[type[NoParameters]] = NoParameters

    def __init__(self, device: str) -> None:
        self.device = device
        self.model = stored_model.load(self.name)
        self.forest = Forest.of(self.model.arrays)
        named = str(self.model.facts["model"]["features"]).split("+")
        self.kinds = tuple(kind for kind in KINDS if kind in named)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """Raises NotApplicable when it is no frontal chest radiograph."""
        chest = framed_chest(volume, self.model.arrays["mean_chest"])
        row = features(chest.framed, self.kinds)
        score = self.forest.decide(row[None])
        probability = float(calibration_of(self.model).probability(score)[0])
        _, added = self.forest.contributions(row)
        names = np.array([str(trait) for trait in traits(self.kinds)])
        spread = Measurement(concepts.PROBABILITY_SPREAD, self.forest.spread(row), concepts.NO_UNIT)
        answer = verdict(self.model, probability, in_words(summed(added, names)))
        return Findings(items=(answer, spread))
