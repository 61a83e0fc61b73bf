"""Trains and evaluates multimodal_classifier; every figure is of patients not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from analyzers.classification.multimodal import MultimodalClassifier
from analyzers.classification.multimodal_input import VALUES
from analyzers.classification.multimodal_network import FusionNetwork, Inputs
from analyzers.classification.training.multimodal_card import Card, card
from analyzers.classification.training.multimodal_data import MultimodalSet, read
from analyzers.classification.training.multimodal_fit import STEPS, fit, logits
from analyzers.classification.training.opacity_baselines import baselines
from analyzers.models import stored_model
from analyzers.models.training.figures import (
    Interval,
    Point,
    auc_interval,
    calibrate,
    operating_point,
    plain_calibration,
    reliability,
)
from analyzers.models.training.progress import Tell, after, silent
from analyzers.radiograph.training.opacity_data import digest

NAME = "multimodal_classifier"
SEED = 20261123
NETWORKS = 3
SHOWN = {
    "all that is there": (True, True, True),
    "without the second radiograph": (True, False, True),
    "without the header": (True, True, False),
    "the radiograph alone": (True, False, False),
    "the header alone": (False, False, True),
}
"""What is left of the inputs: first image, second image, values of the header."""


def train(
    folder: Path,
    out: Path = stored_model.SHIPPED,
    seed: int = SEED,
    steps: int = STEPS,
    tell: Tell = silent,
) -> Path:
    """Fit the networks to the set in ``folder``; the folder of the stored model and its card."""
    data = read(folder)
    everything = np.arange(len(data.table))
    scores = cross_fit(data, seed, steps, tell)
    all_scores = scores["all that is there"]
    truth, patient = data.images.opacity, data.images.patient
    calibration = calibrate(truth, all_scores)
    probability = calibration.probability(all_scores)
    point = operating_point(truth, probability, patient)
    reached = {name: auc_interval(truth, score, patient) for name, score in scores.items()}
    projection = data.projection(everything)
    cases = data.cases(projection, everything)
    networks = _networks(cases, truth, seed, steps)
    arrays = {
        f"{number}.{key}": value.numpy()
        for number, network in enumerate(networks)
        for key, value in network.state_dict().items()
    }
    home = stored_model.save(
        NAME,
        {**projection.arrays(), **arrays, "mean_chest": data.images.mean},
        _facts(folder, data, cases, point, reached["all that is there"], seed)
        | {"calibration": {"slope": calibration.slope, "offset": calibration.offset}},
        out,
    )
    facts = Card(
        name=NAME,
        data=data,
        known={name: int(cases.known[:, i].sum()) for i, name in enumerate(VALUES)},
        scores=scores,
        reached=reached,
        baselines=baselines(data.images, seed),
        probability=probability,
        point=point,
        bins=reliability(truth, all_scores, patient, plain_calibration),
        seed=seed,
    )
    (home / "CARD.md").write_text(card(facts), encoding="utf-8")
    return home


def cross_fit(
    data: MultimodalSet, seed: int = SEED, steps: int = STEPS, tell: Tell = silent
) -> dict[str, NDArray[np.float64]]:
    """The logit of each image for each of ``SHOWN``, by networks that never saw its patient."""
    scores = {name: np.zeros(len(data.table)) for name in SHOWN}
    folds = data.images.folds(seed)
    for number, (train, test) in enumerate(folds):
        projection = data.projection(train)
        told = after(number * steps, len(folds) * steps, tell)
        networks = _networks(data.cases(projection, train), data.images.opacity[train], seed, steps)
        told(steps, 0.0)
        for name, kept in SHOWN.items():
            scores[name][test] = logits(networks, left(data.cases(projection, test), kept))
    return scores


def left(cases: Inputs, kept: tuple[bool, bool, bool]) -> Inputs:
    """The cases with only those of first image, second image and header values."""
    seen, known = torch.tensor(kept[:2]), torch.tensor(kept[2]).expand(cases.known.shape)
    return cases.without(seen.expand(cases.seen.shape), known)


def evaluate(folder: Path, models: Path = stored_model.SHIPPED) -> Interval:
    """AUC of the stored model on a set of the same form, with 95 % interval over patients.

    The stored model saw all patients of its training set: use another one.
    """
    stored = stored_model.load(NAME, models)
    analyzer = MultimodalClassifier("cpu", stored)
    data = read(folder, np.asarray(stored.arrays["mean_chest"], np.float32))
    cases = data.cases(analyzer.projection, np.arange(len(data.table)))
    scores = logits(analyzer.networks, cases)
    return auc_interval(data.images.opacity, scores, data.images.patient)


def _networks(
    cases: Inputs, truth: NDArray[np.int64], seed: int, steps: int
) -> list[FusionNetwork]:
    return [fit(cases, truth, seed + number, steps) for number in range(NETWORKS)]


def _facts(
    folder: Path, data: MultimodalSet, cases: Inputs, point: Point, reached: Interval, seed: int
) -> dict[str, dict[str, stored_model.Plain]]:
    images, patients = len(data.table), len(np.unique(data.images.patient))
    learnt = [name for name, known in zip(VALUES, cases.known.any(0), strict=True) if known]
    return {
        "model": {"name": NAME, "networks": NETWORKS, "values_learnt": learnt},
        "training": {
            "seed": seed,
            "images": images,
            "patients": patients,
            "set": digest(folder),
        },
        "operating_point": {
            "threshold": point.threshold,
            "sensitivity": point.sensitivity,
            "specificity": point.specificity,
            "evaluated_on": f"{images} images of {patients} patients, 5-fold cross-validation "
            "by patient",
        },
        "figures": {"auc": reached.value, "auc_95": [reached.low, reached.high]},
    }
