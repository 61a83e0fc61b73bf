"""Trains the nodule model on nodules drawn into real lungs, and measures it on the other lung.

Each lung of each volume is seen several times with different drawn nodules; what else the blob
detector finds there is background. The measure is taken with models that never saw the patient, of
a single patient never the lung of that side; the model that is kept saw all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

from analyzers.anatomy.lung_masks import lung_masks
from analyzers.contract import OperatingPoint, Volume
from analyzers.detection.nodule_candidates import STEP_MM, LungGrid, candidates, lung_grid
from analyzers.detection.nodule_model import NAMES, NoduleModel, prepared
from analyzers.detection.nodule_shape import cut_out
from analyzers.detection.nodule_simulation import Inserted, insert
from analyzers.detection.nodule_strain import Strain, strained
from analyzers.grid.balls import Mask
from analyzers.grid.patient_grid import hounsfield, patient_grid
from analyzers.models.training.figures import Interval

ROUNDS = 10
NODULES_A_ROUND = 8
MARKS_A_STUDY = 0.5
"""False marks in both lungs at the operating point."""
LEAST_THRESHOLD = 0.3
"""The operating point is no lower, whatever the answers: false marks of few patients tell little of
those in others."""
OWN_NODULE_MM = 10.0
SIZES_MM = (5.0, 8.0, 12.0, 25.0)


@dataclass(frozen=True, slots=True, eq=False)
class KnownNodule:
    """A nodule the patient really has, in patient mm (LPS); candidates near it teach nothing."""

    centre_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    features: NDArray[np.float64]
    fold: int
    """The patient; of a single patient the side."""
    left: bool
    inserted: int
    """Number of the drawn nodule, -1 for background."""


@dataclass(frozen=True, slots=True, eq=False)
class _Study:
    """One patient's lungs, ready to be drawn into."""

    grid: LungGrid
    depth_mm: NDArray[np.float32]
    to_mm: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    real: list[NDArray[np.float64]]

    def is_real(self, centre: tuple[int, int, int]) -> bool:
        place = self.to_mm(np.array(centre, np.float64))
        return any(float(np.linalg.norm(place - one)) < OWN_NODULE_MM for one in self.real)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Share of drawn nodules found (95 % by bootstrap over nodules) at false marks a study.

    trivial: the share that diameter alone finds at as many false marks. by_size: from and to mm,
    nodules drawn, nodules found. strains: of the first study.
    """

    interval: Interval
    trivial: Interval
    nodules: int
    missed: int
    marks_a_study: float
    by_size: tuple[tuple[float, float, int, int], ...]
    strains: tuple[Strain, ...] = ()


def train(
    volumes: Sequence[Volume],
    known: Sequence[tuple[KnownNodule, ...]],
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[NoduleModel, Evaluation]:
    """A model and what it reached on lungs it had not seen.

    known: for each volume the nodules that are really there.
    """
    rng = np.random.default_rng(seed)
    samples, drawn = _drawn(volumes, known, rng, progress)
    log_odds = _held_out_scores(samples)
    slope, offset = _calibration(samples, log_odds)
    scores = 1.0 / (1.0 + np.exp(-(slope * log_odds + offset)))
    rounds = len(volumes) * ROUNDS
    threshold = _threshold(samples, scores, rounds)
    evaluation = _judged(samples, scores, threshold, rounds, drawn)
    point = _operating_point(samples, scores, threshold, evaluation)
    weights, mean, deviation, bias = _fit(samples)
    model = NoduleModel(slope * weights, mean, deviation, slope * bias + offset, point, seed)
    return model, replace(evaluation, strains=_strained(model, volumes[0], known[0]))


def evaluate(
    model: NoduleModel,
    volumes: Sequence[Volume],
    known: Sequence[tuple[KnownNodule, ...]],
    seed: int,
) -> Evaluation:
    """What a model reaches at its own threshold on nodules drawn into other lungs."""
    samples, drawn = _drawn(volumes, known, np.random.default_rng(seed), lambda done, total: None)
    scores = np.array([model.of_prepared(one.features) for one in samples])
    rounds = len(volumes) * ROUNDS
    found = _judged(samples, scores, model.operating_point.threshold, rounds, drawn)
    return replace(found, strains=_strained(model, volumes[0], known[0]))


def _strained(model: NoduleModel, volume: Volume, own: Sequence[KnownNodule]) -> tuple[Strain, ...]:
    study = _study(volume, own)
    return strained(model, study.grid, study.is_real)


def _drawn(
    volumes: Sequence[Volume],
    known: Sequence[tuple[KnownNodule, ...]],
    rng: np.random.Generator,
    progress: Callable[[int, int], None],
) -> tuple[list[_Sample], list[float]]:
    """Candidates of all rounds, and the diameters in mm of the nodules drawn."""
    samples: list[_Sample] = []
    drawn: list[float] = []
    for number, (volume, own) in enumerate(zip(volumes, known, strict=True)):
        study = _study(volume, own)
        for turn in range(ROUNDS):
            found = _round(study, drawn, rng)
            samples += [replace(one, fold=number) for one in found] if len(volumes) > 1 else found
            progress(number * ROUNDS + turn + 1, len(volumes) * ROUNDS)
    return samples, drawn


def _study(volume: Volume, own: Sequence[KnownNodule]) -> _Study:
    patient = patient_grid(volume)
    hu = hounsfield(volume, patient)
    labels = lung_masks(hu, patient.spacing_mm)
    grid = lung_grid(hu, labels, patient.spacing_mm)
    depth = ndimage.distance_transform_edt(grid.lungs).astype(np.float32) * STEP_MM
    to_mm = _to_patient(volume, patient.view, grid, patient.spacing_mm)
    return _Study(grid, depth, to_mm, [np.array(one.centre_mm) for one in own])


def _round(study: _Study, drawn: list[float], rng: np.random.Generator) -> list[_Sample]:
    """Candidates of both lungs; the diameters of what was drawn are added to ``drawn``."""
    samples: list[_Sample] = []
    for side in (True, False):
        where: Mask = study.grid.lungs & (study.grid.left == side) & (study.depth_mm >= 1)
        changed, inserted = insert(study.grid, where, NODULES_A_ROUND, rng)
        for candidate in candidates(changed, "cpu"):
            if bool(study.grid.left[candidate.centre]) is not side or study.is_real(
                candidate.centre
            ):
                continue
            piece = cut_out(changed, candidate)
            if piece is None:
                continue
            hit = _hit(candidate.centre, inserted)
            number = len(drawn) + hit if hit >= 0 else -1
            samples.append(_Sample(prepared(piece.shape), int(side), side, number))
        drawn += [one.diameter_mm for one in inserted]
    return samples


def _to_patient(
    volume: Volume,
    view: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    grid: LungGrid,
    spacing_mm: tuple[float, float, float],
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """From an index on the ``LungGrid`` to patient mm, by three corners of the oriented volume."""
    axes = [view(np.broadcast_to(_ramp(volume.shape, axis), volume.shape)) for axis in range(3)]
    origin = np.array([axis[0, 0, 0] for axis in axes] + [1.0])
    steps = [np.array([axis[tuple(at)] for axis in axes] + [1.0]) for at in np.eye(3, dtype=int)]
    start = volume.affine @ origin
    along = [volume.affine @ step - start for step in steps]
    first = np.array([part.start for part in grid.window], np.float64)

    def place(centre: NDArray[np.float64]) -> NDArray[np.float64]:
        fine = first + (centre + 0.5) * STEP_MM / np.array(spacing_mm) - 0.5
        moved = start + sum(step * vector for step, vector in zip(fine, along, strict=True))
        patient: NDArray[np.float64] = moved[:3]
        return patient

    return place


def _ramp(shape: tuple[int, int, int], axis: int) -> NDArray[np.float64]:
    ramp = np.arange(shape[axis], dtype=np.float64)
    return ramp.reshape([-1 if one == axis else 1 for one in range(3)])


def _hit(centre: tuple[int, int, int], inserted: Sequence[Inserted]) -> int:
    for number, one in enumerate(inserted):
        away = float(np.linalg.norm(np.subtract(centre, one.centre))) * STEP_MM
        if away <= 0.35 * one.diameter_mm + 1:
            return number
    return -1


def _fit(
    samples: Sequence[_Sample],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    features = np.stack([one.features for one in samples])
    is_nodule = np.array([one.inserted >= 0 for one in samples])
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    learner = LogisticRegression(C=1.0, max_iter=5000, class_weight="balanced")
    learner.fit((features - mean) / deviation, is_nodule)
    return learner.coef_[0], mean, deviation, float(learner.intercept_[0])


def _held_out_scores(samples: Sequence[_Sample]) -> NDArray[np.float64]:
    scores = np.zeros(len(samples))
    for fold in {one.fold for one in samples}:
        weights, mean, deviation, bias = _fit([one for one in samples if one.fold != fold])
        for index, one in enumerate(samples):
            if one.fold == fold:
                scores[index] = float((one.features - mean) / deviation @ weights) + bias
    return scores


def _calibration(samples: Sequence[_Sample], log_odds: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset (Platt 1999) that turn held-out log odds into those of a study in which one
    nodule is expected: drawn ones weigh as many as there would be."""
    is_nodule = np.array([one.inserted >= 0 for one in samples])
    weight = np.where(is_nodule, 1.0 / (2 * NODULES_A_ROUND), 1.0)
    learner = LogisticRegression(C=1e6, max_iter=5000)
    learner.fit(log_odds[:, None], is_nodule, sample_weight=weight)
    return float(learner.coef_[0, 0]), float(learner.intercept_[0])


def _threshold(samples: Sequence[_Sample], scores: NDArray[np.float64], rounds: int) -> float:
    """Above it lie as many background candidates as ``MARKS_A_STUDY`` allows."""
    number = np.array([one.inserted for one in samples])
    background = np.sort(scores[number < 0])[::-1]
    asked = float(background[min(int(MARKS_A_STUDY * rounds), len(background) - 1)])
    return max(asked, LEAST_THRESHOLD)


def _judged(
    samples: Sequence[_Sample],
    scores: NDArray[np.float64],
    threshold: float,
    rounds: int,
    drawn: Sequence[float],
) -> Evaluation:
    number = np.array([one.inserted for one in samples])
    marks = int(np.count_nonzero(scores[number < 0] > threshold))
    found = _best(number, scores, len(drawn)) > threshold
    diameter = np.array([one.features[NAMES.index("diameter")] for one in samples])
    largest = np.sort(diameter[number < 0])[::-1]
    as_many = float(largest[min(marks, len(largest) - 1)])
    plain = _best(number, diameter, len(drawn)) > as_many
    size = np.array(drawn)
    by_size = tuple(
        (low, high, int(here.sum()), int(found[here].sum()))
        for low, high in pairwise(SIZES_MM)
        for here in [(size >= low) & (size < high)]
    )
    return Evaluation(
        interval=_share(found),
        trivial=_share(plain),
        nodules=len(drawn),
        missed=int((~found).sum()),
        marks_a_study=marks / rounds,
        by_size=by_size,
    )


def _best(
    number: NDArray[np.int64], scores: NDArray[np.float64], drawn: int
) -> NDArray[np.float64]:
    """The best score of any candidate of each drawn nodule."""
    best = np.full(drawn, -np.inf)
    np.maximum.at(best, number[number >= 0], scores[number >= 0])
    return best


def _share(found: NDArray[np.bool_]) -> Interval:
    shares = np.random.default_rng(0).choice(found, (2000, len(found))).mean(axis=1)
    low, high = np.percentile(shares, (2.5, 97.5))
    return Interval(float(found.mean()), float(low), float(high))


def _operating_point(
    samples: Sequence[_Sample],
    scores: NDArray[np.float64],
    threshold: float,
    reached: Evaluation,
) -> OperatingPoint:
    background = scores[np.array([one.inserted for one in samples]) < 0]
    specificity = 1.0 - np.count_nonzero(background > threshold) / len(background)
    words = (
        f"{reached.nodules} simulated solid nodules of 5-25 mm in lungs the model had not seen;"
        f" {reached.marks_a_study:.1f} false marks a study; specificity by candidate"
    )
    return OperatingPoint(threshold, reached.interval.value, float(specificity), words)
