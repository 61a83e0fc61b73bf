"""The contrast phase on a body whose blood and liver are known, and on real series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.anatomy.trunk import Sampled, sample
from analyzers.contract import Classification
from analyzers.quality.contrast_phase import contrast_phase, judged
from analyzers.quality.quality import Quality, QualityParameters
from analyzers.testing import examples
from analyzers.testing.suite import stored_otherwise
from node.series.read import read_series

SHAPE, SPACING = (30, 150, 200), (5.0, 2.0, 2.0)


def trunk(aorta: float, liver: float, noise: float = 15.0) -> NDArray[np.int16]:
    """An abdomen in HU: fat with muscle wall, spine of cortex and marrow, aorta, liver, gut."""
    y, x = (np.arange(n) * 2.0 - n for n in SHAPE[1:])
    y, x = np.meshgrid(y, x, indexing="ij")
    plane = np.full(SHAPE[1:], -1000.0)
    plane[(x / 170) ** 2 + (y / 120) ** 2 <= 1] = -100
    wall = (x / 160) ** 2 + (y / 110) ** 2
    plane[(wall <= 1) & (wall > 0.85)] = 50
    vertebra = (x / 22) ** 2 + ((y - 55) / 18) ** 2
    plane[vertebra <= 1] = 500
    plane[vertebra <= 0.7] = 170
    plane[np.hypot(x, y - 82) < 14] = 450
    plane[np.hypot(x, y - 82) < 9] = 30
    plane[np.hypot(x - 15, y - 22) < 11] = aorta
    plane[((x + 80) / 55) ** 2 + ((y + 10) / 65) ** 2 <= 1] = liver
    plane[np.hypot(x - 70, y + 30) < 25] = 20
    noisy = plane + np.random.default_rng(2).normal(0, noise, SHAPE)
    out: NDArray[np.int16] = np.rint(noisy).astype(np.int16)
    return out


@pytest.mark.parametrize(
    ("aorta", "liver", "phase"),
    [
        (40, 55, "NONE"),
        (300, 65, "ARTERIAL"),
        (150, 110, "PORTAL"),
        (190, 115, "PORTAL"),
        (95, 90, "LATE"),
        (130, 60, "UNTOLD"),
    ],
)
def test_the_phase_follows_from_blood_and_liver_which_are_measured(
    aorta: float, liver: float, phase: str
) -> None:
    found = sample(trunk(aorta, liver), SPACING)
    assert found.aorta_hu == pytest.approx(aorta, abs=8)
    assert found.liver_hu == pytest.approx(liver, abs=4)
    assert judged(found).value == f"PHASE-{phase}"


def test_blood_alone_tells_only_the_extremes() -> None:
    told = [judged(Sampled(hu, None)).value for hu in (None, 45.0, 150.0, 350.0)]
    assert told == ["PHASE-UNTOLD", "PHASE-NONE", "PHASE-UNTOLD", "PHASE-ARTERIAL"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_storage_order_does_not_matter(order: tuple[int, int, int]) -> None:
    affine = np.diag((*SPACING, 1.0))[[2, 1, 0, 3]]
    of = examples.volume(trunk(150, 110), "CT", affine=affine)
    told = contrast_phase(stored_otherwise(of, order, (True, False, True)))
    assert told.answer.value == "PHASE-PORTAL"
    assert told.reasons[0].startswith("aorta 1")


@pytest.mark.parametrize(
    ("folder", "phase"),
    [
        ("ct_lidc_idri_0314", "NONE"),
        ("ct_crlm_1004", "PORTAL"),
        ("petctmr_STS_001/CT/image", "UNTOLD"),
    ],
)
def test_real_series(test_data: Path, folder: str, phase: str) -> None:
    volume = read_series(sorted((test_data / "studies" / folder).glob("*.dcm"))).volume
    assert volume is not None
    assert contrast_phase(volume).answer.value == f"PHASE-{phase}"


def test_the_quality_check_of_ct_tells_the_phase() -> None:
    found = Quality("cpu").analyze(examples.volume(trunk(150, 110), "CT"), QualityParameters())
    asked = [item.question.value for item in found.items if isinstance(item, Classification)]
    assert asked == ["QUALITY", "CONTRASTPHASE"]
