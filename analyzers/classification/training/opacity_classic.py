"""Fits the support vector machine and the forest of the opacity classifiers, by cross-validation.

The kinds of features and the learner's freedom are chosen inside each training part (nested
cross-validation), so the figures of the outer folds owe nothing to the choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from analyzers.models.learners import Forest, SupportVectors
from analyzers.models.training.figures import auc
from analyzers.models.training.progress import Tell, silent
from analyzers.radiograph.opacity_features import KINDS, Kind, features
from analyzers.radiograph.training.opacity_data import OpacitySet

SEED = 20261123
INNER_FOLDS = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """Kinds of features and a maker of the learner."""

    kinds: tuple[Kind, ...]
    freedom: float
    make: Callable[[float], Any]

    def __str__(self) -> str:
        return f"{'+'.join(self.kinds)}, {self.freedom:g}"


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """The learner fitted to all, and each image's score by one that never saw its patient."""

    fitted: Any
    chosen: Candidate
    chosen_in_folds: tuple[str, ...]
    scores: NDArray[np.float64]


def svm(freedom: float) -> Any:
    """Standardise, keep principal components of 90 % of the variance, radial basis SVM."""
    return make_pipeline(StandardScaler(), PCA(0.9, svd_solver="full"), SVC(C=freedom))


def forest(freedom: float) -> Any:
    """300 trees; ``freedom`` is the least number of images in a leaf."""
    return RandomForestClassifier(300, min_samples_leaf=int(freedom), random_state=SEED)


SVM_CANDIDATES = tuple(
    Candidate(kinds, c, svm) for kinds in (("edges",), ("edges", "density"), KINDS) for c in (1, 3)
)
FOREST_CANDIDATES = tuple(
    Candidate(kinds, 3, forest) for kinds in (("edges",), ("edges", "density"))
)


def tables(data: OpacitySet) -> dict[Kind, NDArray[np.float64]]:
    """Each kind of features of all framed images."""
    return {kind: table_of(data.framed, (kind,)) for kind in KINDS}


def table_of(framed: NDArray[np.float32], kinds: tuple[Kind, ...]) -> NDArray[np.float64]:
    """The features of framed images ``(n, 240, 240)``, one row each."""
    return np.array([features(image, kinds) for image in framed])


def cross_fit(
    data: OpacitySet,
    by_kind: dict[Kind, NDArray[np.float64]],
    candidates: tuple[Candidate, ...],
    seed: int = SEED,
    tell: Tell = silent,
) -> CrossFit:
    """Nested cross-validation over ``candidates``, then the best of them fitted to all images."""
    scores = np.zeros(len(data.opacity))
    names = []
    folds = data.folds(seed)
    for number, (train, test) in enumerate(folds):
        best = _choose(data, by_kind, candidates, train, seed)
        names.append(str(best))
        fitted = best.make(best.freedom).fit(_table(by_kind, best)[train], data.opacity[train])
        scores[test] = _scored(fitted, _table(by_kind, best)[test])
        tell(number + 1, len(folds) + 1, 0.0)
    everything = np.arange(len(data.opacity))
    chosen = _choose(data, by_kind, candidates, everything, seed)
    fitted = chosen.make(chosen.freedom).fit(_table(by_kind, chosen), data.opacity)
    tell(len(folds) + 1, len(folds) + 1, 0.0)
    return CrossFit(fitted, chosen, tuple(names), scores)


def support_vectors(fitted: Any) -> SupportVectors:
    """The arrays of a fitted ``svm``."""
    scaler, pca, machine = (step for _, step in fitted.steps)
    return SupportVectors(
        mean=scaler.mean_,
        scale=scaler.scale_,
        centre=pca.mean_,
        components=pca.components_,
        vectors=machine.support_vectors_,
        weights=machine.dual_coef_[0],
        intercept=float(machine.intercept_[0]),
        gamma=float(machine._gamma),
    )


def forest_arrays(fitted: Any) -> Forest:
    """The arrays of a fitted ``forest``; class 1 is the finding."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ("f", "t", "l", "r", "s")}
    roots, start = [], 0
    for tree in (one.tree_ for one in fitted.estimators_):
        roots.append(start)
        inner = tree.children_left >= 0
        parts["f"].append(np.where(inner, tree.feature, -1))
        parts["t"].append(tree.threshold)
        parts["l"].append(np.where(inner, tree.children_left + start, -1))
        parts["r"].append(np.where(inner, tree.children_right + start, -1))
        counts = tree.value[:, 0]
        parts["s"].append(counts[:, 1] / counts.sum(1))
        start += tree.node_count
    feature, threshold, left, right, share = (np.concatenate(part) for part in parts.values())
    return Forest(feature, threshold, left, right, share, np.array(roots))


def permutation_importance(
    decide: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    table: NDArray[np.float64],
    truth: NDArray[np.int64],
    groups: NDArray[np.str_],
    seed: int = SEED,
) -> dict[str, float]:
    """The loss of AUC when the features of a group are shuffled together over the images."""
    rng = np.random.default_rng(seed)
    whole = auc(truth, decide(table))
    lost = {}
    for group in np.unique(groups):
        shuffled = table.copy()
        member = np.flatnonzero(groups == group)
        shuffled[:, member] = table[rng.permutation(len(table))][:, member]
        lost[str(group)] = whole - auc(truth, decide(shuffled))
    return dict(sorted(lost.items(), key=lambda item: -item[1]))


def _choose(
    data: OpacitySet,
    by_kind: dict[Kind, NDArray[np.float64]],
    candidates: tuple[Candidate, ...],
    among: NDArray[np.int64],
    seed: int,
) -> Candidate:
    truth, group = data.opacity[among], data.patient[among]
    splitter = StratifiedGroupKFold(INNER_FOLDS, shuffle=True, random_state=seed)
    parts = list(splitter.split(among, truth, group))

    def reached(candidate: Candidate) -> float:
        table = _table(by_kind, candidate)[among]
        score = np.zeros(len(among))
        for train, test in parts:
            fitted = candidate.make(candidate.freedom).fit(table[train], truth[train])
            score[test] = _scored(fitted, table[test])
        return auc(truth, score)

    return max(candidates, key=reached)


def _table(by_kind: dict[Kind, NDArray[np.float64]], candidate: Candidate) -> NDArray[np.float64]:
    return np.hstack([by_kind[kind] for kind in candidate.kinds])


def _scored(fitted: Any, table: NDArray[np.float64]) -> NDArray[np.float64]:
    if hasattr(fitted, "decision_function"):
        return np.asarray(fitted.decision_function(table), np.float64)
    return np.asarray(fitted.predict_proba(table)[:, 1], np.float64)
