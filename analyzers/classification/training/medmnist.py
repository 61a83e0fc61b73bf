"""Trains and evaluates the ensembles for PneumoniaMNIST and BreastMNIST; writes their cards.

The validation part serves for figures and calibration only: nothing is chosen by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.ensemble import RandomForestClassifier

from analyzers.classification.small_images import SmallImageEnsemble, SmallImageNetwork, pixels
from analyzers.classification.training.medmnist_data import (
    SmallSet,
    archive,
    judged_part,
    read,
)
from analyzers.classification.training.medmnist_fit import fit
from analyzers.classification.training.opacity_classic import support_vectors, svm
from analyzers.models import stored_model
from analyzers.models.learners import SupportVectors
from analyzers.models.training.figures import Interval, auc_interval, calibrate
from analyzers.models.training.progress import Tell, after, silent

SEED = 20261123


@dataclass(frozen=True, slots=True)
class Recipe:
    """What differs between the sets. answer: the class of label 1; limits: of these images;
    pixels: whether a support vector machine on the pixels adds its decision to the mean logit.
    """

    networks: int
    epochs: int
    question: str
    answer: str
    limits: str
    pixels: bool = False


RECIPES = {
    "pneumoniamnist": Recipe(
        5,
        16,
        "Pneumonia in a child's chest radiograph",
        "pneumonia",
        "children of one to five years of one hospital; bacterial and viral pneumonia are one "
        "class, and no other finding occurs",
    ),
    "breastmnist": Recipe(
        8,
        60,
        "Breast tumour on ultrasound",
        "normal or benign",
        "women of one hospital and two ultrasound machines; a normal breast and a benign tumour "
        "are one class",
        pixels=True,
    ),
}
FREEDOM = 3.0
"""Of the support vector machine; chosen with its weight by five folds of the training part."""


@dataclass(frozen=True, slots=True)
class Judged:
    """AUC of the ensemble, and of mean brightness alone, on so many images of a part; 95 %
    intervals by bootstrap over images."""

    auc: Interval
    brightness: Interval
    images: int
    part: str


def train(
    name: str,
    data: Path,
    out: Path = stored_model.SHIPPED,
    *,
    seed: int = SEED,
    epochs: int | None = None,
    checkpoints: Path | None = None,
    tell: Tell = silent,
) -> Path:
    """Fit the ensemble to the archive ``data`` and store it with its card in ``out/<name>``.

    data: the archive or a folder with ``<name>_dev.npz``. Networks that lie finished in
    ``checkpoints`` are not trained again. ``tell`` hears of every epoch of all networks.

    Raises
    ------
    UnreadableArchive
    """
    small = read(archive(name, data))
    epochs = RECIPES[name].epochs if epochs is None else epochs
    networks = _ensemble(name, small, epochs, seed, checkpoints, tell)
    ensemble = SmallImageEnsemble(networks, _machine(small) if RECIPES[name].pixels else None)
    score = ensemble.scores(small.held.images)
    reached = _interval(small.held.labels, score)
    calibration = calibrate(small.held.labels, score)
    recipe = RECIPES[name]
    home = stored_model.save(
        name,
        ensemble.arrays(),
        {
            "model": {
                "name": name,
                "question": recipe.question,
                "answer": recipe.answer,
                "networks": recipe.networks,
            },
            "training": {"seed": seed, "epochs": epochs, "images": len(small.learnt)},
            "calibration": {"slope": calibration.slope, "offset": calibration.offset},
            "figures": {"auc": reached.value, "auc_95": [reached.low, reached.high]},
        },
        out,
    )
    (home / "CARD.md").write_text(card(name, small, reached, seed), encoding="utf-8")
    return home


def evaluate(name: str, data: Path, models: Path = stored_model.SHIPPED) -> Judged:
    """The stored ensemble on the test part of an archive, or on its validation part.

    Raises
    ------
    UnreadableArchive, BrokenModel
    """
    part = judged_part(name, data)
    stored = SmallImageEnsemble.of(stored_model.load(name, models))
    reached = _interval(part.labels, stored.scores(part.images))
    trivial = _interval(part.labels, part.images.mean((1, 2)))
    return Judged(reached, trivial, len(part), part.part)


def _ensemble(
    name: str, small: SmallSet, epochs: int, seed: int, checkpoints: Path | None, tell: Tell
) -> list[SmallImageNetwork]:
    count = RECIPES[name].networks
    networks = []
    for number in range(count):
        kept = checkpoints / f"{name}_{number}.safetensors" if checkpoints else None
        if kept and kept.exists():
            network = SmallImageNetwork()
            network.load_state_dict(load_file(kept))
        else:
            told = after(number * epochs, count * epochs, tell)
            network = fit(small.learnt, epochs, seed + number, told)
            if kept:
                kept.parent.mkdir(parents=True, exist_ok=True)
                save_file(network.state_dict(), kept)
        networks.append(network.eval())
    return networks


def _machine(small: SmallSet) -> SupportVectors:
    fitted = svm(FREEDOM).fit(pixels(small.learnt.images), small.learnt.labels)
    return support_vectors(fitted)


def card(name: str, small: SmallSet, reached: Interval, seed: int) -> str:
    """The model card, with what trivial answers reach beside the ensemble."""
    recipe, learnt, held = RECIPES[name], small.learnt, small.held
    plain = RandomForestClassifier(200, random_state=SEED)
    plain.fit(learnt.images.reshape(len(learnt), -1), learnt.labels)
    forest = plain.predict_proba(held.images.reshape(len(held), -1))[:, 1]
    brightness = held.images.mean((1, 2))
    if auc_of_training_brightness(small) < 0.5:
        brightness = -brightness
    machine = (
        ",\nplus the decision value of a support vector machine on the pixels (chosen by five "
        "folds of the\ntraining part)"
        if recipe.pixels
        else ""
    )
    return f"""# {name}

**Question:** {recipe.question} (label 1: {recipe.answer}). Images of 28×28 pixels.

**Intended use:** comparing methods, testing the training and the storage of models. Not for
patients, and not an analyzer: no modality sends images of 28×28 pixels.

**Model:** {recipe.networks} small residual networks, mean logit over the image and its mirror
image{machine}; probability by Platt's sigmoid, fitted to the validation part.

**Data:** MedMNIST v2 (Yang et al. 2023, DOI 10.1038/s41597-022-01721-8), CC BY 4.0. For fitting
{len(learnt)} images of the training part ({(learnt.labels == 0).sum()} of label 0,
{(learnt.labels == 1).sum()} of label 1; {small.doubled} doubles left out), both labels drawn
equally often. For the figures and the calibration {len(held)} images of the validation part
({(held.labels == 0).sum()} of label 0; {small.shared} left out because they stand in the training
part too). The sets do not tell which images belong to one patient.

| on the validation part | AUC (95 % by bootstrap over images) |
|---|---|
| this ensemble | {reached} |
| random forest on the pixels | {_interval(held.labels, forest)} |
| mean brightness alone | {_interval(held.labels, brightness)} |

**Limits:** {recipe.limits}. The validation part is drawn like the training part and may hold the
same patients; the official test part was not at hand, and AUC there is to be expected lower:
`wetread evaluate {name} --data FILE.npz` measures it.

Made by `wetread train {name} --data FILE.npz`, seed {seed}.
"""


def auc_of_training_brightness(small: SmallSet) -> float:
    """Which way brightness points, told by the training part."""
    return _interval(small.learnt.labels, small.learnt.images.mean((1, 2))).value


def _interval(truth: NDArray[np.int64], score: NDArray[np.float64]) -> Interval:
    return auc_interval(truth, score, np.arange(len(truth)))
