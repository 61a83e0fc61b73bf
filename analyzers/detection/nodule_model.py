"""A logistic model of how likely a candidate is a nodule. Its coefficients are text (TOML)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import OperatingPoint
from analyzers.detection.nodule_shape import Shape

NAMES = tuple(field.name for field in fields(Shape))
DEEPEST_MM = 15.0
SHIPPED = Path(__file__).resolve().parents[1] / "models" / "weights"


@dataclass(frozen=True, slots=True, eq=False)
class NoduleModel:
    """``probability = 1 / (1 + exp(-(weights · (features - mean) / deviation + bias)))``.

    weights, mean, deviation: float64 ``(features,)``, in the order of ``NAMES``.
    """

    weights: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    bias: float
    operating_point: OperatingPoint
    seed: int

    def probability(self, shape: Shape) -> float:
        return self.of_prepared(prepared(shape))

    def of_prepared(self, features: NDArray[np.float64]) -> float:
        """The probability from ``prepared`` features."""
        value = float((features - self.mean) / self.deviation @ self.weights) + self.bias
        return float(1.0 / (1.0 + np.exp(-value)))


def prepared(shape: Shape) -> NDArray[np.float64]:
    """Features as the model takes them: the diameter as a logarithm, the depth capped."""
    features = shape.features()
    features[NAMES.index("diameter")] = np.log(shape.diameter)
    features[NAMES.index("depth")] = min(shape.depth, DEEPEST_MM)
    return features


def load(folder: Path = SHIPPED) -> NoduleModel:
    """The model stored in ``folder/lung_nodule``; the one that comes with the node."""
    table = tomllib.loads((folder / "lung_nodule" / "model.toml").read_text("utf-8"))
    rows = table["features"]
    columns = {
        key: np.array([rows[name][key] for name in NAMES], np.float64)
        for key in ("weight", "mean", "deviation")
    }
    point = table["operating_point"]
    return NoduleModel(
        columns["weight"],
        columns["mean"],
        columns["deviation"],
        float(table["bias"]),
        OperatingPoint(
            point["threshold"], point["sensitivity"], point["specificity"], point["evaluated_on"]
        ),
        int(table["seed"]),
    )


def dump(model: NoduleModel) -> str:
    """The TOML text that ``load`` reads."""
    point = model.operating_point
    lines = [
        "# Made by the training of lung_nodule; not to be edited by hand.",
        f"seed = {model.seed}",
        f"bias = {model.bias:.6f}",
        "",
        "[operating_point]",
        f"threshold = {point.threshold:.4f}",
        f"sensitivity = {point.sensitivity:.4f}",
        f"specificity = {point.specificity:.4f}",
        f'evaluated_on = "{point.evaluated_on}"',
    ]
    columns = zip(NAMES, model.weights, model.mean, model.deviation, strict=True)
    for name, weight, mean, deviation in columns:
        lines += ["", f"[features.{name}]", f"weight = {weight:.6f}"]
        lines += [f"mean = {mean:.6f}", f"deviation = {deviation:.6f}"]
    return "\n".join(lines) + "\n"
