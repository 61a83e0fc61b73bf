"""Fits and judges the check of radiographs: what lies wrong in them, on which side the heart is.

Radiographs of the opacity set are turned, mirrored, cut and spoilt on purpose. The quarter of the
patients that no choice of method looked at takes no part in the fit; the card's figures are of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from analyzers.radiograph.chest_frame import Image, register, standardised
from analyzers.radiograph.fitness import (
    KINDS,
    LYINGS,
    PARTS,
    UPRIGHT,
    FitnessModel,
    noise_of,
    sides,
)
from analyzers.radiograph.opacity_features import features

SEED = 20261127
COMPONENTS, STRENGTH = 150, 0.1
HEART_COMPONENTS, HEART_STRENGTH = 80, 0.01
FOLDS = 5
REFUSED, UNSURE, DOUBTED = 1.0, 2.0, 1.5
"""Per cent of left-out proper images that may be refused, that may be refused or doubted for how
they lie, and that may be doubted for the heart's side."""
NOISE_ROOM = 2.0
"""Of the noise of the noisiest training image."""
DETAIL_ROOM = 0.6
"""Of what is measured as noise in the training image that has least of it: fine detail, too."""
SIDE = 512

Spoil = Callable[[Image, np.random.Generator], Image]
Floats = NDArray[np.float64]


def _half(part: str, image: Image, rng: np.random.Generator) -> Image:
    """A part alone, stretched to a square, or with the rest dark or grey."""
    kept = int(len(image) * rng.uniform(0.42, 0.6))
    whole, first, last = slice(None), slice(kept), slice(-kept, None)
    places = {
        "left half": (whole, first),
        "right half": (whole, last),
        "upper half": (first, whole),
        "lower half": (last, whole),
    }
    place = places[part]
    way = int(rng.integers(4))
    if way == 0:
        return image[place]
    if way == 1:
        return np.asarray(cv2.resize(image[place], image.shape[::-1]), np.float32)
    rest = np.full_like(image, 0 if way == 2 else image.mean())
    rest[place] = image[place]
    return rest


def _noisy(image: Image, rng: np.random.Generator) -> Image:
    spread = np.exp(rng.uniform(np.log(40), np.log(110)))
    return np.clip(image + rng.normal(0, spread, image.shape), 0, 255).astype(np.float32)


def _on_its_side(image: Image, rng: np.random.Generator) -> Image:
    seen = image if rng.random() < 0.5 else image[:, ::-1]
    return np.rot90(seen, 1 if rng.random() < 0.5 else 3)


SPOILT: Mapping[str, Spoil] = {
    "as it should": lambda image, rng: image,
    "mirrored": lambda image, rng: image[:, ::-1],
    "upside down": lambda image, rng: image[::-1],
    "turned": lambda image, rng: image[::-1, ::-1],
    "on its side": _on_its_side,
    "inverted": lambda image, rng: 255 - image,
    "inverted and upside down": lambda image, rng: 255 - image[::-1],
    **{part: partial(_half, part) for part in PARTS},
    "noise": _noisy,
}


@dataclass(frozen=True, slots=True, eq=False)
class Spoilt:
    """features and lying (index in ``LYINGS``) of images; patient; altered: placed and lit anew."""

    features: Floats
    lying: NDArray[np.int64]
    patient: NDArray[np.str_]
    altered: NDArray[np.bool_]

    def only(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Spoilt:
        return Spoilt(
            self.features[which], self.lying[which], self.patient[which], self.altered[which]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Hearts:
    """``sides`` of framed images as they should be, of the same moved a little, and patients."""

    straight: Floats
    moved: Floats
    patient: NDArray[np.str_]
    noise: Floats

    def only(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Hearts:
        return Hearts(
            self.straight[which], self.moved[which], self.patient[which], self.noise[which]
        )


def placed_anew(image: Image, rng: np.random.Generator) -> Image:
    """Tilted, scaled, moved and lit as other rooms do."""
    middle = (len(image) / 2, len(image) / 2)
    matrix = cv2.getRotationMatrix2D(middle, rng.uniform(-7, 7), rng.uniform(0.88, 1.12))
    matrix = matrix + [[0, 0, step] for step in rng.uniform(-1, 1, 2) * len(image) / 25]
    border = cv2.BORDER_CONSTANT if rng.random() < 0.5 else cv2.BORDER_REPLICATE
    moved = np.clip(cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=border), 0, 255)
    lit = 255 * (moved / 255) ** np.exp(rng.uniform(-0.35, 0.35))
    return np.asarray(lit + rng.normal(0, rng.uniform(0, 6), lit.shape), np.float32)


def spoilt(images: list[Image], patient: NDArray[np.str_], seed: int) -> Spoilt:
    """Each image in each of ``LYINGS``, as it is and placed anew; those upright once more."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[Floats, int, str, bool]] = []
    for image, one in zip(images, patient, strict=True):
        for lying, name in enumerate(LYINGS):
            for again in range(3 if name in UPRIGHT else 2):
                seen = placed_anew(image, rng) if again else image
                made = standardised(np.ascontiguousarray(SPOILT[name](seen, rng)))
                rows.append((features(made, KINDS), lying, str(one), again > 0))
    return Spoilt(*(np.array(column) for column in zip(*rows, strict=True)))


def hearts(images: list[Image], mean: Image, patient: NDArray[np.str_], seed: int) -> Hearts:
    """What tells the side of the heart, of each image and of four movements of it."""
    rng = np.random.default_rng(seed)
    straight, moved, noise = [], [], []
    for image in images:
        made = standardised(image)
        framed = register(made, mean).lay(made)
        straight.append(sides(framed))
        moved.append([sides(_moved(framed, rng)) for _ in range(4)])
        noise.append(noise_of(made))
    return Hearts(np.array(straight), np.array(moved), patient, np.array(noise))


def _moved(framed: Image, rng: np.random.Generator) -> Image:
    right, down = rng.uniform(-8, 8, 2)
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(framed, matrix, framed.shape, borderMode=border), np.float32)


def fitted(shown: Spoilt, seen: Hearts) -> FitnessModel:
    """Both linear models, with limits from images whose patient took no part in a fit."""
    least, sure, heart = _limits(shown, seen)
    lying, bias = _lying(shown)
    noise = NOISE_ROOM * float(seen.noise.max())
    detail = DETAIL_ROOM * float(seen.noise.min())
    return FitnessModel(lying, bias, _heart(seen), least, sure, heart, noise, detail)


def _limits(shown: Spoilt, seen: Hearts) -> tuple[float, float, float]:
    """Of ``least_upright``, ``sure_upright`` and ``least_heart``."""
    upright = np.zeros(len(shown.lying))
    for train, test in GroupKFold(FOLDS).split(shown.features, groups=shown.patient):
        lying, bias = _lying(shown.only(train))
        blank = FitnessModel(lying, bias, np.zeros(0, np.float32), 0, 0, 0, 0, 0)
        upright[test] = blank.lyings(shown.features[test])[:, : len(UPRIGHT)].sum(axis=1)
    side = np.zeros(len(seen.straight))
    for train, test in GroupKFold(2 * FOLDS).split(seen.straight, groups=seen.patient):
        side[test] = seen.straight[test] @ _heart(seen.only(train))
    proper = upright[shown.lying == 0]
    least, sure = np.percentile(proper, (REFUSED, UNSURE))
    return float(least), float(sure), float(np.percentile(side, DOUBTED))


def _lying(shown: Spoilt) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Multinomial regression on principal components of spread 1, as weights of the features."""
    parts = PCA(COMPONENTS, random_state=0).fit(shown.features)
    found = parts.transform(shown.features)
    spread = found.std(axis=0)
    judge = LogisticRegression(C=STRENGTH, max_iter=200).fit(found / spread, shown.lying)
    weights = (judge.coef_ / spread) @ parts.components_
    bias = judge.intercept_ - weights @ parts.mean_
    return weights.T.astype(np.float32), bias.astype(np.float32)


def _heart(seen: Hearts) -> NDArray[np.float32]:
    """Logistic regression without an offset: the mirror image has the opposite features."""
    one = np.concatenate([seen.straight, seen.moved.reshape(-1, seen.straight.shape[1])])
    both, truth = np.concatenate([one, -one]), np.repeat([1, 0], len(one))
    scale = both.std(axis=0) + 1e-9
    parts = PCA(HEART_COMPONENTS, random_state=0).fit(both / scale)
    found = (both / scale) @ parts.components_.T
    spread = found.std(axis=0)
    judge = LogisticRegression(C=HEART_STRENGTH, fit_intercept=False, max_iter=500)
    judge.fit(found / spread, truth)
    weights = (judge.coef_[0] / spread) @ parts.components_ / scale
    return np.asarray(weights, np.float32)
