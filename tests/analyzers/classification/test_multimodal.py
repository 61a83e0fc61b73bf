"""The multimodal classifier joins what is there, does without what is not, and says which."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from analyzers.classification.multimodal import MultimodalClassifier
from analyzers.classification.multimodal_input import VALUES, header_values, inputs
from analyzers.classification.multimodal_network import Inputs
from analyzers.classification.training import (
    multimodal,
    opacity,
    opacity_baselines,
    opacity_ensemble,
)
from analyzers.classification.training.multimodal_data import others
from analyzers.classification.training.multimodal_fit import fit, hidden, logits
from analyzers.contract import (
    Classification,
    Findings,
    NoParameters,
    NotApplicable,
    Subject,
    Volume,
)
from analyzers.models import stored_model
from analyzers.models.training import figures
from analyzers.models.training.figures import auc
from analyzers.radiograph import chest_frame
from analyzers.testing.examples import volume
from analyzers.testing.suite import AnalyzerSuite

NAME = "multimodal_classifier"


def radiograph(seed: int = 0, spot: float = 0.0) -> NDArray[np.uint16]:
    """The mean chest of the training images with noise, and perhaps a spot in a lung."""
    mean = np.asarray(stored_model.load(NAME).arrays["mean_chest"], np.float32)
    wide = cv2.resize(mean, (256, 256), interpolation=cv2.INTER_CUBIC)
    wide[110:150, 60:100] += spot
    noise = np.random.default_rng(seed).normal(0, 0.05, wide.shape)
    return np.clip(2000 + 500 * (wide + noise), 0, 4095).astype(np.uint16)[None]


def study(
    first: NDArray[Any], second: NDArray[Any] | None = None, view: str = "", **subject: Any
) -> Volume:
    of = volume(first, "DX")
    assert of.facts is not None
    beside = {} if second is None else {"second": volume(second, "DX")}
    facts = dataclasses.replace(of.facts, view=view)
    return dataclasses.replace(of, companions=beside, facts=facts, subject=Subject(**subject))


@pytest.fixture(scope="module")
def analyzer() -> MultimodalClassifier:
    return MultimodalClassifier("cpu")


def answer(analyzer: MultimodalClassifier, of: Volume) -> tuple[Classification, Findings]:
    findings = analyzer.analyze(of, NoParameters())
    first = findings.items[0]
    assert isinstance(first, Classification)
    return first, findings


class TestContract(AnalyzerSuite):
    analyzers = (NAME,)

    def example(self, name: str) -> Volume:
        return study(radiograph(), radiograph(1), "AP", age_years=50.0, sex="M")


def test_what_is_missing_is_said_and_what_is_there_is_weighed(
    analyzer: MultimodalClassifier,
) -> None:
    said, findings = answer(analyzer, study(radiograph()))
    assert [reason.split(":")[0] for reason in said.reasons] == ["the radiograph"]
    assert findings.remarks == (
        "There was no second radiograph.",
        "Not given in the header: age, sex, weight, height, view position.",
    )
    said, findings = answer(analyzer, study(radiograph(), radiograph(1), "AP"))
    named = {reason.split(":")[0] for reason in said.reasons}
    assert named == {"the radiograph", "the second radiograph", "view position"}
    assert findings.remarks == ("Not given in the header: age, sex, weight, height.",)


def test_values_never_seen_in_training_change_nothing_and_are_named(
    analyzer: MultimodalClassifier,
) -> None:
    without, _ = answer(analyzer, study(radiograph(), view="PA"))
    given = study(radiograph(), view="PA", age_years=90.0, sex="F", weight_kg=120.0)
    said, findings = answer(analyzer, given)
    assert said.probability == pytest.approx(without.probability, abs=1e-6)
    assert findings.remarks[-1].endswith(
        "without weight (never seen in training): age, sex, weight."
    )
    front, _ = answer(analyzer, study(radiograph(), view="AP"))
    assert front.probability != pytest.approx(without.probability, abs=1e-4)


def test_an_image_that_is_no_frontal_chest_is_left_out(analyzer: MultimodalClassifier) -> None:
    noise = np.random.default_rng(0).integers(0, 4000, (1, 300, 300)).astype(np.uint16)
    alone, _ = answer(analyzer, study(radiograph()))
    said, findings = answer(analyzer, study(radiograph(), noise))
    assert said.probability == alone.probability
    assert findings.remarks[0].startswith(
        "The second radiograph was not used: The radiograph is too"
    )
    said, findings = answer(analyzer, study(noise, radiograph()))
    assert said.probability == alone.probability
    assert findings.remarks[0].startswith(
        "Judged on the second radiograph alone: The radiograph is"
    )
    with pytest.raises(NotApplicable, match="too noisy"):
        answer(analyzer, study(noise, noise))


# --- on made-up cases, where both images and the header tell something ----------------------------


def made_up(count: int, seed: int) -> tuple[Inputs, NDArray[np.int64]]:
    """Each image tells a third, the age another; a fifth of second images and ages is missing."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(count, 2, 5)).astype(np.float32)
    age = rng.normal(size=count)
    truth = (images[:, 0, 0] + images[:, 1, 1] + age > 0).astype(np.int64)
    pairs = [(one[0], one[1] if rng.random() > 0.2 else None) for one in images]
    values = [{"age_years": 50 + 20 * v} if rng.random() > 0.2 else {} for v in age]
    return inputs(pairs, values), truth


def test_all_inputs_are_joined_and_any_may_be_missing() -> None:
    network = fit(*made_up(400, 0), seed=1, steps=200, penalty=1e-3)
    cases, truth = made_up(400, 2)
    reached = {
        name: auc(truth, logits([network], multimodal.left(cases, kept)))
        for name, kept in multimodal.SHOWN.items()
    }
    assert reached["all that is there"] > 0.88
    assert reached["all that is there"] > reached["without the second radiograph"] + 0.05
    assert reached["without the second radiograph"] > reached["the radiograph alone"] + 0.05
    assert reached["the radiograph alone"] > 0.65
    assert reached["the header alone"] > 0.65


def test_inputs_may_change_each_others_meaning() -> None:
    """The image speaks for the finding in men and against it in women."""
    rng = np.random.default_rng(3)
    images, male = rng.normal(size=(600, 4)).astype(np.float32), rng.choice([-1.0, 1.0], 600)
    truth = (images[:, 0] * male > 0).astype(np.int64)
    cases = inputs([(one, None) for one in images], [{"male": float(sex)} for sex in male])
    learnt, fresh = torch.arange(400), torch.arange(400, 600)
    network = fit(cases.only(learnt), truth[:400], seed=4, steps=300, penalty=1e-3)
    assert auc(truth[400:], logits([network], cases.only(fresh))) > 0.9


def test_inputs_are_hidden_but_no_case_is_left_blind() -> None:
    torch.manual_seed(0)
    cases, _ = made_up(300, 5)
    left = hidden(cases)
    assert left.seen.any(1).all()
    assert left.seen.sum() < cases.seen.sum()
    assert left.known.sum() < cases.known.sum()
    assert (left.images[~left.seen] == 0).all()
    assert (left.values[~left.known] == 0).all()


def test_header_values_that_are_unknown_are_not_there() -> None:
    assert header_values(Subject(sex="O"), "LL") == {}
    told = header_values(Subject(age_years=60.0, sex="F"), "PA")
    assert told == {"age_years": 60.0, "male": -1.0, "front": -1.0}
    case = inputs([(np.zeros(3, np.float32), None)], [told])
    assert case.known[0].tolist() == [name in told for name in VALUES]
    assert case.values[0, 0] == pytest.approx(0.5)


def test_the_other_image_of_the_person_is_the_nearest_in_number() -> None:
    names = ["1_000", "1_003", "1_004", "2_001", "3_001", "3_009"]
    patient = np.array([name[0] for name in names])
    assert others(names, patient).tolist() == [1, 2, 1, -1, 5, 4]


# --- training -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty radiographs of fifteen persons in the form of the opacity set; ages are given."""
    home = tmp_path_factory.mktemp("opacity")
    (home / "images").mkdir()
    names = ("file", "patient", "opacity", "x", "y", "width", "height", "view", "age_years")
    with (home / "labels.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, names)
        rows.writeheader()
        for number in range(20):
            truth, person = int(number % 15 < 6), f"{number % 15:03d}"
            name = f"{person}_{number // 15:03d}.png"
            grey = np.clip((radiograph(number, spot=truth)[0] - 1900.0) / 4, 0, 255)
            cv2.imwrite(str(home / "images" / name), grey.astype(np.uint8))
            box = {"x": 60, "y": 110, "width": 40, "height": 40} if truth else {}
            view = "AP" if number % 3 else "PA"
            rows.writerow(
                {"file": name, "patient": person, "opacity": truth, "view": view, **box}
                | {"age_years": 40 + number}
            )
    return home


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chest_frame, "SCALES", (1.0,))
    monkeypatch.setattr(chest_frame, "SHIFTS", (0,))
    monkeypatch.setattr(figures, "DRAWS", 50)
    monkeypatch.setattr(opacity_baselines, "TREES", 5)
    monkeypatch.setattr(opacity_ensemble, "TREES", 5)


@pytest.mark.usefixtures("quick")
def test_training_stores_a_model_that_answers_and_its_card(folder: Path, tmp_path: Path) -> None:
    home = multimodal.train(folder, tmp_path, steps=5)
    text = (home / "CARD.md").read_text(encoding="utf-8")
    assert "for 10 of the images" in text
    assert "age of 20, view position of 20 images. No image came with sex, weight, height" in text
    assert 0 <= multimodal.evaluate(folder, tmp_path).value <= 1
    stored = MultimodalClassifier("cpu", stored_model.load(NAME, tmp_path))
    assert stored.learnt == {"age_years", "front"}
    answer(stored, study(radiograph(), age_years=60.0))


@pytest.mark.usefixtures("quick")
@pytest.mark.timeout(900)  # as in the detector's test
def test_the_opacity_ensemble_is_trained_and_stored_with_its_card(
    folder: Path, tmp_path: Path
) -> None:
    heard: list[int] = []
    home = opacity.train(
        "opacity_ensemble", folder, tmp_path, tell=lambda done, total, loss: heard.append(done)
    )
    assert heard == [1, 2, 3, 4, 5, 6]
    assert "its member 'places' alone" in (home / "CARD.md").read_text(encoding="utf-8")
    assert opacity.evaluate("opacity_ensemble", folder, tmp_path).value > 0.9
