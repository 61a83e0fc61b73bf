"""``wetread train`` and ``wetread evaluate`` find every model by its name and say what is wrong."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from analyzers.classification.training import medmnist, opacity, trainables
from analyzers.models import stored_model
from analyzers.models.trainables import TRAINABLES, FoundVolume, trainable
from analyzers.models.training import figures
from analyzers.radiograph.training import opacity_data
from node.commands import judging, training
from node.commands.judging import Judge
from node.demo.phantom import ChestPhantom

FILM_MODELS = ("opacity_svm", "opacity_random_forest", "opacity_cnn", "opacity_ensemble")


@pytest.mark.parametrize("name", TRAINABLES)
def test_every_model_in_the_table_can_be_loaded(name: str) -> None:
    found = trainable(name)
    assert callable(found.train)
    assert callable(found.evaluate)


def test_an_unknown_name_lists_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert training.train("nothing", tmp_path, tmp_path, epochs=None, stop=0, seed=None) == 2
    assert f"there are: {', '.join(TRAINABLES)}" in capsys.readouterr().err
    assert training.evaluate("nothing", tmp_path, None) == 2
    assert f"there are: {', '.join(judging.names())}" in capsys.readouterr().err


def test_every_method_that_can_be_judged_has_its_set_and_its_program() -> None:
    assert set(judging.SETS) == {*TRAINABLES, *judging.JUDGES}
    assert all(one.is_here for one in judging.JUDGES.values())
    assert not Judge("benchmarks_of_nobody.nothing").is_here


def test_judging_all_says_which_data_are_missing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "JUDGES", {"fusion": judging.JUDGES["fusion"]})
    assert training.evaluate("all", tmp_path, None) == 2
    said = capfd.readouterr().out
    assert "# fusion: not judged, studies is missing" in said
    assert "# pneumoniamnist: not judged, train/pneumoniamnist_dev.npz is missing" in said


def test_judging_all_ends_with_a_table_whatever_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = {name: judging.JUDGES[name] for name in ("pet_tumour", "pet_organs", "fusion")}
    monkeypatch.setattr(judging, "TRAINABLES", ())
    monkeypatch.setattr(judging, "JUDGES", rules)
    (tmp_path / "studies").mkdir()

    def ends(name: str, *_: object) -> list[str]:
        return [
            sys.executable,
            "-c",
            f"print('Made.'); raise SystemExit({3 if name == 'pet_tumour' else 0})",
        ]

    monkeypatch.setattr(judging, "_again", ends)
    assert training.evaluate("all", tmp_path, None) == 1
    said = capfd.readouterr().out
    assert "# fusion (3 of 3)\nMade.\nfusion: judged; " in said
    assert "| pet_tumour | failed (3), the message stands above |" in said
    assert "| fusion | judged |" in said


def test_figures_are_compared_with_those_of_the_card() -> None:
    card = (stored_model.SHIPPED / "breastmnist" / "CARD.md").read_text(encoding="utf-8")
    (figure,) = re.findall(r"this ensemble \| (\S+ \S+) \|", card)
    compared = judging.beside_card("breastmnist", [f"AUC {figure}", "AUC 0.111 (0.100–0.122)"])
    assert compared == "1 of 2 figures stand in the card"
    assert judging.beside_card("breastmnist", ["nothing measured"]) == ""
    assert judging.beside_card("fusion", [f"AUC {figure}"]) == ""


@pytest.mark.parametrize("name", [*FILM_MODELS, "opacity_faster_rcnn", "multimodal_classifier"])
def test_on_its_own_set_a_model_is_not_judged_by_what_it_learnt(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.csv").write_text("file,patient,opacity,x\na.png,1,1,5\na.png,1,1,9\n")
    stored = stored_model.load(name)
    own = {**stored.facts["training"], "set": opacity_data.digest(tmp_path)}
    learnt = dataclasses.replace(stored, facts={**stored.facts, "training": own})
    monkeypatch.setattr(stored_model, "load", lambda *_: learnt)
    monkeypatch.setattr(trainables, "_beside", lambda data: [])
    monkeypatch.setattr(opacity, "cross_validated", lambda *_: "0.123 (0.100–0.200)")
    first, second = trainable(name).evaluate(name, tmp_path, None, None)
    assert "fitted to" in first
    figures = stored.facts["figures"]
    value = figures.get("auc", figures.get("average_precision"))
    said = "0.123" if name in trainables.ANEW else f"{value:.3f}"
    assert said in second


def test_a_set_is_known_by_its_readings_in_any_order(tmp_path: Path) -> None:
    head, one, two = "file,patient,opacity\n", "a.png,1,1\n", "b.png,2,0\n"
    digests = []
    for rows in (one + two, two + one, one):
        (tmp_path / "labels.csv").write_text(head + rows)
        digests.append(opacity_data.digest(tmp_path))
    assert digests[0] == digests[1] != digests[2]


def test_a_method_by_rules_is_judged_by_its_program(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert training.evaluate("pet_tumour", tmp_path, None) == 0
    assert "| case | contour mL |" in capfd.readouterr().out


def test_without_scikit_learn_training_says_which_extra_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(training.LearnersMissing, match=r"wetread\[train\]"):
        training.train("opacity_svm", tmp_path, tmp_path, epochs=None, stop=0, seed=None)
    with pytest.raises(training.LearnersMissing):
        training.evaluate("opacity_svm", tmp_path, None)


def test_what_a_model_cannot_do_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert training.train("opacity_svm", tmp_path, tmp_path, epochs=3, stop=0, seed=None) == 2
    assert training.train("breastmnist", tmp_path, tmp_path, epochs=3, stop=1, seed=None) == 2
    assert training.evaluate("lung_nodule", tmp_path, None) == 2
    said = capsys.readouterr().err
    assert "opacity_svm has no --epochs" in said
    assert "breastmnist has no --stop" in said
    assert "holds no CT series that is a volume" in said


def test_a_model_is_trained_judged_and_described(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    short = dataclasses.replace(medmnist.RECIPES["pneumoniamnist"], networks=1)
    monkeypatch.setitem(medmnist.RECIPES, "pneumoniamnist", short)
    monkeypatch.setattr(figures, "DRAWS", 50)
    rng = np.random.default_rng(0)
    parts = {"train": 64, "val": 20, "test": 24}
    arrays = {}
    for part, count in parts.items():
        arrays[f"{part}_images"] = rng.integers(0, 255, (count, 28, 28)).astype(np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    file = tmp_path / "given.npz"
    np.savez(file, **arrays)
    assert training.train("pneumoniamnist", file, tmp_path, epochs=1, stop=0, seed=1) == 0
    home = tmp_path / "pneumoniamnist"
    assert {path.name for path in home.iterdir()} == {
        "model.toml",
        "weights.safetensors",
        "CARD.md",
    }
    assert training.evaluate("pneumoniamnist", file, tmp_path) == 0
    said = capsys.readouterr().out
    assert "the official test part, 24 images" in said
    assert "AUC (95 % interval over images) 0." in said


def test_ct_series_below_a_folder_are_read_as_volumes(
    phantom: ChestPhantom, phantom_folder: Path
) -> None:
    (found,) = training.ct_volumes(phantom_folder)
    assert isinstance(found, FoundVolume)
    assert found.volume.shape == phantom.shape
    assert found.folder.is_dir()
