"""Lung opacity on a frontal chest radiograph by a random forest on edges, texture and density."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analyzers import codes, families
from analyzers.contract import (
    About,
    Code,
    Findings,
    InputContract,
    Limits,
    Measurement,
    NoParameters,
    Volume,
)
from analyzers.models.learners import Forest
from analyzers.radiograph import concepts
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
    summed,
    verdict,
)


class OpacityRandomForest:
    """Present or absent, with a calibrated probability, the zones that weighed most, and a map.

    A reason is the sum of what the features of one kind in one zone added on the paths through
    the trees, and the map the sum of those of each place; the spread between the trees is reported
    as its uncertainty.
    """

    name: ClassVar[str] = "opacity_random_forest"
    version: ClassVar[str] = "1.4.1"
    title: ClassVar[str] = "Lung opacity (random forest)"
    about: ClassVar[About] = About(
        purpose="Says whether a frontal chest radiograph shows a lung opacity, by a random forest.",
        gives=(
            "present or absent, with a calibrated probability and reasons",
            "a map of the evidence",
        ),
        card="models/weights/opacity_random_forest/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/opacity_random_forest/model.toml",
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
        self.forest = Forest.of(self.model.arrays)
        named = str(self.model.facts["model"]["features"]).split("+")
        self.kinds = tuple(kind for kind in KINDS if kind in named)

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """Raises NotApplicable when it is no frontal chest radiograph."""
        from analyzers.radiograph.opacity_features import INNER, PLACES, cells, features, traits

        chest = framed_chest(volume, self.model.arrays["mean_chest"])
        row = features(chest.framed, self.kinds)
        score = self.forest.decide(row[None])
        probability = float(calibration_of(self.model).probability(score)[0])
        _, added = self.forest.contributions(row)
        names = np.array([str(trait) for trait in traits(self.kinds)])
        spread = Measurement(concepts.PROBABILITY_SPREAD, self.forest.spread(row), codes.NO_UNIT)
        answer = verdict(self.model, probability, in_words(summed(added, names)))
        places = np.bincount(cells(self.kinds), added, PLACES**2).reshape(PLACES, PLACES)
        chart = evidence(chest, volume, on_frame(np.maximum(places, 0), INNER), ADDED)
        return Findings(items=(answer, spread, chart), cautions=chest.cautions)
