"""What trivial features reach on the opacity set: patient number, view, grey statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from analyzers.models.training.figures import Interval, auc_interval
from analyzers.radiograph.training.opacity_data import OpacitySet

TREES = 300


def baselines(data: OpacitySet, seed: int) -> dict[str, Interval]:
    """AUC of each, with 95 % interval over patients; grey statistics cross-validated."""
    number = np.array([int(name) for name in data.patient], np.float64)
    scores = {
        "patient number alone": number,
        "view alone (AP or PA)": data.view_ap.astype(np.float64),
        "grey statistics, random forest": _grey_scores(data, seed),
    }
    return {name: auc_interval(data.opacity, score, data.patient) for name, score in scores.items()}


def _grey_scores(data: OpacitySet, seed: int) -> NDArray[np.float64]:
    table = np.array([_grey(image) for image in data.images])
    scores = np.zeros(len(table))
    for train, test in data.folds(seed):
        forest = RandomForestClassifier(TREES, min_samples_leaf=3, random_state=seed)
        forest.fit(table[train], data.opacity[train])
        scores[test] = forest.predict_proba(table[test])[:, 1]
    return scores


def _grey(image: NDArray[np.float32]) -> NDArray[np.float64]:
    shares = np.histogram(image, 16, (0, 1))[0] / image.size
    parts = np.percentile(image, (5, 25, 50, 75, 95))
    return np.concatenate([[image.mean(), image.std()], parts, shares])
