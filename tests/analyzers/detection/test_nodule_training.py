"""The training of lung_nodule draws nodules, holds lungs out and stores a model with its card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analyzers.contract import Volume
from analyzers.detection import nodule_model, nodule_training
from analyzers.detection.nodule_strain import Strain
from analyzers.detection.nodule_trainable import Nodules, known
from analyzers.models.trainables import CannotTrain, FoundVolume, Run
from tests.analyzers.detection.test_lung_nodule import chest, ct


@pytest.fixture(scope="module")
def volume() -> Volume:
    return ct(chest())


@pytest.fixture
def run(volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(nodule_training, "ROUNDS", 1)
    monkeypatch.setattr(nodule_training, "NODULES_A_ROUND", 4)
    marks = (Strain("noise of 60 HU added", 0, 1), Strain("sharp kernel", 0, 1))
    monkeypatch.setattr(nodule_training, "strained", lambda *_: marks)
    return Run(tmp_path, tmp_path, lambda folder: [FoundVolume(volume, folder)])


def test_a_model_is_trained_stored_described_and_judged(run: Run, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    home = Nodules().train(
        "lung_nodule", tmp_path, run, lambda done, total, loss: heard.append((done, total))
    )
    assert heard == [(1, 1)]
    model = nodule_model.load(tmp_path)
    assert model.seed == 20
    assert np.isfinite(model.weights).all()
    text = (home / "CARD.md").read_text(encoding="utf-8")
    assert f"| lung_nodule | {model.operating_point.sensitivity:.3f} (" in text
    assert "| diameter alone | " in text
    lines = Nodules().evaluate("lung_nodule", tmp_path, tmp_path, run)
    assert "| noise of 60 HU added | " in text
    assert any(line.startswith("sharp kernel: ") for line in lines)
    assert lines[0] == "8 nodules drawn into 1 CT series"


def test_no_volume_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotTrain, match="no CT series"):
        Nodules().train(
            "lung_nodule", tmp_path, Run(tmp_path, tmp_path, lambda folder: []), lambda *_: None
        )


def test_contoured_nodules_are_placed_in_the_patient(volume: Volume, tmp_path: Path) -> None:
    contours = [{"z": -45.0, "xy": [[10, 20], [14, 24]]}, {"z": -43.0, "xy": [[10, 20], [14, 24]]}]
    text = json.dumps({"annotations": [{"contours": contours}]})
    (tmp_path / "GT_readers.json").write_text(text)
    (found,) = known(FoundVolume(volume, tmp_path))
    np.testing.assert_allclose(found.centre_mm, (-95 + 2 * 12, -71 + 2 * 22, -44))
