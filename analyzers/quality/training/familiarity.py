"""Fits what training images look like: ``python -m analyzers.quality.training.familiarity FOLDER``.

FOLDER holds ``cxr_opacity`` and ``hippocampus_mr``. Held-out images of each set (the same patients
that the models never saw) take no part; on them is counted how many are called unfamiliar.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import GroupKFold

from analyzers.models import stored_model
from analyzers.models.training import hippocampus_data
from analyzers.quality.familiarity import CROPS, RADIOGRAPHS, of_normalized, of_standardised
from analyzers.radiograph.training import opacity_data

CARD = """# {name}
What the images look like that models of this folder learned from: mean and covariance of a few
numbers (shades, texture, symmetry or size) of {images} images of: {said}.
The `quality` analyzer warns of images beyond the 99th percentile of left-out training images.

On patients or blocks that took no part (share, 95 % bootstrap interval): {figures}.
Of so few images an interval of 0 to 0 means "fewer than about one in twelve", not never.

Limits: sees what changes shades, texture or symmetry as a whole (inverted, turned, noise, another
modality or organ); does not see blur, mirroring, or a disease that the models never saw.
Made by `python -m analyzers.quality.training.familiarity FOLDER`.
"""
FOLDS, PERCENTILE = 10, 99.0
BOOTSTRAPS, SEED = 2000, 0

Features = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Features of training and held-out images, and the patient (or block) of the former."""

    name: str
    train: Features
    groups: NDArray[np.str_]
    held_out: Features
    said: str
    extra: Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    mean: Features
    whitening: Features

    def distances(self, features: Features) -> Features:
        found: Features = np.linalg.norm((features - self.mean) @ self.whitening, axis=1)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=stored_model.SHIPPED)
    options = parser.parse_args()
    for images in (
        radiographs(options.folder / "cxr_opacity"),
        crops(options.folder / "hippocampus_mr"),
    ):
        print(store(images, options.out))


def radiographs(folder: Path) -> Images:
    """The chest radiographs; held out are the patients that no choice of method looked at."""
    found = opacity_data.read(folder)
    features = np.stack([of_standardised(image, found.mean) for image in found.images])
    seen = ~found.untouched
    said = "NIH ChestX-ray subset with RSNA readings"
    return Images(
        RADIOGRAPHS.name,
        features[seen],
        found.patient[seen],
        features[~seen],
        said,
        {"mean_chest": found.mean},
    )


def crops(folder: Path) -> Images:
    """The hippocampus crops; held out are the blocks that the network is tested on."""
    found = hippocampus_data.read(folder)
    seen = (*found.train, *found.validation)
    return Images(
        CROPS.name,
        np.stack([of_normalized(case.image) for case in seen]),
        np.array([case.name for case in seen]),
        np.stack([of_normalized(case.image) for case in found.test]),
        "Medical Segmentation Decathlon, Task 04 Hippocampus",
        {},
    )


def fitted(features: Features) -> Fit:
    """Mean and whitening of the shrunk covariance, each feature scaled by its own spread first."""
    spread = features.std(axis=0) + 1e-9
    shrunk = LedoitWolf().fit((features - features.mean(axis=0)) / spread)
    factor = np.linalg.cholesky(shrunk.precision_)
    return Fit(features.mean(axis=0), factor / spread[:, None])


def limit_of(features: Features, groups: NDArray[np.str_]) -> float:
    """The 99th percentile of distances of images whose group took no part in the fit."""
    left_out = np.zeros(len(features))
    for train, test in GroupKFold(FOLDS).split(features, groups=groups):
        left_out[test] = fitted(features[train]).distances(features[test])
    return float(np.percentile(left_out, PERCENTILE))


def store(images: Images, out: Path) -> str:
    """Fit, judge on the held-out images, store; a line with the figures."""
    fit, limit = fitted(images.train), limit_of(images.train, images.groups)
    far = fit.distances(images.held_out) > limit
    rng = np.random.default_rng(SEED)
    draws = rng.choice(far, (BOOTSTRAPS, len(far))).mean(axis=1)
    low, high = (float(value) for value in np.percentile(draws, (2.5, 97.5)))
    stored_model.save(
        images.name,
        {"mean": fit.mean, "whitening": fit.whitening, **images.extra},
        {
            "training": {"set": images.said, "images": len(images.train)},
            "limit": {"distance": limit, "percentile": PERCENTILE, "folds": FOLDS},
            "held_out": {
                "images": len(far),
                "share_beyond": float(far.mean()),
                "interval_95": [low, high],
            },
        },
        out,
    )
    share = f"{far.mean():.3f} ({low:.3f}-{high:.3f})"
    said = f"limit {limit:.2f}, beyond it of {len(far)} held out: {share}"
    card = CARD.format(name=images.name, said=images.said, images=len(images.train), figures=said)
    (out / images.name / "CARD.md").write_text(card, encoding="utf-8")
    return f"{images.name}: {said}"


if __name__ == "__main__":
    main()
