"""Figures of a classifier with their uncertainty: AUC, operating point, calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binomtest, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from analyzers.models.learners import Calibration

DRAWS = 2000
SLOPES = 300
FIFTHS = 5


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the middle 95 % of its bootstrap distribution."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


@dataclass(frozen=True, slots=True)
class Point:
    """A threshold with the sensitivity and specificity it reached on patients not used for it."""

    threshold: float
    sensitivity: float
    specificity: float


def auc(truth: NDArray[np.int64], score: NDArray[np.float64]) -> float:
    """Area under the ROC curve, by ranks (Mann & Whitney 1947); ties count half."""
    positive = truth > 0
    count = int(positive.sum())
    above = rankdata(score)[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(truth) - count)))


def auc_interval(
    truth: NDArray[np.int64], score: NDArray[np.float64], group: NDArray[np.generic], seed: int = 0
) -> Interval:
    """AUC with 95 % interval; whole patients (``group``) are drawn, with replacement."""
    return _interval(truth, group, lambda pick: auc(truth[pick], score[pick]), seed)


def auc_gain(
    truth: NDArray[np.int64],
    score: NDArray[np.float64],
    other: NDArray[np.float64],
    group: NDArray[np.generic],
    seed: int = 0,
) -> Interval:
    """AUC of ``score`` less that of ``other``, with 95 % interval over the same patients.

    other: ``(n,)``, or ``(n, k)``: less the mean AUC of its columns.
    """
    others = other.reshape(len(other), -1).T

    def gain(pick: NDArray[np.int64]) -> float:
        usual = np.mean([auc(truth[pick], one[pick]) for one in others])
        return auc(truth[pick], score[pick]) - float(usual)

    return _interval(truth, group, gain, seed)


def _interval(
    truth: NDArray[np.int64],
    group: NDArray[np.generic],
    figure: Callable[[NDArray[np.int64]], float],
    seed: int,
) -> Interval:
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(group == one) for one in np.unique(group)]
    drawn: list[float] = []
    while len(drawn) < DRAWS:
        pick = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        if 0 < truth[pick].sum() < len(pick):
            drawn.append(figure(pick))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(figure(np.arange(len(truth))), float(low), float(high))


def calibrate(truth: NDArray[np.int64], score: NDArray[np.float64]) -> Calibration:
    """Platt's sigmoid fitted to scores of patients that the scorer never saw."""
    fitted = LogisticRegression(C=1e6).fit(score[:, None], truth)
    return Calibration(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def cautious_calibration(
    truth: NDArray[np.int64], score: NDArray[np.float64], group: NDArray[np.generic], seed: int = 0
) -> Calibration:
    """Platt's sigmoid with the slope at the lower end of its 95 % interval over patients.

    So few patients bear no steeper one: a probability too near the middle misleads less than one
    that is too sure. The mean probability is the share that is there.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(group == one) for one in np.unique(group)]
    slopes: list[float] = []
    while len(slopes) < SLOPES:
        pick = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        if 0 < truth[pick].sum() < len(pick):
            slopes.append(calibrate(truth[pick], score[pick]).slope)
    slope = max(float(np.percentile(slopes, 2.5)), 0.0)

    def surplus(offset: float) -> float:
        return float((Calibration(slope, offset).probability(score) - truth).mean())

    reach = 40 + slope * float(np.abs(score).max())
    return Calibration(slope, float(brentq(surplus, -reach, reach)))


@dataclass(frozen=True, slots=True)
class Bin:
    """Images of like probability: how many, the mean that was said, the share that was true."""

    images: int
    said: float
    true: float
    low: float
    high: float


Fitted = Callable[
    [NDArray[np.int64], NDArray[np.float64], NDArray[np.generic]],
    Calibration,
]
"""Of truth, scores and patients."""


def plain_calibration(
    truth: NDArray[np.int64], score: NDArray[np.float64], group: NDArray[np.generic]
) -> Calibration:
    """``calibrate``, whatever the patients."""
    return calibrate(truth, score)


def reliability(
    truth: NDArray[np.int64],
    score: NDArray[np.float64],
    group: NDArray[np.generic],
    fitted: Fitted = cautious_calibration,
) -> tuple[Bin, ...]:
    """Fifths of the images by a probability that was calibrated on other patients, and what was
    true of them with its exact 95 % interval."""
    said = np.zeros(len(truth))
    for train, test in GroupKFold(FIFTHS).split(score, groups=group):
        calibration = fitted(truth[train], score[train], group[train])
        said[test] = calibration.probability(score[test])
    bins = []
    for part in np.array_split(np.argsort(said, kind="stable"), FIFTHS):
        low, high = binomtest(int(truth[part].sum()), len(part)).proportion_ci()
        bins.append(
            Bin(
                len(part),
                float(said[part].mean()),
                float(truth[part].mean()),
                float(low),
                float(high),
            )
        )
    return tuple(bins)


def reliability_rows(bins: Sequence[Bin]) -> str:
    """The fifths as a table in Markdown."""
    rows = [
        f"| {one.images} | {one.said:.2f} | {one.true:.2f} ({one.low:.2f}–{one.high:.2f}) |"
        for one in bins
    ]
    head = ["| images | mean probability | share with opacity |", "|---|---|---|"]
    return "\n".join([*head, *rows])


def operating_point(
    truth: NDArray[np.int64], probability: NDArray[np.float64], group: NDArray[np.generic]
) -> Point:
    """The threshold of greatest sensitivity + specificity; what it reaches, cross-fitted.

    Five parts of the patients: each is judged by the threshold that suits the other four best.
    """
    part = np.unique(group, return_inverse=True)[1] % 5
    said = np.zeros(len(truth), np.bool_)
    for one in range(5):
        here = part == one
        said[here] = probability[here] >= best_threshold(truth[~here], probability[~here])
    positive = truth > 0
    return Point(
        best_threshold(truth, probability),
        float(said[positive].mean()),
        float((~said[~positive]).mean()),
    )


def best_threshold(truth: NDArray[np.int64], probability: NDArray[np.float64]) -> float:
    """Where sensitivity + specificity is greatest (Youden 1950), halfway to the next value."""
    order = np.argsort(probability, kind="stable")
    ranked, positive = probability[order], truth[order] > 0
    missed = np.r_[0, np.cumsum(positive)] / positive.sum()
    right = np.r_[0, np.cumsum(~positive)] / (~positive).sum()
    cut = int(np.argmax(right - missed))
    edges = np.r_[ranked[0], (ranked[1:] + ranked[:-1]) / 2, ranked[-1]]
    return float(edges[cut])
