"""The cases of the multimodal classifier: each radiograph, another of the same person, its header.

The opacity set gives no second series. Another radiograph of the same person stands in for it: the
one whose number is nearest. Columns ``age_years``, ``sex``, ``weight_kg`` and ``height_m`` of
``labels.csv`` are read where they are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analyzers.classification.multimodal_input import KINDS, Projection, header_values, inputs
from analyzers.classification.multimodal_network import Inputs
from analyzers.classification.training.opacity_classic import table_of
from analyzers.contract import Subject
from analyzers.radiograph.training.opacity_data import OpacitySet, readings
from analyzers.radiograph.training.opacity_data import read as read_images


@dataclass(frozen=True, slots=True, eq=False)
class MultimodalSet:
    """table: features of each image ``(n, features)``; second: index of the other image of the
    same person, -1 where there is none; values: of the header, by name."""

    images: OpacitySet
    table: NDArray[np.float64]
    second: NDArray[np.int64]
    values: tuple[Mapping[str, float], ...]

    def cases(self, projection: Projection, which: NDArray[np.int64]) -> Inputs:
        """The cases of some images, as the network takes them."""
        shown = projection(self.table)
        pairs = [(shown[i], shown[j] if j >= 0 else None) for i, j in self._pairs(which)]
        return inputs(pairs, [self.values[int(i)] for i in which])

    def projection(self, which: NDArray[np.int64]) -> Projection:
        """Principal components (90 % of the variance) of some images, each of spread 1."""
        fitted = make_pipeline(StandardScaler(), PCA(0.9, svd_solver="full"), StandardScaler())
        fitted.fit(self.table[which])
        scaler, pca, spread = (step for _, step in fitted.steps)
        components = pca.components_ / spread.scale_[:, None] / scaler.scale_[None]
        return Projection(scaler.mean_, components)

    def _pairs(self, which: NDArray[np.int64]) -> list[tuple[int, int]]:
        return [(int(i), int(self.second[i])) for i in which]


def read(folder: Path, mean: NDArray[np.float32] | None = None) -> MultimodalSet:
    """The set in ``folder``, laid on its own mean chest or on the one given."""
    images = read_images(folder)
    framed = images.framed if mean is None else images.laid_on(mean)
    rows = {file: lines[0] for file, lines in readings(folder).items()}
    return MultimodalSet(
        images,
        table_of(framed, KINDS),
        others([Path(file).stem for file in rows], images.patient),
        tuple(_values(row) for row in rows.values()),
    )


def others(names: list[str], patient: NDArray[np.str_]) -> NDArray[np.int64]:
    """For each image the other one of the same patient whose number (after ``_``) is nearest."""
    numbers = [int(name.rpartition("_")[2]) if "_" in name else 0 for name in names]
    found = np.full(len(names), -1, np.int64)
    for index, number in enumerate(numbers):
        same = [i for i in np.flatnonzero(patient == patient[index]).tolist() if i != index]
        if same:
            found[index] = min(same, key=lambda i: (abs(numbers[i] - number), numbers[i]))
    return found


def _values(row: Mapping[str, str]) -> Mapping[str, float]:
    def number(name: str) -> float | None:
        return float(row[name]) if row.get(name) else None

    subject = Subject(
        age_years=number("age_years"),
        sex=row.get("sex") or None,
        weight_kg=number("weight_kg"),
        height_m=number("height_m"),
    )
    return header_values(subject, row.get("view", ""))
