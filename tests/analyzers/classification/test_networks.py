"""Networks learn what can be learned, and say where they looked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from analyzers.classification.network_evidence import grad_cam, occlusion
from analyzers.classification.opacity_network import OpacityNetwork, network_input
from analyzers.classification.training import medmnist
from analyzers.classification.training.opacity_cnn_fit import augmented, fit


def spotted(count: int, seed: int) -> tuple[NDArray[np.float32], ...]:
    """Framed noise, half of it with a bright spot on one side; where the spot lies; whether."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0.3, 0.05, (count, 240, 240)).astype(np.float32)
    boxes = np.zeros_like(images)
    for index in range(0, count, 2):
        column = 60 if rng.random() < 0.5 else 140
        images[index, 100:150, column : column + 50] += 0.5
        boxes[index, 100:150, column : column + 50] = 1
    return images, boxes, (np.arange(count) % 2 == 0).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> OpacityNetwork:
    torch.set_num_threads(1)
    images, boxes, truth = spotted(32, 0)
    return fit(images, boxes, truth.astype(np.int64), seed=1, epochs=12)


def test_a_network_tells_images_with_a_spot_from_those_without(network: OpacityNetwork) -> None:
    images, _, truth = spotted(16, 1)
    with torch.inference_mode():
        logit = network(network_input(images)).logit.numpy()
    assert logit[truth == 1].min() > logit[truth == 0].max()


def test_the_evidence_lies_on_the_spot(network: OpacityNetwork) -> None:
    images, boxes, _ = spotted(1, 2)
    x = network_input(images)
    covered = occlusion([network], x)
    inside = boxes[0] > 0
    assert covered.shape == (240, 240)
    assert covered[inside].mean() > 3 * max(covered[~inside].mean(), 0)
    looked = grad_cam([network], x)
    assert looked.min() >= 0
    assert looked.max() <= 1 + 1e-6
    assert looked[inside].mean() > looked[~inside].mean()


def test_training_repeats_itself_from_its_seed() -> None:
    torch.set_num_threads(1)
    images, boxes, truth = spotted(16, 3)
    first, second = (fit(images, boxes, truth.astype(np.int64), seed=4, epochs=1) for _ in range(2))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key


def test_boxes_move_with_the_image() -> None:
    torch.manual_seed(0)
    images, boxes, _ = spotted(8, 5)
    x, marks = augmented(network_input(images), network_input(boxes))
    for index in range(0, 8, 2):
        inside = marks[index] > 0.9
        assert x[index][inside].mean() > x[index][marks[index] < 0.1].mean() + 0.2


def test_a_small_image_ensemble_is_stored_with_its_card(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, 192).astype(np.uint8)
    images = rng.integers(0, 90, (192, 28, 28)).astype(np.uint8)
    images[labels == 1, 8:20, 8:20] += 120
    archive = {
        "train_images": images[:128],
        "train_labels": labels[:128],
        "val_images": images[128:],
        "val_labels": labels[128:],
    }
    np.savez(tmp_path / "demo_dev.npz", **archive)
    recipe = medmnist.Recipe(2, 2, "A square", "square")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(medmnist.RECIPES, "demo", recipe)
        home = medmnist.train("demo", tmp_path, tmp_path, checkpoints=tmp_path / "kept")
        reached = medmnist.evaluate("demo", tmp_path, tmp_path)
    assert reached.value > 0.9
    assert f"| this ensemble | {reached} |" in (home / "CARD.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "demo_0.safetensors",
        "demo_1.safetensors",
    ]
