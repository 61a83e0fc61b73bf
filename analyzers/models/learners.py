"""Classic learners as arrays: support vectors, a linear one, a forest, and Platt's calibration.

They answer as scikit-learn's do (which fits them), from plain arrays that safetensors can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SupportVectors:
    """Standardise, project on principal components, then a radial basis SVM.

    mean, scale: ``(features,)``; components: ``(components, features)``; centre: mean of the
    standardised features; vectors: ``(vectors, components)``; weights: dual coefficients.
    """

    mean: Floats
    scale: Floats
    centre: Floats
    components: Floats
    vectors: Floats
    weights: Floats
    intercept: float
    gamma: float

    def decide(self, x: Floats) -> Floats:
        """The decision value of each row ``(n, features)``; above 0 speaks for the finding."""
        standard = (x - self.mean) / self.scale
        z = (standard - self.centre) @ self.components.T
        square = (z**2).sum(1)[:, None] + (self.vectors**2).sum(1)[None, :]
        distance = np.maximum(square - 2 * z @ self.vectors.T, 0)
        decided: Floats = np.exp(-self.gamma * distance) @ self.weights + self.intercept
        return decided

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        names = ("mean", "scale", "centre", "components", "vectors", "weights")
        stored: dict[str, NDArray[np.generic]] = {
            name: np.ascontiguousarray(getattr(self, name), np.float32) for name in names
        }
        return stored | {"scalars": np.array([self.intercept, self.gamma])}

    @classmethod
    def of(cls, arrays: Arrays) -> SupportVectors:
        """Raises KeyError when an array is missing."""
        names = ("mean", "scale", "centre", "components", "vectors", "weights")
        intercept, gamma = np.asarray(arrays["scalars"], np.float64)
        parts = {name: np.asarray(arrays[name], np.float64) for name in names}
        return cls(**parts, intercept=float(intercept), gamma=float(gamma))


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A weighted sum of features, each less its mean over the training images."""

    mean: Floats
    weights: Floats
    bias: float

    def decide(self, x: Floats) -> Floats:
        """The decision value of each row ``(n, features)``: log odds of the finding."""
        decided: Floats = (x - self.mean) @ self.weights + self.bias
        return decided

    def contributions(self, row: Floats) -> Floats:
        """What each feature of ``(features,)`` adds to the bias."""
        return (row - self.mean) * self.weights

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {"mean": self.mean, "weights": self.weights, "bias": np.array([self.bias])}

    @classmethod
    def of(cls, arrays: Arrays) -> Linear:
        """Raises KeyError when an array is missing."""
        mean, weights, bias = (
            np.asarray(arrays[name], np.float64) for name in ("mean", "weights", "bias")
        )
        return cls(mean, weights, float(bias[0]))


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Decision trees in one table: node → feature, threshold, children, share of the finding.

    A leaf has feature -1. ``roots`` are the first nodes of the trees.
    """

    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    share: Floats
    roots: NDArray[np.int64]

    def decide(self, x: Floats) -> Floats:
        """The mean share of the finding in the leaves that each row ``(n, features)`` reaches."""
        return np.array([self.share[self._leaves(row)].mean() for row in x])

    def contributions(self, row: Floats) -> tuple[float, Floats]:
        """The mean share at the roots, and what each feature added on the paths of ``(features,)``.

        Root share + sum of contributions = ``decide`` (Saabas 2014, "Interpreting random forests").
        """
        row = row.astype(np.float32)
        node, added = self.roots.copy(), np.zeros(row.size)
        inner = self.feature[node] >= 0
        while inner.any():
            feature = self.feature[node[inner]]
            below = row[feature] <= self.threshold[node[inner]]
            child = np.where(below, self.left[node[inner]], self.right[node[inner]])
            np.add.at(added, feature, self.share[child] - self.share[node[inner]])
            node[inner] = child
            inner = self.feature[node] >= 0
        return float(self.share[self.roots].mean()), added / len(self.roots)

    def spread(self, row: Floats) -> float:
        """Standard deviation over the trees of the share in the leaf that the row reaches."""
        return float(self.share[self._leaves(row)].std())

    def _leaves(self, row: Floats) -> NDArray[np.int64]:
        row = row.astype(np.float32)  # as scikit-learn compares
        node = self.roots.copy()
        inner = self.feature[node] >= 0
        while inner.any():
            below = row[self.feature[node[inner]]] <= self.threshold[node[inner]]
            node[inner] = np.where(below, self.left[node[inner]], self.right[node[inner]])
            inner = self.feature[node] >= 0
        return node

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "feature": self.feature.astype(np.int32),
            "threshold": self.threshold,
            "left": self.left.astype(np.int32),
            "right": self.right.astype(np.int32),
            "share": self.share,
            "roots": self.roots.astype(np.int32),
        }

    @classmethod
    def of(cls, arrays: Arrays) -> Forest:
        """Raises KeyError when an array is missing."""
        whole = {name: np.asarray(arrays[name], np.int64) for name in _WHOLE}
        return cls(
            **whole,
            threshold=np.asarray(arrays["threshold"], np.float64),
            share=np.asarray(arrays["share"], np.float64),
        )


_WHOLE = ("feature", "left", "right", "roots")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt's sigmoid: probability = 1 / (1 + exp(-(slope · score + offset)))."""

    slope: float
    offset: float

    def probability(self, score: Floats) -> Floats:
        """0–1 for each score."""
        straight = np.clip(self.slope * np.asarray(score) + self.offset, -50, 50)
        probability: Floats = 1 / (1 + np.exp(-straight))
        return probability

    def log_odds(self, score: Floats) -> Floats:
        """The logarithm of the odds for each score."""
        odds: Floats = self.slope * np.asarray(score) + self.offset
        return odds
