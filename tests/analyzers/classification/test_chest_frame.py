"""Radiographs are laid on a mean chest, and charts come back to where they were made."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.radiograph.chest_frame import (
    SIZE,
    mean_chest,
    register,
    standardised,
    unsquared,
)
from analyzers.radiograph.opacity_features import KINDS, features, traits, zone_of

Image = NDArray[np.float32]


def chest(across: float = 1.0, down: float = 1.0, shift: int = 0, seed: int = 0) -> Image:
    """A drawn chest of 300×300 pixels: two dark lungs, a bright middle, arms and noise."""
    row, column = np.mgrid[:300, :300].astype(np.float32)
    x, y = (column - 150) / across, (row - 150 - shift) / down
    image = np.full((300, 300), 40, np.float32)
    image[(np.abs(x) < 125)] = 150
    image[(x / 20) ** 2 < 1] = 230
    for middle in (-60, 60):
        image[((x - middle) / 38) ** 2 + ((y + 5) / 85) ** 2 < 1] = 60
    image[y > 70] = 220
    noise = np.random.default_rng(seed).normal(0, 4, image.shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 3) + noise, 0, 255).astype(np.float32)


@pytest.fixture(scope="module")
def mean() -> Image:
    drawn = [chest(0.9 + 0.05 * k, 1.1 - 0.05 * k, seed=k) for k in range(5)]
    return mean_chest([standardised(image) for image in drawn])


def test_chests_of_other_sizes_and_places_come_to_lie_on_each_other(mean: Image) -> None:
    plain, other = standardised(chest()), standardised(chest(0.8, 0.85, 20, seed=9))
    laid = [register(image, mean).lay(image) for image in (plain, other)]
    before = np.corrcoef(plain.ravel(), other.ravel())[0, 1]
    after = np.corrcoef(laid[0].ravel(), laid[1].ravel())[0, 1]
    assert before < 0.8
    assert after > 0.93


def test_a_chart_in_the_frame_comes_back_to_its_place_on_the_radiograph(mean: Image) -> None:
    values = np.pad(chest(0.85, 0.9, 10), ((0, 0), (20, 20)), mode="edge")
    spot = np.zeros_like(values)
    spot[180:200, 90:110] = 1
    frame = register(standardised(values), mean)
    high = standardised(spot)
    back = unsquared(frame.lift(frame.lay(high)), (values.shape[0], values.shape[1]))
    assert back.shape == values.shape
    found = np.argwhere(back > 0.5).mean(0)
    np.testing.assert_allclose(found, (189.5, 99.5), atol=3)


def test_noise_agrees_with_no_chest(mean: Image) -> None:
    noise = np.random.default_rng(5).random((300, 300)).astype(np.float32)
    assert register(standardised(noise), mean).agreement < 0.55
    assert register(standardised(chest(seed=7)), mean).agreement > 0.9


def test_brightness_and_contrast_do_not_change_the_standardised_image() -> None:
    image = chest()
    np.testing.assert_allclose(standardised(image), standardised(image * 37 + 1000), atol=1e-3)
    assert standardised(image).shape == (SIZE, SIZE)


def test_a_few_pixels_are_no_radiograph() -> None:
    with pytest.raises(ValueError, match="too few"):
        standardised(np.ones((30, 200), np.float32))


def test_every_feature_has_its_kind_and_zone() -> None:
    framed = standardised(chest())
    row = features(framed)
    named = traits()
    assert len(row) == len(named)
    assert np.isfinite(row).all()
    for kind in KINDS:
        assert len(features(framed, (kind,))) == sum(trait.kind == kind for trait in named)


def test_the_left_of_the_image_is_the_right_of_the_patient() -> None:
    assert zone_of(0.1, 0.2) == "right upper zone"
    assert zone_of(0.9, 0.8) == "left lower zone"
    assert zone_of(0.5, 0.5) == "middle mediastinum"


def test_a_dense_place_changes_the_density_of_its_own_zone() -> None:
    plain = standardised(chest())
    dense = plain.copy()
    dense[150:190, 165:205] = 1.0
    change = np.abs(features(dense, ("density",)) - features(plain, ("density",)))
    by_zone: dict[str, float] = {}
    for trait, value in zip(traits(("density",)), change, strict=True):
        by_zone[trait.zone] = by_zone.get(trait.zone, 0.0) + float(value)
    assert max(by_zone, key=lambda zone: by_zone[zone]).startswith("left")
