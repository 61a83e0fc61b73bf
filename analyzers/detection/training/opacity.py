"""Trains, evaluates and describes ``opacity_faster_rcnn``.

It learns from a folder with ``labels.csv`` and ``images/``. What is stored is fitted to all images;
every figure comes from detectors that did not see the patient: neither they nor the networks of
opacity_cnn that their trunks begin at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torchvision.models.detection import FasterRCNN

from analyzers.detection.opacity_detector import Marks, detector, fitted, log_odds, marks
from analyzers.detection.opacity_window import channels
from analyzers.detection.training.opacity_baseline import mean_boxes
from analyzers.detection.training.opacity_card import Card, card, picture
from analyzers.detection.training.opacity_fit import EPOCHS, Arrays, fit
from analyzers.detection.training.opacity_views import ViewSet, read
from analyzers.models import stored_model
from analyzers.models.learners import Calibration
from analyzers.models.training import detection_figures as figures
from analyzers.models.training.figures import (
    Interval,
    auc_interval,
    calibrate,
    operating_point,
    plain_calibration,
    reliability,
)
from analyzers.models.training.progress import Tell, after, silent

NAME = "opacity_faster_rcnn"
START = "opacity_cnn"
SEED = 20261123
"""That of opacity_cnn's folds, too: a fold's trunk begins at the network of the same fold."""
RATE = 0.5
"""False marks per image that the stored threshold allows."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """The detector fitted to all; marks of each image by a detector that never saw its patient."""

    network: FasterRCNN
    marks: tuple[Marks, ...]
    prior: tuple[Marks, ...]
    """What the mean boxes of the other patients mark."""


def train(
    name: str,
    folder: Path,
    out: Path = stored_model.SHIPPED,
    seed: int = SEED,
    checkpoints: Path | None = None,
    tell: Tell = silent,
    epochs: int = EPOCHS,
    device: str = "cpu",
) -> Path:
    """Fit the detector to the set in ``folder``; the folder of the stored model.

    ``tell`` hears of every epoch of every fold. What lies finished in ``checkpoints`` is not fitted
    again.

    Raises
    ------
    ValueError
        There is no such model, or nothing could be learned.
    """
    if name != NAME:
        raise ValueError(f"no model is called {name!r}; there is: {NAME}")
    data = read(folder)
    result = cross_fit(data, checkpoints or out / name / "checkpoints", seed, tell, epochs, device)
    facts = _card(data, result, seed, epochs)
    arrays = {key: value.numpy() for key, value in result.network.state_dict().items()}
    home = stored_model.save(name, {**arrays, "mean_chest": data.mean}, _facts(facts), out)
    (home / "CARD.md").write_text(card(facts), encoding="utf-8")
    cv2.imwrite(str(home / "failures.png"), picture(facts))
    return home


def evaluate(
    name: str, folder: Path, models: Path = stored_model.SHIPPED
) -> tuple[Interval, Interval]:
    """Average precision on a set of the same form, of the stored detector and of that set's own
    mean boxes, with 95 % intervals over patients.

    The stored detector saw all patients of its training set: use another one.
    """
    stored = stored_model.load(name, models)
    arrays = dict(stored.arrays)
    data = read(folder, np.asarray(arrays.pop("mean_chest"), np.float32))
    found = marked(fitted(arrays, torch.device("cpu")), data, range(len(data.views)))
    prior = [mean_boxes(data.boxes)] * len(data.views)
    of_found, of_prior = (
        figures.interval(judged(one, data), data.patient, figures.average_precision)
        for one in (found, prior)
    )
    return of_found, of_prior


def cross_fit(
    data: ViewSet, checkpoints: Path, seed: int, tell: Tell, epochs: int, device: str
) -> CrossFit:
    """One detector per fold for the figures, one of all images to keep."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    begin = _begin(data, seed)
    folds = data.folds(seed)
    total = (len(folds) + 1) * epochs
    found: list[Marks | None] = [None] * len(data.views)
    prior: list[Marks | None] = [None] * len(data.views)
    one = partial(_fitted, data=data, epochs=epochs, device=device)
    for number, (train, test) in enumerate(folds):
        kept = checkpoints / f"fold_{number}.safetensors"
        told = after(number * epochs, total, tell)
        start = stored_model.part_of(begin, f"{number}.")
        network = one(kept, train, seed=seed + number, start=start, tell=told)
        for index, mark in zip(test, marked(network, data, test), strict=True):
            found[index] = mark
        for index in test:
            prior[index] = mean_boxes([data.boxes[i] for i in train])
    everything = np.arange(len(data.views))
    told = after(len(folds) * epochs, total, tell)
    kept = checkpoints / "all.safetensors"
    network = one(kept, everything, seed=seed, start=stored_model.part_of(begin, "0."), tell=told)
    return CrossFit(
        network,
        tuple(mark for mark in found if mark is not None),
        tuple(mark for mark in prior if mark is not None),
    )


def marked(network: FasterRCNN, data: ViewSet, which: Iterable[int]) -> list[Marks]:
    """What a detector marks on some of the views."""
    return [marks(network, torch.from_numpy(channels(data.views[index]))) for index in which]


def judged(found: Sequence[Marks], data: ViewSet) -> list[figures.Judged]:
    """The marks of all views against the boxes."""
    pairs = zip(found, data.boxes, strict=True)
    return [figures.judged(mark.boxes, mark.score, boxes) for mark, boxes in pairs]


def _begin(data: ViewSet, seed: int) -> Arrays:
    """The stored networks of opacity_cnn, when their folds are these; else nothing."""
    stored = stored_model.load(START)
    same = stored.number("training", "seed") == seed
    return stored.arrays if same and stored.number("training", "images") == len(data.views) else {}


def _fitted(
    kept: Path,
    which: NDArray[np.int64],
    *,
    data: ViewSet,
    seed: int,
    start: Arrays,
    epochs: int,
    device: str,
    tell: Callable[[int, float], None],
) -> FasterRCNN:
    if kept.exists():
        network = detector()
        network.load_state_dict(load_file(kept))
        return network.eval()
    views, boxes = data.views[which], [data.boxes[index] for index in which]
    network = fit(views, boxes, seed, start, epochs, device, tell)
    save_file(network.state_dict(), kept)
    return network


def _card(data: ViewSet, result: CrossFit, seed: int, epochs: int) -> Card:
    found, prior = judged(result.marks, data), judged(result.prior, data)
    best = np.array([mark.score.max(initial=0.0) for mark in result.marks])
    present = calibrate(data.opacity, log_odds(best))
    chance = present.probability(log_odds(best))
    right = np.concatenate([one.right for one in found]).astype(np.int64)
    score = np.concatenate([one.score for one in found])
    if not 0 < right.sum() < len(right):
        raise ValueError("of the marks in patients not seen none, or all, lie on a box")
    return Card(
        data=data,
        found=found,
        marks=result.marks,
        prior=prior,
        point=figures.operating_point(found, data.patient, RATE),
        box=calibrate(right, log_odds(score)),
        present=present,
        image=operating_point(data.opacity, chance, data.patient),
        auc=auc_interval(data.opacity, best, data.patient),
        bins=reliability(data.opacity, log_odds(best), data.patient, plain_calibration),
        parameters=sum(part.numel() for part in result.network.parameters()),
        seed=seed,
        epochs=epochs,
        begun=bool(_begin(data, seed)),
    )


def _facts(facts: Card) -> dict[str, dict[str, stored_model.Plain]]:
    images, patients = len(facts.found), len(np.unique(facts.data.patient))
    evaluated = f"{images} images of {patients} patients, 5-fold cross-validation by patient"
    precision = facts.interval(facts.found, figures.average_precision)
    return {
        "model": {"name": NAME},
        "training": {
            "seed": facts.seed,
            "images": images,
            "patients": patients,
            "epochs": facts.epochs,
        },
        "calibration": _calibration(facts.present),
        "box_calibration": _calibration(facts.box),
        "operating_point": {
            "threshold": facts.image.threshold,
            "sensitivity": facts.image.sensitivity,
            "specificity": facts.image.specificity,
            "evaluated_on": evaluated,
        },
        "box_point": {
            "threshold": facts.point.threshold,
            "sensitivity": facts.point.sensitivity,
            "false_per_image": facts.point.false_per_image,
        },
        "figures": {
            "average_precision": precision.value,
            "average_precision_95": [precision.low, precision.high],
        },
    }


def _calibration(found: Calibration) -> dict[str, stored_model.Plain]:
    return {"slope": found.slope, "offset": found.offset}
