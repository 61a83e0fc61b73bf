"""Images unlike those a model learned from are named; such as those are not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.contract import Volume
from analyzers.quality.familiarity import judge
from analyzers.quality.quality import Quality, QualityParameters
from analyzers.quality.training.familiarity import fitted, limit_of
from analyzers.testing import examples
from node.series.read import read_series

Picture = NDArray[np.float64]


def film(values: Picture) -> Volume:
    return examples.volume(np.rint(values).astype(np.int16)[None], "DX")


@pytest.fixture(scope="module")
def chest(test_data: Path) -> Picture:
    path = sorted((test_data / "train/cxr_opacity/images").glob("*.png"))[3]
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float64)


def remarks(of: Volume) -> list[str]:
    found = Quality("cpu").analyze(of, QualityParameters()).remarks
    return [one for one in found if one.startswith("Unlike the radiographs")]


def test_a_chest_radiograph_is_familiar(chest: Picture) -> None:
    assert remarks(film(chest)) == []


@pytest.mark.parametrize(
    "altered",
    [
        lambda image: 255 - image,
        lambda image: image[::-1],
        lambda image: np.random.default_rng(0).normal(500, 100, image.shape),
    ],
    ids=["inverted", "upside down", "noise"],
)
def test_wrong_radiographs_are_not(chest: Picture, altered: Callable[[Picture], Picture]) -> None:
    assert len(remarks(film(altered(chest)))) == 1


def test_a_ct_slice_is_no_radiograph(test_data: Path) -> None:
    paths = sorted((test_data / "studies/ct_crlm_1004").glob("*.dcm"))[20:24]
    ct = read_series(paths).volume
    assert ct is not None
    judged = judge(film(np.clip(ct.values(np.float64)[1], -160, 240) + 200))
    assert judged is not None
    assert judged.distance > 5


def test_another_body_part_is_no_fault(chest: Picture) -> None:
    of = film(255 - chest)
    assert of.facts is not None
    foot = dataclasses.replace(of, facts=dataclasses.replace(of.facts, body_part="FOOT"))
    assert remarks(foot) == []


def test_hippocampus_crops_are_familiar_and_noise_or_whole_heads_are_not_judged(
    test_data: Path,
) -> None:
    crop = read_series(sorted((test_data / "studies/mr_hippocrop/Study1").glob("*.dcm"))).volume
    assert crop is not None
    known = judge(crop)
    assert known is not None
    assert known.distance < 1
    values = np.random.default_rng(0).integers(0, 500, crop.shape).astype(np.int16)
    noise = judge(dataclasses.replace(crop, stored=values))
    assert noise is not None
    assert noise.distance > 5
    assert judge(examples.volume(examples.head(), "MR")) is None


def test_the_limit_holds_for_about_one_in_a_hundred_that_were_left_out() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6))
    train, others = rng.normal(size=(400, 6)) @ mixing, rng.normal(size=(4000, 6)) @ mixing
    limit = limit_of(train, np.arange(400).astype(str))
    assert 0.003 < np.mean(fitted(train).distances(others) > limit) < 0.03
