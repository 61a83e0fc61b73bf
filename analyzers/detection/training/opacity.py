"""Trains, evaluates and describes ``opacity_faster_rcnn``.

It learns from a folder with ``labels.csv`` and ``images/``. What is stored is fitted to all images;
every figure comes from detectors, and from a judge of the whole image, that did not see the
patient: neither they nor the networks of opacity_cnn that their trunks begin at.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torchvision.models.detection import FasterRCNN

from analyzers.detection.opacity_detector import Marks, fitted, log_odds, marks, weighed
from analyzers.detection.opacity_window import channels
from analyzers.detection.training.opacity_baseline import mean_boxes
from analyzers.detection.training.opacity_card import Card, card, picture
from analyzers.detection.training.opacity_fit import EPOCHS, Arrays, fit
from analyzers.detection.training.opacity_views import ViewSet, read
from analyzers.models import stored_model
from analyzers.models.learners import Calibration, Linear
from analyzers.models.training import detection_figures as figures
from analyzers.models.training.figures import (
    Interval,
    auc_interval,
    calibrate,
    cautious_calibration,
    operating_point,
    reliability,
)
from analyzers.models.training.progress import Tell, after, silent
from analyzers.radiograph.training.opacity_data import FOLDS, digest
from analyzers.radiograph.training.opacity_linear import linear, stored_linear

NAME = "opacity_faster_rcnn"
START = "opacity_cnn"
SEED = 20261123
"""That of opacity_cnn's folds, too: a fold's trunk begins at the network of the same fold."""
NETWORKS = 2
"""Of one training: the weights of its last step, and the mean of its last steps."""
RATE = 0.5
"""False marks per image that the stored threshold allows."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """What is fitted to all; marks of each image by what never saw its patient."""

    networks: Sequence[FasterRCNN]
    whole: Linear
    sureness: Calibration
    """Of the judge of the whole image."""
    marks: Sequence[Marks]
    unweighed: Sequence[Marks]
    """What the detectors mark without the judge of the whole image."""
    single: Sequence[Sequence[Marks]]
    """What each detector marks by itself, without it."""
    prior: Sequence[Marks]
    """What the mean boxes of the other patients mark."""


_NOTHING = Marks(np.zeros((0, 4)), np.zeros(0), np.zeros(0))


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
    """Fit the detectors to the set in ``folder``; the folder of the stored model.

    ``tell`` hears of every epoch of every fold. What lies finished in ``checkpoints`` is not fitted
    again; ``unseen.csv`` there holds each image's highest score by detectors that never saw its
    patient.

    Raises
    ------
    ValueError
        There is no such model, or nothing could be learned.
    """
    if name != NAME:
        raise ValueError(f"no model is called {name!r}; there is: {NAME}")
    data = read(folder)
    kept = checkpoints or out / name / "checkpoints"
    result = cross_fit(data, kept, seed, tell, epochs, device)
    _write_unseen(kept / "unseen.csv", data, result)
    facts = _card(data, result, seed, epochs)
    arrays = named(result.networks)
    arrays |= {f"whole.{key}": value for key, value in result.whole.arrays().items()}
    told = _facts(folder, facts) | {"whole_calibration": _calibration(result.sureness)}
    home = stored_model.save(name, {**arrays, "mean_chest": data.mean}, told, out)
    (home / "CARD.md").write_text(card(facts), encoding="utf-8")
    cv2.imwrite(str(home / "failures.png"), picture(facts))
    return home


def evaluate(
    name: str, folder: Path, models: Path = stored_model.SHIPPED
) -> tuple[Interval, Interval]:
    """Average precision on a set of the same form, of the stored detectors and of that set's own
    mean boxes, with 95 % intervals over patients.

    The stored detectors saw all patients of their training set: use another one.
    """
    stored = stored_model.load(name, models)
    arrays = stored.arrays
    data = read(folder, np.asarray(arrays["mean_chest"], np.float32))
    judge = Linear.of(stored_model.part_of(arrays, "whole."))
    odds = Calibration(
        stored.number("whole_calibration", "slope"), stored.number("whole_calibration", "offset")
    ).log_odds(judge.decide(data.features))
    seen = marked(fitted(arrays, torch.device("cpu")), data, range(len(data.views)))
    found = [weighed(one, float(whole)) for one, whole in zip(seen, odds, strict=True)]
    prior = [mean_boxes(data.boxes)] * len(data.views)
    of_found, of_prior = (
        figures.interval(judged(one, data), data.patient, figures.average_precision)
        for one in (found, prior)
    )
    return of_found, of_prior


def cross_fit(
    data: ViewSet, checkpoints: Path, seed: int, tell: Tell, epochs: int, device: str
) -> CrossFit:
    """Detectors and a judge of the whole image per fold for the figures, and of all to keep."""
    checkpoints.mkdir(parents=True, exist_ok=True)
    fits = _Fits(data, checkpoints, seed, _begin(data, seed), epochs, device, tell)
    views = len(data.views)
    found = [[_NOTHING] * views for _ in range(NETWORKS + 1)]
    prior = [_NOTHING] * views
    for fold, (train, test) in enumerate(data.folds(seed)):
        networks = fits.networks(fold, train)
        for row, several in zip(found, (networks, *([one] for one in networks)), strict=True):
            for index, mark in zip(test, marked(several, data, test), strict=True):
                row[index] = mark
        for index in test:
            prior[index] = mean_boxes([data.boxes[i] for i in train])
    joined, *single = found
    scores, odds = judged_whole(data, seed)
    return CrossFit(
        networks=fits.networks(FOLDS, np.arange(views)),
        whole=stored_linear(linear().fit(data.features, data.opacity)),
        sureness=calibrate(data.opacity, scores),
        marks=[weighed(one, float(whole)) for one, whole in zip(joined, odds, strict=True)],
        unweighed=joined,
        single=single,
        prior=prior,
    )


def judged_whole(data: ViewSet, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What linear judges of the whole image that never saw the patient say, and as log odds that
    were calibrated on the other folds."""
    scores, odds, folds = np.zeros(len(data.views)), np.zeros(len(data.views)), data.folds(seed)
    for train, test in folds:
        judge = linear().fit(data.features[train], data.opacity[train])
        scores[test] = judge.decision_function(data.features[test])
    for train, test in folds:
        odds[test] = calibrate(data.opacity[train], scores[train]).log_odds(scores[test])
    return scores, odds


def marked(networks: Sequence[FasterRCNN], data: ViewSet, which: Iterable[int]) -> list[Marks]:
    """What detectors mark together on some of the views."""
    return [marks(networks, torch.from_numpy(channels(data.views[index]))) for index in which]


def judged(found: Sequence[Marks], data: ViewSet) -> list[figures.Judged]:
    """The marks of all views against the boxes."""
    pairs = zip(found, data.boxes, strict=True)
    return [figures.judged(mark.boxes, mark.score, boxes) for mark, boxes in pairs]


def _begin(data: ViewSet, seed: int) -> Arrays:
    """The stored networks of opacity_cnn, when their folds are these; else nothing."""
    stored = stored_model.load(START)
    same = stored.number("training", "seed") == seed
    return stored.arrays if same and stored.number("training", "images") == len(data.views) else {}


@dataclass(frozen=True, slots=True, eq=False)
class _Fits:
    """How detectors are fitted: to what, from which start, where they are kept."""

    data: ViewSet
    checkpoints: Path
    seed: int
    begin: Arrays
    epochs: int
    device: str
    tell: Tell

    def networks(self, fold: int, which: NDArray[np.int64]) -> Sequence[FasterRCNN]:
        """Those of a fold, fitted to ``which`` of the images; fold ``FOLDS``: those of all."""
        of_all = fold == FOLDS
        kept = self.checkpoints / ("all.safetensors" if of_all else f"fold_{fold}.safetensors")
        if kept.exists():
            return fitted(load_file(kept), torch.device("cpu"))
        begun = 0 if of_all else fold
        networks = fit(
            self.data.views[which],
            [self.data.boxes[index] for index in which],
            self.seed + begun,
            stored_model.part_of(self.begin, f"{begun}."),
            self.epochs,
            self.device,
            after(fold * self.epochs, (FOLDS + 1) * self.epochs, self.tell),
        )
        save_file(named(networks), kept)
        return networks


def named(networks: Sequence[FasterRCNN]) -> dict[str, NDArray[np.generic]]:
    """The weights of several detectors as one model: ``0.`` before the names of the first."""
    return {
        f"{number}.{key}": value.numpy()
        for number, network in enumerate(networks)
        for key, value in network.state_dict().items()
    }


def _write_unseen(path: Path, data: ViewSet, result: CrossFit) -> None:
    """A row an image: its file, whether there is an opacity, the highest score."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "opacity", "score"))
        best = (mark.score.max(initial=0.0) for mark in result.marks)
        rows.writerows(zip(data.files, data.opacity.tolist(), best, strict=True))


def _card(data: ViewSet, result: CrossFit, seed: int, epochs: int) -> Card:
    found, prior = judged(result.marks, data), judged(result.prior, data)
    best = np.array([mark.score.max(initial=0.0) for mark in result.marks])
    present = cautious_calibration(data.opacity, log_odds(best), data.patient)
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
        bins=reliability(data.opacity, log_odds(best), data.patient),
        parameters=sum(part.numel() for part in result.networks[0].parameters()),
        unweighed=judged(result.unweighed, data),
        single=[judged(one, data) for one in result.single],
        seed=seed,
        epochs=epochs,
        begun=bool(_begin(data, seed)),
    )


def _facts(folder: Path, facts: Card) -> dict[str, dict[str, stored_model.Plain]]:
    images, patients = len(facts.found), len(np.unique(facts.data.patient))
    evaluated = f"{images} images of {patients} patients, 5-fold cross-validation by patient"
    precision = facts.interval(facts.found, figures.average_precision)
    return {
        "model": {"name": NAME, "networks": NETWORKS},
        "training": {
            "seed": facts.seed,
            "images": images,
            "patients": patients,
            "epochs": facts.epochs,
            "set": digest(folder),
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
