"""``quality`` says of an image what the models that would read it say: one check, not two."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzers import registry
from analyzers.contract import Findings, Measurement, NotApplicable, Subject, Volume
from analyzers.models import hippocampus_atlas
from analyzers.quality.familiarity import judge
from analyzers.quality.quality import LIKENESS
from analyzers.radiograph.chest_frame import Image
from analyzers.radiograph.training.trainable import read
from analyzers.testing import examples
from node.results.words.phrases import shown
from node.series.read import read_series

Alter = Callable[[Image], Image]


def film(values: Image) -> Volume:
    return examples.volume(np.clip(np.rint(values), 0, 4095).astype(np.uint16)[None], "DX")


def crop(values: np.ndarray[Any, Any]) -> Volume:
    """A crop whose middle lies on the patient's left."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[::-1]
    affine[:3, 3] = (25.0 - values.shape[2] / 2, 20.0, -30.0)
    return examples.volume(np.rint(values).astype(np.int16), "MR", affine=affine)


@pytest.fixture(scope="module")
def chest(test_data: Path) -> Image:
    images, _ = read(test_data / "train" / "cxr_opacity").only(left_out=True)
    return images[6]


@pytest.fixture(scope="module")
def hippocampus() -> np.ndarray[Any, Any]:
    mean = hippocampus_atlas.stored().mean
    return 500 + 100 * mean + np.random.default_rng(2).normal(0, 15, mean.shape)


def run(name: str, of: Volume) -> Findings:
    chosen = {"read": False} if name == "quality" else {}
    return registry.load(name)("cpu").analyze(of, registry.parameters(name, chosen))


def told(of: Volume) -> list[str]:
    """What ``quality`` says of the models."""
    return [
        one for one in run("quality", of).remarks if "by the models" in one or "networks" in one
    ]


def own_word(name: str, of: Volume) -> tuple[str, ...]:
    """What a model itself says of the image before its answer, or instead of it."""
    try:
        return run(name, of).cautions
    except NotApplicable as refusal:
        return (str(refusal),)


FILMS: dict[str, Alter] = {
    "as it should": lambda image: image,
    "inverted": lambda image: 255 - image,
    "upside down": lambda image: image[::-1],
    "mirrored": lambda image: image[:, ::-1],
    "half": lambda image: image[:, : image.shape[1] // 2],
    "noise": lambda image: np.random.default_rng(0).normal(500, 100, image.shape),
}


@pytest.mark.parametrize("way", FILMS)
def test_a_radiograph_is_told_of_as_the_model_does(way: str, chest: Image) -> None:
    of = film(np.ascontiguousarray(FILMS[way](chest)))
    own = own_word("opacity_svm", of)
    assert bool(own) == (way != "as it should")
    assert [one.partition(": ")[2] for one in told(of)] == list(own)


CROPS: dict[str, Alter] = {
    "as it should": lambda image: image,
    "upside down": lambda image: image[::-1],
    "back to front": lambda image: image[:, ::-1],
    "mirrored": lambda image: image[..., ::-1],
    "inverted": lambda image: 1000 - image,
    "noise": lambda image: np.random.default_rng(0).normal(500, 100, image.shape),
}


@pytest.mark.parametrize("way", CROPS)
def test_a_crop_is_told_of_as_the_network_does(way: str, hippocampus: np.ndarray[Any, Any]) -> None:
    of = crop(np.ascontiguousarray(CROPS[way](hippocampus)))
    own = own_word("hippocampus_fpn", of)
    assert bool(own) == (way != "as it should")
    assert [one.partition(": ")[2] for one in told(of)] == list(own)


def test_what_the_models_were_not_made_for_by_the_header_is_no_fault(chest: Image) -> None:
    of = film(255 - chest)
    assert of.facts is not None
    foot = dataclasses.replace(of, facts=dataclasses.replace(of.facts, body_part="FOOT"))
    child = dataclasses.replace(of, subject=Subject(age_years=5.0))
    assert told(foot) == told(child) == []
    assert judge(examples.volume(examples.head(), "MR")) is None, "a whole head is no crop"
    assert judge(examples.volume(examples.torso(), "CT")) is None


def test_real_crops_resemble_the_atlas(test_data: Path) -> None:
    of = read_series(sorted((test_data / "studies/mr_hippocrop/Study1").glob("*.dcm"))).volume
    assert of is not None
    (likeness,) = (
        one.value
        for one in run("quality", of).items
        if isinstance(one, Measurement) and one.name == LIKENESS
    )
    assert 0.5 <= likeness <= 1


@pytest.mark.parametrize("way", ["upside down", "inverted", "mirrored", "noise"])
def test_it_is_said_in_german(way: str, chest: Image, hippocampus: np.ndarray[Any, Any]) -> None:
    pictures = (film(np.ascontiguousarray(FILMS[way](chest))),
                crop(np.ascontiguousarray(CROPS[way](hippocampus))))  # fmt: skip
    for of in pictures:
        for remark in told(of):
            said = shown(remark, "de")
            assert said.startswith(("Abgelehnt", "Angezweifelt"))
            assert not {"The", "the", "of"} & set(said.split())
