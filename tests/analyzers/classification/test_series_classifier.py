"""What a series shows is told from pixels and geometry, with tags removed or wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.classification import concepts
from analyzers.classification.series_classifier import NOT_JUDGED, SeriesClassifier
from analyzers.contract import (
    Classification,
    Code,
    NoParameters,
    NotApplicable,
    SeriesFacts,
    Volume,
)
from analyzers.testing.examples import volume as example
from analyzers.testing.suite import AnalyzerSuite
from node.series.read import read_series


class TestSeriesClassifier(AnalyzerSuite):
    analyzers = ("series_classifier",)
    storage_orders = False


def answers(volume: Volume) -> dict[Code, list[str]]:
    found: dict[Code, list[str]] = {}
    for item in SeriesClassifier("cpu").analyze(volume, NoParameters()).items:
        assert isinstance(item, Classification)
        found.setdefault(item.question, []).append(item.answer.meaning)
    return found


def without_tags(volume: Volume) -> Volume:
    return replace(volume, facts=None)


def ellipse(
    rows_mm: float, columns_mm: float, side: int = 128, mm: float = 3.5
) -> NDArray[np.bool_]:
    row, column = np.mgrid[:side, :side] - (side - 1) / 2
    inside: NDArray[np.bool_] = (row * mm / rows_mm) ** 2 + (column * mm / columns_mm) ** 2 < 1
    return inside


def ct(plane: NDArray[np.float64], slices: int = 12, apart_mm: float = 5.0) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = np.diag([apart_mm, 3.5, 3.5])[::-1]
    made = example(np.repeat(plane[None], slices, 0).astype(np.int16), "CT", affine=affine)
    return without_tags(made)


def trunk() -> NDArray[np.float64]:
    return np.where(ellipse(110, 160), 50.0, -1000.0)


def test_lungs_make_a_chest_and_their_absence_an_abdomen() -> None:
    chest = trunk()
    chest[ellipse(60, 110)] = -850
    assert answers(ct(chest))[concepts.BODY_PART] == ["Chest"]
    assert answers(ct(trunk()))[concepts.BODY_PART] == ["Abdomen and Pelvis"]


def test_a_narrow_bony_section_is_a_head_and_a_narrow_soft_one_a_limb() -> None:
    head = np.where(ellipse(95, 75), 900.0, -1000.0)
    head[ellipse(83, 63)] = 35
    assert answers(ct(head))[concepts.BODY_PART] == ["Head"]
    limb = np.where(ellipse(60, 60), 50.0, -1000.0)
    assert answers(ct(limb))[concepts.BODY_PART] == ["Extremity"]


def test_a_wide_uniform_bright_structure_is_contrast_agent() -> None:
    enhanced = trunk()
    enhanced[ellipse(45, 45)] = 250
    assert answers(ct(enhanced))[concepts.CONTRAST_AGENT] == ["Yes"]
    assert answers(ct(trunk()))[concepts.CONTRAST_AGENT] == ["No"]


def test_a_wrong_tag_is_named() -> None:
    said = SeriesFacts("CT", 12, 12, body_part="HEAD")
    findings = SeriesClassifier("cpu").analyze(replace(ct(trunk()), facts=said), NoParameters())
    assert findings.remarks == ("The header says head, the slices look like abdomen or pelvis.",)


def test_few_slices_far_apart_are_a_localizer() -> None:
    assert answers(ct(trunk(), slices=3, apart_mm=20))[concepts.IS_LOCALIZER] == ["Yes"]
    assert answers(ct(trunk(), slices=3, apart_mm=1))[concepts.IS_LOCALIZER] == ["No"]
    assert concepts.IS_LOCALIZER not in answers(ct(trunk(), slices=1))


@pytest.mark.parametrize(("axis", "plane"), [(0, "Sagittal"), (1, "Coronal"), (2, "Axial")])
def test_the_plane_follows_from_the_affine(axis: int, plane: str) -> None:
    order = [axis, *(other for other in (2, 1, 0) if other != axis)]
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order]
    made = example(np.ones((8, 16, 16), np.int16), "MR", affine=affine)
    assert answers(made)[concepts.IMAGE_PLANE] == [plane]


def test_a_radiograph_is_no_series_of_slices() -> None:
    with pytest.raises(NotApplicable, match="no slices"):
        answers(example(np.ones((1, 80, 80), np.uint16), "DX"))


def test_real_ct_is_told_with_its_tags_removed(test_data: Path) -> None:
    expected = {
        "ct_lidc_idri_0314": "Chest",
        "ct_crlm_1004": "Abdomen and Pelvis",
        "petctmr_STS_002/CT": "Extremity",
    }
    for name, part in expected.items():
        folder = test_data / "studies" / name.partition("/")[0]
        paths = [path for path in sorted(folder.rglob("*.dcm")) if _is_ct(path)]
        found = answers(without_tags(read_series(paths).volume))
        assert found[concepts.BODY_PART][0] == part, name
        assert found[concepts.IMAGE_PLANE] == ["Axial"]
        assert found[concepts.IS_LOCALIZER] == ["No"]


def test_real_head_slices_look_like_a_head(test_data: Path) -> None:
    """The series itself is refused for its tilted gantry; its slices are judged one by one."""
    pydicom = pytest.importorskip("pydicom")
    folder = test_data / "studies" / "ct_head_gantrytilt_ge"
    sets = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    pixels = np.stack([one.pixel_array.astype(np.int16) for one in sets])
    spacing = float(sets[0].PixelSpacing[0])
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, :3] = np.diag([5.0, spacing, spacing])[::-1]
    made = example(pixels, "CT", affine=affine, intercept=float(sets[0].RescaleIntercept))
    assert answers(without_tags(made))[concepts.BODY_PART][0] == "Head"


def _is_ct(path: Path) -> bool:
    import pydicom

    return bool(pydicom.dcmread(path, specific_tags=["Modality"]).Modality == "CT")


def test_the_foot_of_a_lung_is_chest_and_gas_in_bowel_is_abdomen() -> None:
    """Lung is blood and air mixed, gas in bowel is air alone."""
    base = np.where(ellipse(30, 45), -800.0, trunk())
    assert answers(ct(base))[concepts.BODY_PART] == ["Chest"]
    bowel = np.where(ellipse(30, 45), -1000.0, trunk())
    assert answers(ct(bowel))[concepts.BODY_PART] == ["Abdomen and Pelvis"]


def test_the_narrow_chest_of_a_child_is_no_limb() -> None:
    child = np.where(ellipse(40, 60), -800.0, np.where(ellipse(70, 90), 50.0, -1000.0))
    assert answers(ct(child))[concepts.BODY_PART] == ["Chest"]


def test_a_body_part_that_is_none_or_contradicts_the_slices_is_named() -> None:
    for part, said in (("XX", "names no known region"), ("RIBCAGE", "The header says chest")):
        facts = SeriesFacts("CT", 12, 12, body_part=part)
        findings = SeriesClassifier("cpu").analyze(
            replace(ct(trunk()), facts=facts), NoParameters()
        )
        assert said in findings.remarks[0]
        assert "XX" not in findings.remarks[0]


# --- PET and MR -----------------------------------------------------------------------------------


def boxed(values: NDArray[np.float64], modality: str, mm: float) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = np.diag([mm, mm, mm])[::-1]
    made = example(values.astype(np.int16), modality, affine=affine)
    return replace(without_tags(made), suv_factor=0.01 if modality == "PT" else None)


def ball(
    shape: tuple[int, int, int], middle: tuple[float, float, float], radii: tuple[float, ...]
) -> NDArray[np.bool_]:
    away = [(np.arange(n) - m) / r for n, m, r in zip(shape, middle, radii, strict=True)]
    z, y, x = np.ix_(*away)
    return np.asarray(z**2 + y**2 + x**2 < 1)


def whole_pet() -> NDArray[np.float64]:
    """A trunk, a neck and a head that a brain fills, in voxels of 8 mm, uptake in 0.01 SUV."""
    shape = (110, 40, 60)
    trunk = ball((1, 40, 60), (0, 20, 30), (1, 13, 20)).repeat(85, axis=0)
    neck = ball((1, 40, 60), (0, 20, 30), (1, 6, 6)).repeat(110, axis=0)
    values = np.zeros(shape)
    values[:85][trunk] = 100
    values[:100][neck[:100]] = 100
    values[ball(shape, (97, 20, 30), (12, 12, 10))] = 150
    values[ball(shape, (98, 20, 30), (8, 9, 8))] = 900
    return values


def test_a_pet_from_skull_to_thigh_is_a_whole_body_and_its_head_alone_a_head() -> None:
    whole = boxed(whole_pet(), "PT", 8.0)
    assert answers(whole)[concepts.BODY_PART] == ["Entire body"]
    head = boxed(whole_pet()[87:], "PT", 8.0)
    assert answers(head)[concepts.BODY_PART] == ["Head"]
    trunk = boxed(whole_pet()[:80], "PT", 8.0)
    assert answers(trunk)[concepts.BODY_PART] == ["Chest", "Abdomen and Pelvis"]


def test_a_pet_without_suv_or_of_a_part_that_nothing_tells_is_not_known() -> None:
    whole = boxed(whole_pet(), "PT", 8.0)
    assert concepts.BODY_PART not in answers(replace(whole, suv_factor=None))
    assert concepts.BODY_PART not in answers(boxed(whole_pet()[20:50], "PT", 8.0))


def test_a_dome_of_its_size_is_a_head_on_mr_and_a_tube_is_none() -> None:
    shape = (60, 64, 64)
    head = np.where(ball(shape, (25, 32, 32), (28, 24, 18)), 400.0, 5.0)
    assert answers(boxed(head, "MR", 4.0))[concepts.BODY_PART] == ["Head"]
    tube = np.broadcast_to(head[25], shape)
    assert concepts.BODY_PART not in answers(boxed(tube, "MR", 4.0))


def test_an_mr_as_wide_as_a_trunk_is_an_abdomen_and_with_dark_lungs_not_known() -> None:
    trunk = np.where(ellipse(120, 180), 300.0, 4.0)
    wide = np.repeat(trunk[None], 20, 0)
    assert answers(boxed(wide, "MR", 3.5))[concepts.BODY_PART] == ["Abdomen and Pelvis"]
    wide[:, ellipse(70, 120)] = 4
    assert concepts.BODY_PART not in answers(boxed(wide, "MR", 3.5))


def test_a_header_that_contradicts_a_pet_or_mr_is_named_and_silence_is_said() -> None:
    whole = boxed(whole_pet(), "PT", 8.0)

    def remarks(volume: Volume, part: str) -> tuple[str, ...]:
        said = replace(volume, facts=SeriesFacts(volume.modality, 12, 12, body_part=part))
        return SeriesClassifier("cpu").analyze(said, NoParameters()).remarks

    assert remarks(whole, "KNEE") == ("The header says limb, the images look like a whole body.",)
    assert remarks(whole, "WHOLEBODY") == ()
    assert remarks(whole, "XX") == (
        "The header's body part names no known region, the images look like a whole body.",
    )
    assert remarks(boxed(whole_pet()[20:50], "PT", 8.0), "HEAD") == (NOT_JUDGED,)


def test_real_pet_and_mr_are_told_or_not_known_but_not_wrongly(test_data: Path) -> None:
    expected = {
        "mr_head_pddl": ["Head"],
        "longitudinal_cmbcrc_06489/SCAN_001/t2": ["Abdomen and Pelvis"],
        "longitudinal_cmbcrc_06489/SCAN_002/adc": ["Abdomen and Pelvis"],
        "petctmr_STS_001/PET/image": [],
        "petctmr_STS_003/MR_T1/image": [],
        "mr_hippocrop/Study1": [],
    }
    for name, part in expected.items():
        volume = read_series(sorted((test_data / "studies" / name).rglob("*.dcm"))).volume
        assert volume is not None
        assert answers(without_tags(volume)).get(concepts.BODY_PART, []) == part, name
