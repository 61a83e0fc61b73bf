"""Lung opacity on a frontal chest radiograph by two methods that look at different things."""

from __future__ import annotations

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
    Volume,
)
from analyzers.models.learners import Calibration, Linear
from analyzers.radiograph import concepts
from analyzers.radiograph.opacity import (
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

if TYPE_CHECKING:
    from analyzers.models import stored_model
    from analyzers.radiograph.opacity_features import Kind


KINDS: tuple[Kind, ...] = ("edges", "density")
MEMBERS = ("linear", "places")
MAP = "Chance of each place to lie in an opacity"


class OpacityEnsemble:
    """Present or absent, with a calibrated probability, its spread over the members, and a map.

    One member weighs the edges and densities of the whole chest, the other looks for the most
    suspicious place; their log odds are averaged. A reason is what it adds to the log odds. The map
    is the second member's chance of each place to lie in an opacity.
    """

    name: ClassVar[str] = "opacity_ensemble"
    version: ClassVar[str] = "1.3.1"
    title: ClassVar[str] = "Lung opacity (ensemble)"
    about: ClassVar[About] = About(
        purpose="Says whether a frontal chest radiograph shows a lung opacity, by an ensemble "
        "of two methods.",
        gives=(
            "present or absent, with a calibrated probability and reasons",
            "a map of the evidence",
        ),
        card="models/weights/opacity_ensemble/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = (
        "models/weights/opacity_ensemble/model.toml",
        FITNESS_MODEL,
    )
    inputs: ClassVar[InputContract] = INPUTS
    limits: ClassVar[Limits] = LIMITS
    parameters: ClassVar[type[NoParameters]] = NoParameters

    def __init__(self, device: str, model: stored_model.StoredModel | None = None) -> None:
        from analyzers.classification.opacity_places import PlaceForest
        from analyzers.models import stored_model

        self.device = device
        self.model = stored_model.load(self.name) if model is None else model
        arrays = self.model.arrays
        self.linear = Linear.of(stored_model.part_of(arrays, "linear."))
        self.places = PlaceForest.of(stored_model.part_of(arrays, "places."))
        self.members = tuple(
            Calibration(self.model.number(member, "slope"), self.model.number(member, "offset"))
            for member in MEMBERS
        )

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """Raises NotApplicable when it is no frontal chest radiograph."""
        from analyzers.classification.opacity_places import FIELD
        from analyzers.radiograph.opacity_features import features

        chest = framed_chest(volume, self.model.arrays["mean_chest"])
        row = features(chest.framed, KINDS)
        chart = self.places.chart(chest.framed)
        odds = self._log_odds(row, chart)
        probability = float(calibration_of(self.model).probability(odds.mean()))
        spread = float((1 / (1 + np.exp(-odds))).std())
        reasons = in_words(self._added(row, chart))
        items = (
            verdict(self.model, probability, reasons),
            Measurement(concepts.PROBABILITY_SPREAD, spread, codes.NO_UNIT),
            evidence(chest, volume, on_frame(chart, FIELD), MAP),
        )
        return Findings(items, cautions=chest.cautions)

    def score(self, framed: NDArray[np.float32]) -> float:
        """The mean log odds of the members for a framed image, before the last calibration."""
        from analyzers.radiograph.opacity_features import features

        odds = self._log_odds(features(framed, KINDS), self.places.chart(framed))
        return float(odds.mean())

    def _log_odds(
        self, row: NDArray[np.float64], chart: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        scores = np.array([self.linear.decide(row[None])[0], chart.max()])
        return np.array(
            [one.log_odds(score) for one, score in zip(self.members, scores, strict=True)]
        )

    def _added(self, row: NDArray[np.float64], chart: NDArray[np.float64]) -> dict[str, float]:
        """What each trait and the most suspicious place add to the log odds of the verdict."""
        from analyzers.classification.opacity_places import zones
        from analyzers.radiograph.opacity_features import traits

        whole, place = self.members
        share = calibration_of(self.model).slope / len(MEMBERS)
        names = np.array([str(trait) for trait in traits(KINDS)])
        added = summed(share * whole.slope * self.linear.contributions(row), names)
        zone = zones()[int(chart.argmax())]
        added[f"the most suspicious place, in the {zone}"] = share * float(
            place.log_odds(chart.max())
        )
        return added
