"""Networks learn what can be learned, and say where they looked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from analyzers.classification.network_evidence import contributions, grad_cam, occlusion
from analyzers.classification.training import medmnist, medmnist_data, opacity_cnn
from analyzers.classification.training.opacity_cnn_fit import augmented, fit
from analyzers.radiograph.opacity import on_frame
from analyzers.radiograph.opacity_network import (
    CROP,
    REACH,
    SIDE,
    OpacityNetwork,
    channels,
    network_input,
)
from analyzers.radiograph.training.opacity_data import FOLDS, OpacitySet


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
    added = on_frame(contributions([network], x), CROP)
    inside = boxes[0] > 0
    assert added.shape == (240, 240)
    assert added[inside].mean() > 3 * max(added[~inside].mean(), 0)
    looked = grad_cam([network], x)
    assert looked.min() >= 0
    assert looked.max() <= 1 + 1e-6
    assert looked[inside].mean() > looked[~inside].mean()


def test_covering_the_spot_costs_the_score_and_covering_what_is_usual_does_not(
    network: OpacityNetwork,
) -> None:
    images, boxes, _ = spotted(1, 2)
    lost = occlusion([network], network_input(images), _grain())
    inside = boxes[0] > 0
    assert lost.shape == (240, 240)
    assert inside[np.unravel_index(lost.argmax(), lost.shape)]
    assert lost[inside].mean() > 3 * np.abs(lost[~inside]).mean()


def _grain() -> NDArray[np.float32]:
    """A mean chest for images of noise: as rough, and without a spot."""
    return np.random.default_rng(7).normal(0.3, 0.05, (240, 240)).astype(np.float32)


def test_of_several_trainings_none_answers_for_patients_it_saw_and_the_first_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pixel of an image is its patient; each answers with the number of its seed."""
    count = 40
    patient = np.arange(count) // 2
    images = np.repeat(patient, 240 * 240).reshape(count, 240, 240).astype(np.float32)
    fitted: list[tuple[int, set[float]]] = []

    def remember(
        framed: NDArray[np.float32], boxes: object, opacity: object, seed: int, **options: object
    ) -> OpacityNetwork:
        fitted.append((seed, set(framed[:, 0, 0].tolist())))
        torch.manual_seed(seed)
        return OpacityNetwork().eval()

    def number(network: OpacityNetwork, framed: NDArray[np.float32]) -> NDArray[np.float64]:
        index = len(asked)
        asked.append(set(framed[:, 0, 0].tolist()))
        return np.full(len(framed), float(index // FOLDS))

    asked: list[set[float]] = []
    monkeypatch.setattr(opacity_cnn, "fit", remember)
    monkeypatch.setattr(opacity_cnn, "logits_of", number)
    data = OpacitySet(
        images=images,
        framed=images,
        boxes=np.zeros_like(images),
        frames=(),
        mean=images[0],
        opacity=(patient % 2).astype(np.int64),
        patient=patient.astype(str),
        view_ap=np.zeros(count, np.bool_),
        untouched=np.zeros(count, np.bool_),
    )
    found = opacity_cnn.cross_fit(data, tmp_path)
    wanted = opacity_cnn.TRAININGS * FOLDS
    assert len({seed for seed, _ in fitted}) == wanted > FOLDS
    for (_, learned), unseen in zip(fitted, asked, strict=True):
        assert learned.isdisjoint(unseen)
        assert learned | unseen == set(patient.tolist())
    np.testing.assert_array_equal(found.logits, [list(range(opacity_cnn.TRAININGS))] * count)
    kept = [network.answer.weight for network in found.networks]
    assert len(kept) == FOLDS
    for (seed, _), weight in zip(fitted[:FOLDS], kept, strict=True):
        torch.manual_seed(seed)
        assert torch.equal(weight, OpacityNetwork().answer.weight)
    again = opacity_cnn.cross_fit(data, tmp_path)
    assert len(fitted) == wanted
    for one, other in zip(found.networks, again.networks, strict=True):
        assert torch.equal(one.answer.weight, other.answer.weight)


def test_a_place_is_compared_with_the_mean_and_spread_of_its_surroundings() -> None:
    rng = np.random.default_rng(11)
    x = torch.from_numpy(rng.random((2, 1, SIDE, SIDE), np.float32))
    plain, compared = channels(x).split(1, 1)
    assert torch.equal(plain, (x - 0.5) / 0.25)
    wide = np.pad(x.numpy(), ((0, 0), (0, 0), (REACH, REACH), (REACH, REACH)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (2 * REACH + 1,) * 2, axis=(2, 3))
    from_mean = x.numpy() - windows.mean((4, 5))
    around = np.pad(from_mean, ((0, 0), (0, 0), (REACH, REACH), (REACH, REACH)), mode="reflect")
    squares = np.lib.stride_tricks.sliding_window_view(around**2, (2 * REACH + 1,) * 2, axis=(2, 3))
    wanted = from_mean / np.sqrt(squares.mean((4, 5)) + 1e-3)
    np.testing.assert_allclose(compared.numpy(), wanted, atol=1e-4)


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


def squares(count: int, seed: int) -> dict[str, NDArray[np.uint8]]:
    """Noise of 28×28, half of it with a bright square; labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count).astype(np.uint8)
    images = rng.integers(0, 90, (count, 28, 28)).astype(np.uint8)
    images[labels == 1, 8:20, 8:20] += 120
    return {"images": images, "labels": labels[:, None]}


def archive(path: Path, **parts: dict[str, NDArray[np.uint8]]) -> Path:
    """An archive as MedMNIST writes it."""
    arrays = {f"{part}_{key}": value for part, of in parts.items() for key, value in of.items()}
    np.savez(path, **arrays)
    return path


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> str:
    recipe = medmnist.Recipe(2, 2, "A square", "square", "noise")
    monkeypatch.setitem(medmnist.RECIPES, "demo", recipe)
    torch.set_num_threads(1)
    return "demo"


def test_a_small_image_ensemble_is_stored_with_its_card(tmp_path: Path, demo: str) -> None:
    archive(tmp_path / "demo_dev.npz", train=squares(128, 6), val=squares(64, 7))
    kept, heard = tmp_path / "kept", list[int]()

    def tell(done: int, total: int, loss: float) -> None:
        heard.append(done)

    home = medmnist.train(demo, tmp_path, tmp_path, checkpoints=kept, tell=tell)
    reached = medmnist.evaluate(demo, tmp_path, tmp_path)
    assert heard == [1, 2, 3, 4]
    assert reached.auc.value > 0.9
    assert f"| this ensemble | {reached.auc} |" in (home / "CARD.md").read_text(encoding="utf-8")
    before = (home / "weights.safetensors").read_bytes()
    (kept / "demo_1.safetensors").unlink()
    medmnist.train(demo, tmp_path, tmp_path, checkpoints=kept, tell=tell)
    assert heard[4:] == [3, 4]
    assert (home / "weights.safetensors").read_bytes() == before


def test_the_test_part_is_judged_where_the_archive_holds_one(tmp_path: Path, demo: str) -> None:
    archive(tmp_path / "demo_dev.npz", train=squares(64, 1), val=squares(32, 2))
    medmnist.train(demo, tmp_path, tmp_path, epochs=1)
    whole = archive(tmp_path / "any.npz", val=squares(32, 2), test=squares(50, 3))
    found = medmnist.evaluate(demo, whole, tmp_path)
    assert (found.images, found.part) == (50, "the official test part")


def test_an_image_is_learnt_once_and_never_judged_too(tmp_path: Path) -> None:
    learnt, held = squares(20, 4), squares(10, 5)
    learnt["images"][1] = learnt["images"][0]
    learnt["labels"][1] = learnt["labels"][0]
    learnt["images"][3] = learnt["images"][2]
    learnt["labels"][3] = 1 - learnt["labels"][2]
    held["images"][0] = learnt["images"][5]
    small = medmnist_data.read(archive(tmp_path / "any.npz", train=learnt, val=held))
    assert (len(small.learnt), small.doubled) == (17, 3)
    assert (len(small.held), small.shared) == (9, 1)


def test_files_that_are_no_such_archive_are_named(tmp_path: Path) -> None:
    text = tmp_path / "notes.npz"
    text.write_text("no archive")
    large = tmp_path / "large.npz"
    np.savez(large, images=np.zeros((2, 64, 64), np.uint8), labels=np.zeros(2, np.uint8))
    with pytest.raises(medmnist_data.UnreadableArchive, match=r"notes\.npz is no archive"):
        medmnist_data.judged_part("demo", text)
    with pytest.raises(medmnist_data.UnreadableArchive, match=r"\(n, 28, 28\)"):
        medmnist_data.judged_part("demo", large)
    with pytest.raises(medmnist_data.UnreadableArchive, match=r"holds no demo\.npz"):
        medmnist_data.judged_part("demo", tmp_path)
