"""Trains, evaluates and describes opacity_svm, opacity_random_forest and opacity_cnn.

``python -m analyzers.classification.training.opacity NAME FOLDER`` with the folder of
``labels.csv`` and ``images/``. What is stored is fitted to all images; every figure comes from
learners that did not see the patient.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzers.classification import weights
from analyzers.classification.learners import Forest, SupportVectors
from analyzers.classification.opacity_features import KINDS, traits
from analyzers.classification.training import opacity_classic as classic
from analyzers.classification.training import opacity_cnn
from analyzers.classification.training.figures import (
    Interval,
    auc_interval,
    calibrate,
    operating_point,
)
from analyzers.classification.training.opacity_baselines import baselines
from analyzers.classification.training.opacity_card import Card, card
from analyzers.classification.training.opacity_data import OpacitySet, read

SEED = 20261123
NAMES = ("opacity_svm", "opacity_random_forest", "opacity_cnn")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """arrays to store, facts of the model, scores of patients not seen, what weighs most."""

    arrays: Mapping[str, NDArray[np.generic]]
    model: Mapping[str, weights.Plain]
    scores: NDArray[np.float64]
    method: str
    importance: Mapping[str, float]


def train(
    name: str,
    folder: Path,
    out: Path = weights.SHIPPED,
    seed: int = SEED,
    checkpoints: Path | None = None,
) -> Path:
    """Fit one of ``NAMES`` to the set in ``folder``; the folder of the stored model.

    Raises
    ------
    ValueError
        There is no such model.
    """
    data = read(folder)
    trained = _fitted(name, data, seed, checkpoints or folder / "checkpoints" / name)
    calibration = calibrate(data.opacity, trained.scores)
    probability = calibration.probability(trained.scores)
    point = operating_point(data.opacity, probability, data.patient)
    reached = auc_interval(data.opacity, trained.scores, data.patient)
    here = data.untouched
    untouched = auc_interval(data.opacity[here], trained.scores[here], data.patient[here])
    images, patients = len(data.opacity), len(np.unique(data.patient))
    evaluated = f"{images} images of {patients} patients, 5-fold cross-validation by patient"
    home = weights.save(
        name,
        {**trained.arrays, "mean_chest": data.mean},
        {
            "model": {"name": name, **trained.model},
            "training": {"seed": seed, "images": images, "patients": patients},
            "calibration": {"slope": calibration.slope, "offset": calibration.offset},
            "operating_point": {
                "threshold": point.threshold,
                "sensitivity": point.sensitivity,
                "specificity": point.specificity,
                "evaluated_on": evaluated,
            },
            "figures": {"auc": reached.value, "auc_95": [reached.low, reached.high]},
        },
        out,
    )
    facts = Card(
        name=name,
        method=trained.method,
        data=data,
        probability=probability,
        point=point,
        reached=reached,
        untouched=untouched,
        baselines=baselines(data, seed),
        importance=trained.importance,
        seed=seed,
    )
    (home / "CARD.md").write_text(card(facts), encoding="utf-8")
    return home


def evaluate(name: str, folder: Path, models: Path = weights.SHIPPED) -> Interval:
    """AUC of a stored model on a set of the same form, with 95 % interval over patients.

    The stored models saw all patients of their training set: use another one.
    """
    data, stored = read(folder), weights.load(name, models)
    mean = np.asarray(stored.arrays["mean_chest"], np.float32)
    framed = data.laid_on(mean)
    if name == "opacity_cnn":
        import torch

        from analyzers.classification.opacity_cnn import ensemble

        networks = ensemble(stored, torch.device("cpu"))
        scores = np.mean([opacity_cnn.logits_of(one, framed) for one in networks], axis=0)
    else:
        named = str(stored.facts["model"]["features"]).split("+")
        kinds = tuple(kind for kind in KINDS if kind in named)
        table = classic.table_of(framed, kinds)
        learner = Forest if name == "opacity_random_forest" else SupportVectors
        scores = learner.of(stored.arrays).decide(table)
    return auc_interval(data.opacity, scores, data.patient)


def _fitted(name: str, data: OpacitySet, seed: int, checkpoints: Path) -> Trained:
    if name == "opacity_cnn":
        return _network(data, seed, checkpoints)
    if name not in NAMES:
        raise ValueError(f"no model is called {name!r}; there are: {', '.join(NAMES)}")
    candidates = classic.SVM_CANDIDATES if name == "opacity_svm" else classic.FOREST_CANDIDATES
    by_kind = classic.tables(data)
    result = classic.cross_fit(data, by_kind, candidates, seed)
    kinds = result.chosen.kinds
    table = np.hstack([by_kind[kind] for kind in kinds])
    learner = (
        classic.support_vectors(result.fitted)
        if name == "opacity_svm"
        else classic.forest_arrays(result.fitted)
    )
    groups = np.array([str(trait) for trait in traits(kinds)])
    importance = classic.permutation_importance(learner.decide, table, data.opacity, groups, seed)
    what = "radial basis support vector machine on principal components"
    return Trained(
        arrays=learner.arrays(),
        model={"features": "+".join(kinds), "freedom": result.chosen.freedom},
        scores=result.scores,
        method=f"{what if name == 'opacity_svm' else 'random forest of 300 trees'}; "
        f"chosen by inner cross-validation: {result.chosen} "
        f"(in the outer folds: {'; '.join(result.chosen_in_folds)})",
        importance=importance,
    )


def _network(data: OpacitySet, seed: int, checkpoints: Path) -> Trained:
    networks, scores = opacity_cnn.cross_fit(data, checkpoints, seed)
    arrays = {
        f"{number}.{key}": value.numpy()
        for number, network in enumerate(networks)
        for key, value in network.state_dict().items()
    }
    return Trained(
        arrays=arrays,
        model={"networks": len(networks)},
        scores=scores,
        method=f"{len(networks)} residual networks of 96×96 pixels that learn the boxes and the "
        "reading, one per fold; together they answer with their mean logit over the image and "
        "its mirror image. The figures are those of single networks on their own fold",
        importance={},
    )


if __name__ == "__main__":
    for wanted in sys.argv[1].split(","):
        print(train(wanted, Path(sys.argv[2])))
