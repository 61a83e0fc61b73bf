"""Stored learners answer as scikit-learn's, and say what weighed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_classification

from analyzers.classification.training.opacity_classic import (
    forest,
    forest_arrays,
    permutation_importance,
    support_vectors,
    svm,
)
from analyzers.models import stored_model
from analyzers.models.learners import Calibration, Forest, Linear, SupportVectors
from analyzers.models.training.figures import (
    auc,
    auc_gain,
    auc_interval,
    best_threshold,
    calibrate,
    cautious_calibration,
    operating_point,
    reliability,
)
from analyzers.radiograph.training.opacity_linear import linear, stored_linear

Table = tuple[NDArray[np.float64], NDArray[np.int64]]


@pytest.fixture(scope="module")
def table() -> Table:
    x, y = make_classification(
        160, 12, n_informative=4, n_redundant=0, shuffle=False, random_state=3
    )
    return x, y


def test_a_stored_support_vector_machine_decides_as_scikit_learn(table: Table) -> None:
    x, y = table
    fitted = svm(1.0).fit(x[:100], y[:100])
    stored = SupportVectors.of(support_vectors(fitted).arrays())
    np.testing.assert_allclose(stored.decide(x[100:]), fitted.decision_function(x[100:]), atol=1e-4)


def test_a_stored_linear_learner_decides_as_its_pipeline(table: Table) -> None:
    x, y = table
    fitted = linear().fit(x[:100], y[:100])
    stored = Linear.of(stored_linear(fitted).arrays())
    np.testing.assert_allclose(stored.decide(x[100:]), fitted.decision_function(x[100:]))
    added = stored.contributions(x[100]).sum() + stored.bias
    assert added == pytest.approx(fitted.decision_function(x[100:101])[0])


def test_a_stored_forest_decides_as_scikit_learn(table: Table) -> None:
    x, y = table
    fitted = forest(3).set_params(n_estimators=25).fit(x[:100], y[:100])
    stored = Forest.of(forest_arrays(fitted).arrays())
    np.testing.assert_allclose(
        stored.decide(x[100:]), fitted.predict_proba(x[100:])[:, 1], atol=1e-12
    )


def test_contributions_and_root_add_up_to_the_answer(table: Table) -> None:
    x, y = table
    stored = forest_arrays(forest(3).set_params(n_estimators=25).fit(x, y))
    for row in x[:20]:
        root, added = stored.contributions(row)
        assert root + added.sum() == pytest.approx(stored.decide(row[None])[0])
        assert stored.spread(row) >= 0


def test_features_that_tell_weigh_more_than_those_that_do_not(table: Table) -> None:
    x, y = table
    stored = forest_arrays(forest(3).set_params(n_estimators=50).fit(x, y))
    groups = np.array(["telling"] * 4 + ["noise"] * 8)
    lost = permutation_importance(stored.decide, x, y, groups)
    assert lost["telling"] > lost["noise"] + 0.1
    added = np.abs([stored.contributions(row)[1] for row in x]).mean(0)
    assert added[:4].mean() > 2 * added[4:].mean()


def test_calibrated_probabilities_are_the_shares_that_occur() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(size=4000)
    truth = (rng.random(4000) < 1 / (1 + np.exp(-(2 * score - 1)))).astype(np.int64)
    calibration = calibrate(truth, score)
    assert calibration.slope == pytest.approx(2, abs=0.25)
    assert calibration.offset == pytest.approx(-1, abs=0.25)
    assert Calibration(1, 0).probability(np.array([0.0]))[0] == 0.5
    assert Calibration(1, 0).probability(np.array([-1e9]))[0] >= 0


def told_apart(images: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Truth and a score that is the log odds of it."""
    rng = np.random.default_rng(seed)
    score = rng.normal(-0.5, 1.2, images)
    return (rng.random(images) < 1 / (1 + np.exp(-score))).astype(np.int64), score


def test_few_patients_make_no_sure_probabilities() -> None:
    truth, score = told_apart(200, 0)
    plain = calibrate(truth, score)
    careful = cautious_calibration(truth, score, np.arange(200))
    assert 0.5 * plain.slope < careful.slope < 0.95 * plain.slope
    assert careful.probability(score).mean() == pytest.approx(truth.mean(), abs=1e-6)
    truth, score = told_apart(4000, 0)
    many = cautious_calibration(truth, score, np.arange(4000))
    assert many.slope > 0.9 * calibrate(truth, score).slope


def test_fifths_by_probability_hold_the_shares_that_occur() -> None:
    truth, score = told_apart(1500, 1)
    bins = reliability(truth, score, np.arange(1500) // 3)
    assert sum(one.images for one in bins) == 1500
    assert [one.said for one in bins] == sorted(one.said for one in bins)
    assert all(one.low <= one.true <= one.high for one in bins)
    assert np.allclose([one.said for one in bins], [one.true for one in bins], atol=0.07)


def test_the_threshold_parts_what_can_be_parted() -> None:
    truth = np.array([0, 0, 1, 1])
    probability = np.array([0.1, 0.2, 0.8, 0.9])
    assert best_threshold(truth, probability) == pytest.approx(0.5)


def test_a_cross_fitted_operating_point_does_not_flatter_noise() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 400)
    point = operating_point(truth, rng.random(400), np.arange(400))
    assert point.sensitivity + point.specificity == pytest.approx(1.0, abs=0.12)


def test_repeated_images_of_few_patients_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    truth = np.repeat(rng.integers(0, 2, 30), 10)
    score = truth * 0.8 + np.repeat(rng.normal(size=30), 10)
    alone = auc_interval(truth, score, np.arange(300))
    by_patient = auc_interval(truth, score, np.repeat(np.arange(30), 10))
    assert by_patient.high - by_patient.low > 2 * (alone.high - alone.low)
    assert alone.low < alone.value < alone.high


def test_a_gain_on_several_scores_is_that_on_the_mean_of_their_figures() -> None:
    rng = np.random.default_rng(5)
    truth = np.arange(60) % 2
    single = truth[:, None] + rng.normal(0, 1.5, (60, 3))
    joined, person = single.mean(1), np.arange(60)
    gain = auc_gain(truth, joined, single, person)
    usual = np.mean([auc(truth, one) for one in single.T])
    assert gain.value == pytest.approx(auc(truth, joined) - usual)
    assert gain.low < gain.value < gain.high
    alone = auc_gain(truth, joined, single[:, 0], person)
    assert alone.value == pytest.approx(auc(truth, joined) - auc(truth, single[:, 0]))


def test_a_model_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    facts: dict[str, dict[str, stored_model.Plain]] = {
        "model": {"name": 'a "quoted" one', "count": 3, "range": [0.5, 1.0]}
    }
    stored_model.save("demo", {"a": np.arange(6.0).reshape(2, 3)}, facts, tmp_path)
    stored = stored_model.load("demo", tmp_path)
    np.testing.assert_array_equal(stored.arrays["a"], np.arange(6.0).reshape(2, 3))
    assert stored.facts["model"] == facts["model"]
    assert stored.number("model", "count") == 3
    with pytest.raises(stored_model.BrokenModel, match=r"model\.toml has no number"):
        stored.number("model", "name")


def test_altered_weights_are_not_loaded(tmp_path: Path) -> None:
    home = stored_model.save("demo", {"a": np.zeros(3)}, {}, tmp_path)
    stored_model.save("other", {"a": np.ones(3)}, {}, tmp_path)
    (home / "weights.safetensors").write_bytes(
        (tmp_path / "other" / "weights.safetensors").read_bytes()
    )
    with pytest.raises(stored_model.BrokenModel, match="not those"):
        stored_model.load("demo", tmp_path)
    with pytest.raises(stored_model.BrokenModel, match="cannot be read"):
        stored_model.load("absent", tmp_path)
