"""Trains the nodule model on nodules drawn into real lungs, and measures it on the other lung.

Each lung of each volume is seen several times with different drawn nodules; what else the blob
detector finds there is background. The measure is taken with models that never saw a lung of that
side (two folds); the model that is kept saw both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

from analyzers.contract import OperatingPoint, Volume
from analyzers.detection.nodule_candidates import STEP_MM, LungGrid, candidates, lung_grid
from analyzers.detection.nodule_model import NoduleModel, prepared
from analyzers.detection.nodule_shape import cut_out
from analyzers.detection.nodule_simulation import Inserted, insert
from analyzers.segmentation.balls import Mask
from analyzers.segmentation.lung_masks import lung_masks
from analyzers.segmentation.lung_sides import LEFT_LABEL
from analyzers.segmentation.patient_grid import hounsfield, patient_grid

ROUNDS = 16
NODULES_A_ROUND = 8
MARKS_A_STUDY = 1.0
"""False marks in both lungs at the operating point."""
OWN_NODULE_MM = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class KnownNodule:
    """A nodule the patient really has, in patient mm (LPS); candidates near it teach nothing."""

    centre_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    features: NDArray[np.float64]
    left: bool
    inserted: int
    """Number of the drawn nodule, -1 for background."""


@dataclass(frozen=True, slots=True, eq=False)
class _Study:
    """One patient's lungs, ready to be drawn into."""

    grid: LungGrid
    left: Mask
    depth_mm: NDArray[np.float32]
    to_mm: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    real: list[NDArray[np.float64]]

    def is_real(self, centre: tuple[int, int, int]) -> bool:
        place = self.to_mm(np.array(centre, np.float64))
        return any(float(np.linalg.norm(place - one)) < OWN_NODULE_MM for one in self.real)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Share of drawn nodules found (95 % CI by bootstrap over nodules) at false marks a study."""

    sensitivity: float
    low: float
    high: float
    nodules: int
    marks_a_study: float


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
    samples: list[_Sample] = []
    drawn = 0
    for number, (volume, own) in enumerate(zip(volumes, known, strict=True)):
        study = _study(volume, own)
        for turn in range(ROUNDS):
            found, drawn = _round(study, drawn, rng)
            samples += found
            progress(number * ROUNDS + turn + 1, len(volumes) * ROUNDS)
    scores = _held_out_scores(samples)
    rounds = len(volumes) * ROUNDS
    point, evaluation = _operating_point(samples, scores, rounds, drawn, rng)
    weights, mean, deviation, bias = _fit(samples)
    return NoduleModel(weights, mean, deviation, bias, point, seed), evaluation


def _study(volume: Volume, own: Sequence[KnownNodule]) -> _Study:
    patient = patient_grid(volume)
    hu = hounsfield(volume, patient)
    labels = lung_masks(hu, patient.spacing_mm)
    grid = lung_grid(hu, labels > 0, patient.spacing_mm)
    zoom = [step / STEP_MM for step in patient.spacing_mm]
    left = ndimage.zoom((labels == LEFT_LABEL)[grid.window].astype(np.float32), zoom, order=1) > 0.5
    depth = ndimage.distance_transform_edt(grid.lungs).astype(np.float32) * STEP_MM
    to_mm = _to_patient(volume, patient.view, grid, patient.spacing_mm)
    return _Study(grid, left, depth, to_mm, [np.array(one.centre_mm) for one in own])


def _round(study: _Study, drawn: int, rng: np.random.Generator) -> tuple[list[_Sample], int]:
    samples: list[_Sample] = []
    for side in (True, False):
        where: Mask = study.grid.lungs & (study.left == side) & (study.depth_mm >= 1)
        changed, inserted = insert(study.grid, where, NODULES_A_ROUND, rng)
        for candidate in candidates(changed, "cpu"):
            if bool(study.left[candidate.centre]) is not side or study.is_real(candidate.centre):
                continue
            piece = cut_out(changed, study.depth_mm, candidate)
            if piece is None:
                continue
            hit = _hit(candidate.centre, inserted)
            number = drawn + hit if hit >= 0 else -1
            samples.append(_Sample(prepared(piece.shape), side, number))
        drawn += len(inserted)
    return samples, drawn


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
    for side in (True, False):
        weights, mean, deviation, bias = _fit([one for one in samples if one.left is side])
        for index, one in enumerate(samples):
            if one.left is not side:
                value = float((one.features - mean) / deviation @ weights) + bias
                scores[index] = 1.0 / (1.0 + np.exp(-value))
    return scores


def _operating_point(
    samples: Sequence[_Sample],
    scores: NDArray[np.float64],
    rounds: int,
    drawn: int,
    rng: np.random.Generator,
) -> tuple[OperatingPoint, Evaluation]:
    number = np.array([one.inserted for one in samples])
    background = np.sort(scores[number < 0])[::-1]
    allowed = min(int(MARKS_A_STUDY * rounds), len(background) - 1)
    threshold = float(background[allowed])
    best = np.zeros(drawn)
    np.maximum.at(best, number[number >= 0], scores[number >= 0])
    found = best > threshold
    resampled = rng.choice(found, (2000, drawn)).mean(axis=1)
    low, high = np.percentile(resampled, (2.5, 97.5))
    marks = float(np.count_nonzero(background > threshold) / rounds)
    specificity = 1.0 - np.count_nonzero(background > threshold) / len(background)
    words = (
        f"{drawn} simulated solid nodules of 5-25 mm in lungs the model had not seen;"
        f" {marks:.1f} false marks a study; specificity by candidate"
    )
    point = OperatingPoint(threshold, float(found.mean()), float(specificity), words)
    return point, Evaluation(float(found.mean()), float(low), float(high), drawn, marks)
