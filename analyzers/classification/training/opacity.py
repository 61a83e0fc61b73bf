"""Trains, evaluates and describes the opacity classifiers (``NAMES``).

They learn from a folder with ``labels.csv`` and ``images/``. What is stored is fitted to all
images; every figure comes from learners that did not see the patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from analyzers.classification.opacity_cnn import ensemble as network_ensemble
from analyzers.classification.opacity_ensemble import KINDS as KINDS_SEEN
from analyzers.classification.opacity_ensemble import MEMBERS, OpacityEnsemble
from analyzers.classification.training import opacity_classic as classic
from analyzers.classification.training import opacity_cnn, opacity_ensemble
from analyzers.classification.training.opacity_baselines import baselines
from analyzers.classification.training.opacity_card import BySeed, Card, card
from analyzers.classification.training.opacity_cnn_fit import EPOCHS
from analyzers.models import stored_model
from analyzers.models.learners import Calibration, Forest, SupportVectors
from analyzers.models.training.figures import (
    Interval,
    auc,
    auc_gain,
    auc_interval,
    cautious_calibration,
    operating_point,
    reliability,
)
from analyzers.models.training.progress import Tell, silent
from analyzers.radiograph.opacity_features import KINDS, traits
from analyzers.radiograph.training.opacity_data import OpacitySet, digest, read

SEED = 20261123
NAMES = ("opacity_svm", "opacity_random_forest", "opacity_cnn", "opacity_ensemble")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """arrays to store, facts of the model, scores of patients not seen, what weighs most.

    members: the parts of an ensemble, each with its calibration and its scores. by_seed:
    scores of trainings that are alike but for their seed, ``(n, k)``, if there are several; the
    first is what is stored.
    """

    arrays: Mapping[str, NDArray[np.generic]]
    model: Mapping[str, stored_model.Plain]
    scores: NDArray[np.float64]
    method: str
    importance: Mapping[str, float]
    members: Mapping[str, tuple[Calibration, NDArray[np.float64]]] = field(default_factory=dict)
    by_seed: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Where finished networks lie, and how many epochs each is given."""

    folder: Path
    epochs: int


def train(
    name: str,
    folder: Path,
    out: Path = stored_model.SHIPPED,
    seed: int = SEED,
    checkpoints: Path | None = None,
    tell: Tell = silent,
    epochs: int = EPOCHS,
) -> Path:
    """Fit one of ``NAMES`` to the set in ``folder``; the folder of the stored model.

    ``tell`` hears of every fold. What lies finished in ``checkpoints`` is not fitted again.

    Raises
    ------
    ValueError
        There is no such model.
    """
    data = read(folder)
    kept = Kept(checkpoints or out / name / "checkpoints", epochs)
    trained = _fitted(name, data, seed, kept, tell)
    calibration = cautious_calibration(data.opacity, trained.scores, data.patient)
    probability = calibration.probability(trained.scores)
    point = operating_point(data.opacity, probability, data.patient)
    reached = auc_interval(data.opacity, trained.scores, data.patient)
    here = data.untouched
    untouched = auc_interval(data.opacity[here], trained.scores[here], data.patient[here])
    images, patients = len(data.opacity), len(np.unique(data.patient))
    evaluated = f"{images} images of {patients} patients, 5-fold cross-validation by patient"
    home = stored_model.save(
        name,
        {**trained.arrays, "mean_chest": data.mean},
        {
            "model": {"name": name, **trained.model},
            "training": {
                "seed": seed,
                "images": images,
                "patients": patients,
                "set": digest(folder),
            },
            "calibration": {"slope": calibration.slope, "offset": calibration.offset},
            "operating_point": {
                "threshold": point.threshold,
                "sensitivity": point.sensitivity,
                "specificity": point.specificity,
                "evaluated_on": evaluated,
            },
            "figures": {"auc": reached.value, "auc_95": [reached.low, reached.high]},
            **{
                member: {"slope": one.slope, "offset": one.offset}
                for member, (one, _) in trained.members.items()
            },
        },
        out,
    )
    facts = Card(
        name=name,
        method=trained.method,
        data=data,
        probability=probability,
        point=point,
        bins=reliability(data.opacity, trained.scores, data.patient),
        reached=reached,
        untouched=untouched,
        baselines=baselines(data, seed),
        importance=trained.importance,
        seed=seed,
        members={
            member: auc_interval(data.opacity, scores, data.patient)
            for member, (_, scores) in trained.members.items()
        },
        by_seed=None if trained.by_seed is None else _by_seed(data, trained.by_seed),
    )
    (home / "CARD.md").write_text(card(facts), encoding="utf-8")
    return home


def evaluate(name: str, folder: Path, models: Path = stored_model.SHIPPED) -> Interval:
    """AUC of a stored model on a set of the same form, with 95 % interval over patients.

    The stored models saw all patients of their training set: use another one.
    """
    data, stored = read(folder), stored_model.load(name, models)
    mean = np.asarray(stored.arrays["mean_chest"], np.float32)
    framed = data.laid_on(mean)
    if name == "opacity_cnn":
        networks = network_ensemble(stored, torch.device("cpu"))
        scores = np.mean([opacity_cnn.logits_of(one, framed) for one in networks], axis=0)
    elif name == "opacity_ensemble":
        joined = OpacityEnsemble("cpu", stored)
        scores = np.array([joined.score(image) for image in framed])
    else:
        named = str(stored.facts["model"]["features"]).split("+")
        kinds = tuple(kind for kind in KINDS if kind in named)
        table = classic.table_of(framed, kinds)
        learner = Forest if name == "opacity_random_forest" else SupportVectors
        scores = learner.of(stored.arrays).decide(table)
    return auc_interval(data.opacity, scores, data.patient)


def cross_validated(name: str, folder: Path, seed: int, epochs: int = EPOCHS) -> Interval:
    """AUC of learners that never saw the patient, fitted anew as for the card."""
    data = read(folder)
    with TemporaryDirectory() as kept:
        scores = _fitted(name, data, seed, Kept(Path(kept), epochs), silent).scores
    return auc_interval(data.opacity, scores, data.patient)


def trivial(folder: Path, seed: int = SEED) -> dict[str, Interval]:
    """What trivial answers reach on a set of the same form."""
    return baselines(read(folder), seed)


def _by_seed(data: OpacitySet, scores: NDArray[np.float64]) -> BySeed:
    """What trainings that differ in their seed reach, in all patients and in those that may choose,
    and what they gain when they are joined."""
    here = ~data.untouched
    return BySeed(
        each=tuple(auc(data.opacity, one) for one in scores.T),
        choosing=tuple(auc(data.opacity[here], one[here]) for one in scores.T),
        gain=auc_gain(data.opacity, scores.mean(1), scores, data.patient),
    )


def _fitted(name: str, data: OpacitySet, seed: int, kept: Kept, tell: Tell) -> Trained:
    if name == "opacity_cnn":
        return _network(data, seed, kept, tell)
    if name == "opacity_ensemble":
        return _joined(data, seed, tell)
    if name not in NAMES:
        raise ValueError(f"no model is called {name!r}; there are: {', '.join(NAMES)}")
    candidates = classic.SVM_CANDIDATES if name == "opacity_svm" else classic.FOREST_CANDIDATES
    by_kind = classic.tables(data)
    result = classic.cross_fit(data, by_kind, candidates, seed, tell)
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


def _joined(data: OpacitySet, seed: int, tell: Tell) -> Trained:
    result = opacity_ensemble.cross_fit(data, seed, tell)
    members = result.members
    arrays = {
        **{f"linear.{key}": value for key, value in members.linear.arrays().items()},
        **{f"places.{key}": value for key, value in members.places.arrays().items()},
    }
    groups = np.array([str(trait) for trait in traits(KINDS_SEEN)])
    importance = classic.permutation_importance(
        members.linear.decide,
        classic.table_of(data.framed, KINDS_SEEN),
        data.opacity,
        groups,
        seed,
    )
    return Trained(
        arrays=arrays,
        model={"members": list(MEMBERS)},
        scores=result.scores,
        method=opacity_ensemble.METHOD,
        importance=importance,
        members={
            name: (calibration, result.single[:, column])
            for column, (name, calibration) in enumerate(
                zip(MEMBERS, members.calibrations, strict=True)
            )
        },
    )


def _network(data: OpacitySet, seed: int, kept: Kept, tell: Tell) -> Trained:
    result = opacity_cnn.cross_fit(data, kept.folder, seed, epochs=kept.epochs, tell=tell)
    arrays = {
        f"{number}.{key}": value.numpy()
        for number, network in enumerate(result.networks)
        for key, value in network.state_dict().items()
    }
    return Trained(
        arrays=arrays,
        model={"networks": len(result.networks)},
        scores=result.logits[:, 0],
        method=f"{len(result.networks)} residual networks of 96×96 pixels that learn the boxes and "
        "the reading, one per fold; together they answer with their mean logit over the image and "
        "its mirror image. The figures are those of single networks on their own fold",
        importance={},
        by_seed=result.logits,
    )
