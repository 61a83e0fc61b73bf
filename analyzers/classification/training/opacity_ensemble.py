"""Fits the two members of opacity_ensemble and joins their answers.

One weighs the whole image (edges and density, linear), one looks for the most suspicious place
(a forest that learns the readers' boxes). Nothing is tuned here: the same settings serve every
fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from analyzers.classification import opacity_places
from analyzers.classification.opacity_ensemble import KINDS
from analyzers.classification.opacity_places import PlaceForest, compared, places
from analyzers.classification.training.opacity_classic import forest_arrays, table_of
from analyzers.models.learners import Calibration, Linear
from analyzers.models.training.figures import calibrate
from analyzers.models.training.progress import Tell, silent
from analyzers.radiograph.training.opacity_data import OpacitySet
from analyzers.radiograph.training.opacity_linear import linear, stored_linear

TREES = 80
LEAST_PLACES = 20
COVERED = 0.5
"""Share of a place inside a box from which it counts as opacity."""
METHOD = (
    "the mean log odds of two members, each calibrated by itself: a logistic regression on the "
    "principal components (90 % of the variance, each of spread 1) of edges and density, and the "
    f"most suspicious of 12×12 places by {TREES} extremely randomised trees that learnt the "
    "readers' boxes. What it is made of was chosen by cross-validation on the other three quarters "
    "of the patients: these two among five kinds of members (with opacity_svm, "
    "opacity_random_forest and opacity_cnn) and their combinations, the penalty of the regression, "
    "the worst place rather than a mean over places. So the figure over all images owes something "
    "to that choice, and the one of the untouched quarter nothing. Tried there later and left out, "
    "with the gain of AUC and its 95 % interval over patients: the highest score of the three "
    "detectors of opacity_faster_rcnn as a third member +0.003 (−0.023–0.028), in the place of the "
    "second +0.008 (−0.027–0.040); opacity_cnn as a third −0.004 (−0.024–0.015); the regression's "
    "answer averaged over seven moved copies of the image +0.001 (−0.025–0.027), the regression "
    "fitted to such copies −0.027 (−0.082–0.025); detectors of one training with stronger "
    "augmentation as a third member −0.010 (−0.034–0.013), with as much weight as both members "
    "−0.017 (−0.056–0.017), with so much weight the mean of three trainings of opacity_cnn −0.014 "
    "(−0.040–0.011)"
)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """whole: edges and density ``(n, features)``; places: ``(n, 144, features)``; covered: which
    places lie in a box, ``(n, 144)``."""

    whole: NDArray[np.float64]
    places: NDArray[np.float64]
    covered: NDArray[np.bool_]

    def only(self, which: NDArray[np.int64]) -> Tables:
        return Tables(self.whole[which], self.places[which], self.covered[which])


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The members as they are stored, and how each is calibrated."""

    linear: Linear
    places: PlaceForest
    calibrations: tuple[Calibration, Calibration]


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """Members fitted to all images; by members that never saw the patient, each image's scores
    ``(n, 2)`` and the joined score ``(n,)``."""

    members: Members
    single: NDArray[np.float64]
    scores: NDArray[np.float64]


def tables(data: OpacitySet) -> Tables:
    """What the members see of all framed images."""
    return Tables(
        table_of(data.framed, KINDS),
        np.stack([places(image) for image in data.framed]),
        opacity_places.shares(data.boxes) > COVERED,
    )


def cross_fit(
    data: OpacitySet,
    seed: int,
    tell: Tell = silent,
) -> CrossFit:
    """Fit the members in each fold, then to all images."""
    all_tables, folds = tables(data), data.folds(seed)
    single = np.zeros((len(data.opacity), 2))
    for number, (train, test) in enumerate(folds):
        fitted = _fitted(all_tables.only(train), data.opacity[train], seed)
        single[test] = fitted.scores(all_tables.only(test))
        tell(number + 1, len(folds) + 1, 0.0)
    scores = np.zeros(len(data.opacity))
    for train, test in folds:
        scores[test] = joined(single[test], _calibrations(data.opacity[train], single[train]))
    everything = _fitted(all_tables, data.opacity, seed)
    tell(len(folds) + 1, len(folds) + 1, 0.0)
    calibrations = _calibrations(data.opacity, single)
    members = Members(stored_linear(everything.linear), everything.stored_places(), calibrations)
    return CrossFit(members, single, scores)


def joined(
    single: NDArray[np.float64], calibrations: tuple[Calibration, Calibration]
) -> NDArray[np.float64]:
    """The mean of the members' calibrated log odds, from their scores ``(n, 2)``."""
    parts = [one.log_odds(single[:, column]) for column, one in enumerate(calibrations)]
    mean: NDArray[np.float64] = np.mean(parts, axis=0)
    return mean


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    linear: Any
    forest: Any
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def scores(self, of: Tables) -> NDArray[np.float64]:
        seen = compared(of.places, self.mean, self.deviation)
        chance = self.forest.predict_proba(seen.reshape(-1, seen.shape[-1]))[:, 1]
        worst = chance.reshape(len(seen), -1).max(1)
        return np.stack([self.linear.decision_function(of.whole), worst], 1)

    def stored_places(self) -> PlaceForest:
        return PlaceForest(self.mean, self.deviation, forest_arrays(self.forest))


def _fitted(of: Tables, truth: NDArray[np.int64], seed: int) -> _Fitted:
    whole = linear().fit(of.whole, truth)
    mean, deviation = of.places.mean(0), of.places.std(0) + 1e-3
    forest = ExtraTreesClassifier(
        TREES, min_samples_leaf=LEAST_PLACES, max_features=0.3, random_state=seed
    )
    seen = compared(of.places, mean, deviation)
    forest.fit(seen.reshape(-1, seen.shape[-1]), of.covered.ravel())
    return _Fitted(whole, forest, mean, deviation)


def _calibrations(
    truth: NDArray[np.int64], single: NDArray[np.float64]
) -> tuple[Calibration, Calibration]:
    return calibrate(truth, single[:, 0]), calibrate(truth, single[:, 1])
