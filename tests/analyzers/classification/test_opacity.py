"""The opacity classifiers keep the contract, answer real radiographs and refuse other images."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from analyzers import registry
from analyzers.classification.network_evidence import grad_cam, occlusion
from analyzers.classification.opacity_cnn import ensemble
from analyzers.contract import (
    Classification,
    Findings,
    InvalidParameters,
    NotApplicable,
    ParametricMap,
    Volume,
)
from analyzers.models import stored_model
from analyzers.radiograph import concepts
from analyzers.radiograph.opacity_network import CROP, network_input
from analyzers.radiograph.training.opacity_data import read
from analyzers.testing.examples import volume
from analyzers.testing.suite import AnalyzerSuite

STORED = ("opacity_svm", "opacity_random_forest", "opacity_cnn", "opacity_ensemble")
NAMES = tuple(name for name in STORED if name in registry.names())


def radiograph() -> NDArray[np.uint16]:
    """The mean chest of the training images as a radiograph of 12 bits."""
    mean = np.asarray(stored_model.load(NAMES[0]).arrays["mean_chest"], np.float32)
    wide = cv2.resize(mean, (400, 400), interpolation=cv2.INTER_CUBIC)
    return np.clip(2000 + 500 * wide, 0, 4095).astype(np.uint16)[None]


class TestOpacityClassifiers(AnalyzerSuite):
    analyzers = NAMES

    def example(self, name: str) -> Volume:
        return volume(radiograph(), "DX")


def answer(name: str, of: Volume) -> tuple[Classification, Findings]:
    kind = registry.load(name)
    findings = kind("cpu").analyze(of, kind.parameters())
    first = findings.items[0]
    assert isinstance(first, Classification)
    return first, findings


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_carries_probability_operating_point_and_reasons(name: str) -> None:
    said, _ = answer(name, volume(radiograph(), "DX"))
    assert said.question == concepts.LUNG_OPACITY
    assert said.probability is not None
    assert said.operating_point is not None
    present = said.probability >= said.operating_point.threshold
    assert said.answer == (concepts.PRESENT if present else concepts.ABSENT)
    assert 1 <= len(said.reasons) <= 3
    assert all("opacity (" in reason for reason in said.reasons)


@pytest.mark.parametrize("name", NAMES)
def test_images_that_are_no_frontal_chest_are_refused(name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 4000, (1, 300, 300)).astype(np.uint16)
    bar = np.zeros((1, 300, 300), np.uint16)
    bar[:, 100:130, 40:250] = 3000
    for pixels in (noise, bar):
        with pytest.raises(NotApplicable, match=r"chest|too noisy|seems to"):
            answer(name, volume(pixels, "DX"))
    with pytest.raises(NotApplicable, match="too small"):
        answer(name, volume(radiograph()[:, :40], "DX"))
    with pytest.raises(NotApplicable, match="no contrast"):
        answer(name, volume(np.full((1, 200, 200), 7, np.uint16), "DX"))
    with pytest.raises(NotApplicable, match="this is none"):
        answer(name, volume(np.zeros((9, 80, 80), np.int16), "CT"))


@pytest.mark.parametrize("name", NAMES)
def test_real_radiographs_with_opacity_get_the_higher_probability(
    name: str, test_data: Path
) -> None:
    """The model saw these images: the test is of the way from pixels to answer, not of merit."""
    folder = test_data / "train" / "cxr_opacity"
    with (folder / "labels.csv").open(newline="") as file:
        truth = {row["file"]: int(row["opacity"]) for row in csv.DictReader(file)}
    chosen = [[name for name, said in truth.items() if said == wanted][::12] for wanted in (0, 1)]
    means = []
    for files in chosen:
        said = []
        for file in files[: 2 if name == "opacity_cnn" else 8]:
            grey = cv2.imread(str(folder / "images" / file), cv2.IMREAD_GRAYSCALE)
            found, _ = answer(name, volume(np.asarray(grey)[None].astype(np.uint16), "DX"))
            said.append(float(found.probability or 0))
        means.append(np.mean(said))
    assert means[1] > means[0] + 0.15


def test_the_forests_map_lies_on_the_opacities_that_were_drawn(test_data: Path) -> None:
    """Of images that the model saw: the test is of the way back to the radiograph."""
    folder = test_data / "train" / "cxr_opacity"
    with (folder / "labels.csv").open(newline="") as file:
        drawn = [row for row in csv.DictReader(file) if row["width"]][::8]
    higher = 0
    for row in drawn:
        grey = cv2.imread(str(folder / "images" / row["file"]), cv2.IMREAD_GRAYSCALE)
        chart = _map("opacity_random_forest", np.asarray(grey)[None].astype(np.uint16))
        left, top = int(float(row["x"])), int(float(row["y"]))
        width, height = int(float(row["width"])), int(float(row["height"]))
        inside = chart[0, top : top + height, left : left + width]
        higher += inside.mean() > 1.5 * chart.mean()
    assert higher > 0.75 * len(drawn) > 5


def test_the_networks_map_by_covering_is_of_the_score_and_signed() -> None:
    kind = registry.load("opacity_cnn")
    wide = volume(radiograph(), "DX")
    findings = kind("cpu").analyze(wide, kind.parameters(evidence="occlusion"))
    [chart] = [one for one in findings.items if isinstance(one, ParametricMap)]
    assert chart.quantity == concepts.SCORE_CHANGE
    assert chart.values.shape == wide.shape
    assert chart.values.min() < 0 < chart.values.max()
    assert "log odds" in chart.title
    with pytest.raises(InvalidParameters, match="'occlusion' or 'none'"):
        kind.parameters(evidence="shap")


@pytest.mark.slow
def test_both_maps_of_the_network_point_at_most_of_what_was_drawn(test_data: Path) -> None:
    """Of images that the model saw. A place that every image shares would do as well: printed."""
    found = read(test_data / "train" / "cxr_opacity")
    model = stored_model.load("opacity_cnn")
    networks = ensemble(model, torch.device("cpu"))
    mean = np.asarray(model.arrays["mean_chest"], np.float32)
    inputs = network_input(found.laid_on(mean))
    drawn = [index for index, box in enumerate(found.boxes) if box[CROP, CROP].max() > 0.5]
    usual = found.boxes[drawn].sum(0)
    met = {"grad_cam": 0, "occlusion": 0, "one place for all": 0}
    for index in drawn:
        x = inputs[index : index + 1]
        charts = grad_cam(networks, x), occlusion(networks, x, mean), usual - found.boxes[index]
        for name, chart in zip(met, charts, strict=True):
            place = np.unravel_index(chart[CROP, CROP].argmax(), chart[CROP, CROP].shape)
            met[name] += bool(found.boxes[index][CROP, CROP][place] > 0.5)
    print(f"strongest place in a box, of {len(drawn)}: {met}")
    assert min(met.values()) > 0.6 * len(drawn)


def test_the_support_vectors_map_lies_within_the_frame_and_speaks_for_opacity_only() -> None:
    chart = _map("opacity_svm", radiograph())
    assert chart.shape == (1, 400, 400)
    assert chart.min() == 0 < chart.max()
    assert not chart[0, :20].any()


def _map(name: str, pixels: NDArray[np.uint16]) -> NDArray[np.float32]:
    _, findings = answer(name, volume(pixels, "DX"))
    [chart] = [item for item in findings.items if isinstance(item, ParametricMap)]
    return chart.values
