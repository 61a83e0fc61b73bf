"""What the multimodal classifier takes from radiographs and headers, and how it is scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from analyzers.classification.multimodal_network import Inputs
from analyzers.contract import Subject
from analyzers.models.learners import Arrays
from analyzers.radiograph.opacity_features import Kind

KINDS: tuple[Kind, ...] = ("edges", "density")
IMAGES = ("the radiograph", "the second radiograph")
VALUES: Mapping[str, str] = {
    "age_years": "age",
    "male": "sex",
    "weight_kg": "weight",
    "height_m": "height",
    "front": "view position",
}
"""Name → what a person calls it."""
SCALES: Mapping[str, tuple[float, float]] = {
    "age_years": (50.0, 20.0),
    "weight_kg": (70.0, 15.0),
    "height_m": (1.7, 0.1),
}
"""Middle and spread by which a number is scaled; answers to yes-or-no questions are ±1."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Features of a framed image → components of spread 1: ``(x - centre) @ components.T``."""

    centre: NDArray[np.float64]
    components: NDArray[np.float64]

    def __call__(self, table: NDArray[np.float64]) -> NDArray[np.float32]:
        """Rows ``(n, features)`` → ``(n, components)``."""
        projected: NDArray[np.float64] = (table - self.centre) @ self.components.T
        return projected.astype(np.float32)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "centre": self.centre.astype(np.float32),
            "components": self.components.astype(np.float32),
        }

    @classmethod
    def of(cls, arrays: Arrays) -> Projection:
        """Raises KeyError when an array is missing."""
        return cls(
            np.asarray(arrays["centre"], np.float64), np.asarray(arrays["components"], np.float64)
        )


def header_values(subject: Subject, view: str) -> dict[str, float]:
    """The values that the header gives, by name; what it does not say is not there."""
    given = {
        "age_years": subject.age_years,
        "weight_kg": subject.weight_kg,
        "height_m": subject.height_m,
        "male": {"M": 1.0, "F": -1.0}.get(subject.sex or ""),
        "front": {"AP": 1.0, "PA": -1.0}.get(view),
    }
    return {name: value for name, value in given.items() if value is not None}


def inputs(
    images: Sequence[Sequence[NDArray[np.float32] | None]], values: Sequence[Mapping[str, float]]
) -> Inputs:
    """Cases for the network. images: of each case the components of two images or None."""
    size = next((len(one) for pair in images for one in pair if one is not None), 0)
    shown = np.zeros((len(images), len(IMAGES), size), np.float32)
    told = np.zeros((len(images), len(VALUES)), np.float32)
    seen, known = np.zeros(shown.shape[:2], np.bool_), np.zeros(told.shape, np.bool_)
    for case, (pair, given) in enumerate(zip(images, values, strict=True)):
        for place, image in enumerate(pair):
            if image is not None:
                shown[case, place], seen[case, place] = image, True
        for column, name in enumerate(VALUES):
            if name in given:
                middle, spread = SCALES.get(name, (0.0, 1.0))
                told[case, column] = (given[name] - middle) / spread
                known[case, column] = True
    return Inputs(*(torch.from_numpy(part) for part in (shown, seen, told, known)))
