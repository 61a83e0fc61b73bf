"""How far numbers would go apart when the body is imaged again is said where it was measured."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from analyzers import codes, registry, repeatability, structures
from analyzers.contract import Findings, Measurement, Segmentation, Volume
from analyzers.repeatability import Repeatability, told
from benchmarks import repeatability as bench
from node.results.words import phrases

SIZE = Measurement(codes.VOLUME, 12.0, codes.MILLILITER)
KNOWN = Repeatability("lungs", "2", 3, 5, {"Volume": "1.2 %", "Mean": "4 HU"})


@pytest.fixture(autouse=True)
def one_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeatability, "table", lambda: {"lungs": KNOWN})


def test_the_report_says_it_of_the_numbers_that_it_gives() -> None:
    (said,) = told(Findings((SIZE,)), "lungs", "2").remarks
    assert said.endswith("stay below: Volume 1.2 % (3 series, 5 repeats each).")
    assert "Mean" not in said
    german = phrases.shown(said, "de")
    assert german != said
    assert "3 Serien, je 5 Wiederholungen" in german


@pytest.mark.parametrize(
    ("name", "version", "items"),
    [("lungs", "3", (SIZE,)), ("airways", "2", (SIZE,)), ("lungs", "2", ())],
)
def test_nothing_is_said_of_what_was_not_measured(
    name: str, version: str, items: tuple[Measurement, ...]
) -> None:
    assert told(Findings(items), name, version).remarks == ()


def test_the_table_names_analyzers_that_there_are_with_numbers_that_they_give() -> None:
    shipped = resources.files("analyzers").joinpath(repeatability.FILE).read_text("utf-8")
    for name, row in repeatability.read(shipped).items():
        assert registry.load(name).name == row.analyzer
        assert row.series > 0
        assert row.repeats > 1
        assert row.below


def noisy(sigma: float) -> Volume:
    values = np.random.default_rng(1).normal(100, sigma, (4, 64, 64))
    stored = np.round(values).astype(np.int16)
    return Volume(stored, np.eye(4), "CT", np.ones(4), np.zeros(4))


def test_an_image_imaged_again_has_its_noise_and_its_mean() -> None:
    volume = noisy(20.0)
    assert bench.noise_of(volume.values(), None) == pytest.approx(20.0, rel=0.05)
    anew = bench.again(volume, np.random.default_rng(2)).values()
    assert anew.mean() == pytest.approx(100.0, abs=1.5)
    assert anew.std() > 20.0


def test_a_coefficient_is_in_percent_where_the_quantity_has_a_true_zero() -> None:
    rows = {("l", "Volume", "mL"): [[98.0, 100.0, 102.0]], ("l", "Mean", "[hnsf'U]"): [[1.0, 2, 3]]}
    assert bench.coefficients(rows) == {"Mean": "2.8 HU", "Volume": "5.5 %"}


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Volume 1.2 %", "Volumen 1,2 %"),
        (
            "Volume 1.2 %, Volume of both lungs on CT 0.4 %",
            "Volumen 1,2 %, Volumen beider Lungen im CT 0,4 %",
        ),
        ("Attenuation Coefficient (mean) 4 HU", "Dichte (Mittelwert) 4 HU"),
        ("Volume 3 points", "Volumen 3 Prozentpunkte"),
        ("SUVbw (peak value within roi) 12 %", "SUVbw (SUVpeak) 12 %"),
    ],
)
def test_numbers_with_names_are_said_in_german(english: str, german: str) -> None:
    assert phrases.shown(english, "de") == german


def focus(place: int, volume_ml: float) -> bench.Thing:
    size = replace(SIZE, value=volume_ml)
    return bench.Thing("focus", np.array([0.0, 0.0, place]), (("Volume", size),))


def test_marks_of_one_name_are_told_apart_by_their_place() -> None:
    found = [
        [focus(0, 10.0), focus(50, 20.0), focus(100, 1.0)],
        [focus(51, 22.0), focus(2, 11.0), focus(130, 9.0)],
    ]
    kept = {row[0].name: [one.numbers[0][1].value for one in row] for row in bench.followed(found)}
    assert kept == {"focus 1": [10.0, 11.0], "focus 2": [20.0, 22.0]}


def test_a_number_of_the_whole_that_its_parts_have_too_is_their_total(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {"Volume": "9 %", "Volume (total)": "2 %"}
    monkeypatch.setattr(
        repeatability, "table", lambda: {"lungs": Repeatability("lungs", "2", 1, 5, known)}
    )
    labels = np.ones((1, 1, 1), np.uint8)
    part = structures.of("left_lung").segment(1, (SIZE,))
    (said,) = told(Findings((Segmentation(labels, (part,)), SIZE)), "lungs", "2").remarks
    assert "Volume 9 %, Volume (total) 2 %" in said
    assert "Volumen 9 %, Volumen (Summe) 2 %" in phrases.shown(said, "de")


def test_what_was_measured_is_kept_beside_that_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "PLACE", tmp_path / "kept.toml")
    bench.keep("mean_filter", 2, 5, {"Volume": "1 %"})
    bench.keep("gaussian_filter", 3, 5, {"Mean": "2 HU"})
    kept = repeatability.read(bench.PLACE.read_text())
    assert kept["mean_filter"].below == {"Volume": "1 %"}
    assert kept["gaussian_filter"].series == 3
