"""Radiographs that no model may judge are refused by name, before any model looks at them.

The images are of patients that took no part in the fit of the check.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from analyzers import registry
from analyzers.contract import NotApplicable, SeriesFacts, Volume
from analyzers.models import stored_model
from analyzers.radiograph import fitness, opacity
from analyzers.radiograph.chest_frame import Image, standardised
from analyzers.radiograph.opacity import INPUTS, framed_chest
from analyzers.radiograph.training.trainable import read
from analyzers.testing import examples

NAMES = (
    "opacity_svm", "opacity_random_forest", "opacity_cnn", "opacity_ensemble",
    "opacity_faster_rcnn", "multimodal_classifier",
)  # fmt: skip


def film(values: Image) -> Volume:
    return examples.volume(np.clip(np.rint(values), 0, 4095).astype(np.uint16)[None], "DX")


def _from_pixels(image: Image, side: int) -> Image:
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[::-1]), np.float32)


@pytest.fixture(scope="module")
def chests(test_data: Path) -> list[Image]:
    images, _ = read(test_data / "train" / "cxr_opacity").only(left_out=True)
    return images[::6]


@pytest.fixture(scope="module")
def mean() -> Image:
    return np.asarray(stored_model.load("opacity_ensemble").arrays["mean_chest"], np.float32)


def judged(image: Image, mean: Image) -> str:
    """Refused or doubted, and why; empty where an answer is given without more ado."""
    try:
        return " ".join(framed_chest(film(image), mean).cautions)
    except NotApplicable as error:
        return str(error)


def test_proper_radiographs_are_judged(chests: list[Image], mean: Image) -> None:
    assert sum(bool(judged(image, mean)) for image in chests) <= 1


@pytest.mark.parametrize(
    ("altered", "why"),
    [
        (lambda image: 255 - image, "inverted"),
        (lambda image: image[::-1], "upside down"),
        (lambda image: image[::-1, ::-1], "upside down"),
        (lambda image: np.rot90(image), "on its side"),
        (lambda image: image[:, ::-1], "heart"),
        (lambda image: image[:, : image.shape[1] // 2], "a part of the chest"),
        (lambda image: image[: image.shape[0] // 2], "a part of the chest"),
        (lambda image: image + np.random.default_rng(0).normal(0, 80, image.shape), "nois"),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 4), "less detail"),
        (lambda image: _from_pixels(image, 28), "less detail"),
    ],
    ids=[
        "inverted",
        "down",
        "turned",
        "side",
        "mirrored",
        "left half",
        "upper half",
        "noise",
        "blur",
        "28 pixels",
    ],
)
def test_what_lies_wrong_is_named(
    altered: Callable[[Image], Image], why: str, chests: list[Image], mean: Image
) -> None:
    said = [judged(altered(image), mean) for image in chests]
    assert sum(bool(one) for one in said) >= len(said) - 1
    assert sum(why in one for one in said) >= 0.7 * len(said)


def test_what_is_hardly_a_chest_is_answered_with_one_caution(
    chests: list[Image], mean: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = standardised(chests[0])
    assert fitness.require_upright(image) == ()
    strict = dataclasses.replace(fitness.shipped(), least_upright=0.0, sure_upright=1.1)
    assert fitness.require_upright(image, strict) == (fitness.UNSURE,)
    monkeypatch.setattr(opacity, "SURE_AGREEMENT", 1.0)
    assert framed_chest(film(chests[0]), mean).cautions == (fitness.UNSURE,)
    monkeypatch.setattr(fitness, "shipped", lambda: strict)
    assert framed_chest(film(chests[0]), mean).cautions == (fitness.UNSURE,)
    monkeypatch.setattr(opacity, "LEAST_AGREEMENT", 1.0)
    with pytest.raises(NotApplicable, match="does not look like"):
        framed_chest(film(chests[0]), mean)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"view": "LL"}, "its view is LL"),
        ({"body_part": "FOOT"}, "another part: limb"),
        ({"orientation": ("A", "F")}, "a lateral view"),
        ({"orientation": ("R", "F")}, "stored mirrored"),
        ({"orientation": ("L", "H")}, "not stored upright"),
        ({"body_part": "CHEST", "view": "PA", "orientation": ("L", "F")}, ""),
        ({}, ""),
    ],
)
def test_the_header_is_asked_first(facts: dict[str, object], why: str) -> None:
    blank = film(np.zeros((100, 100), np.float32))
    told = dataclasses.replace(SeriesFacts("DX", 1, 1), **facts)  # type: ignore[arg-type]
    of = dataclasses.replace(blank, facts=told)
    if why:
        with pytest.raises(NotApplicable, match=why):
            fitness.require_header(of, INPUTS)
    else:
        fitness.require_header(of, INPUTS)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_refuses_children_and_doubts_a_mirrored_chest(
    name: str, chests: list[Image]
) -> None:
    kind = registry.load(name)
    found = kind("cpu")
    proper = film(chests[0])
    child = dataclasses.replace(proper, subject=dataclasses.replace(proper.subject, age_years=4.0))
    with pytest.raises(NotApplicable, match="younger than 18 years"):
        found.analyze(child, kind.parameters())
    assert found.analyze(proper, kind.parameters()).cautions == ()
    assert found.analyze(film(chests[0][:, ::-1]), kind.parameters()).cautions == (fitness.HEART,)
