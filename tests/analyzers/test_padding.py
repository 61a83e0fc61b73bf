"""A frame of padding round the images of a series changes nothing that is said of the patient."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers import registry
from analyzers.contract import Findings, Measurement, ParametricMap, Segmentation, Volume
from analyzers.radiograph.training.trainable import read
from analyzers.testing import examples
from analyzers.testing.suite import answers, numbers
from tests.analyzers.segmentation import bodies

FRAME = 9
INNER = np.s_[:, FRAME:-FRAME, FRAME:-FRAME]
BRIGHT, DARK = 20000, -2000


def framed(of: Volume, padding: int) -> Volume:
    """The same patient with pixels round each slice that were not measured."""
    stored = np.pad(of.stored, ((0, 0), (FRAME, FRAME), (FRAME, FRAME)), constant_values=padding)
    valid = np.zeros(stored.shape, np.bool_)
    valid[INNER] = True
    affine = of.affine.copy()
    affine[:3, 3] -= affine[:3, 1:3] @ np.full(2, FRAME)
    stored.setflags(write=False)
    return dataclasses.replace(of, stored=stored, affine=affine, valid=valid)


def run(name: str, of: Volume, **parameters: Any) -> Findings:
    return registry.load(name)("cpu").analyze(of, registry.parameters(name, parameters))


def ct() -> Volume:
    return examples.volume(examples.torso(), "CT")


def mr() -> Volume:
    return examples.volume(examples.head(), "MR")


def radiograph() -> Volume:
    return examples.volume(examples.radiograph(), "DX")


def cut(of: Volume) -> Volume:
    """Only the middle of the images: the body reaches their edge on all sides."""
    rows, columns = of.shape[1] // 5, of.shape[2] // 5
    stored = np.ascontiguousarray(of.stored[:, rows:-rows, columns:-columns])
    affine = of.affine.copy()
    affine[:3, 3] += affine[:3, 1:3] @ np.array([rows, columns])
    return dataclasses.replace(of, stored=stored, affine=affine)


CASES: dict[str, tuple[Callable[[], Volume], dict[str, Any]]] = {
    "lung_segmentation": (ct, {}),
    "bone_segmentation": (ct, {}),
    "series_classifier": (ct, {}),
    "airway_segmentation": (lambda: bodies.tree(step=3.0).volume(), {}),
    "body_composition": (lambda: bodies.abdomen(step=4.5).volume(), {}),
    "calcium_score": (lambda: bodies.heart(step=3.2).volume(), {}),
    "pet_tumour": (lambda: bodies.hot_spots().volume("PT", 0.001), {"method": "adaptive"}),
    "chan_vese": (mr, {}),
    "geodesic_contour": (mr, {}),
    "watershed": (mr, {}),
    "random_walker": (mr, {}),
}


@pytest.mark.parametrize("padding", [DARK, BRIGHT], ids=["dark", "bright"])
@pytest.mark.parametrize("name", CASES)
def test_a_frame_of_padding_changes_no_number_and_no_segment(name: str, padding: int) -> None:
    example, parameters = CASES[name]
    of = example()
    plain, within = run(name, of, **parameters), run(name, framed(of, padding), **parameters)
    np.testing.assert_allclose(numbers(within), numbers(plain), rtol=0.02, atol=0.02)
    assert [one.answer for one in answers(within)] == [one.answer for one in answers(plain)]
    for one, other in zip(plain.items, within.items, strict=True):
        if isinstance(one, Segmentation):
            assert isinstance(other, Segmentation)
            assert dice(one.labels, other.labels[INNER]) > 0.98
            assert np.count_nonzero(other.labels) == np.count_nonzero(other.labels[INNER])


def dice(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    marked = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero((one == other) & (one > 0)) / max(marked, 1)


@pytest.mark.parametrize("padding", [DARK, BRIGHT], ids=["dark", "bright"])
@pytest.mark.parametrize("example", [ct, mr, radiograph], ids=["CT", "MR", "radiograph"])
def test_quality_measures_what_it_measures_without_the_frame(
    example: Callable[[], Volume], padding: int
) -> None:
    of = example()
    plain = run("quality", of, read=False)
    within = run("quality", framed(of, padding), read=False)
    for one, other in zip(plain.items, within.items, strict=True):
        if isinstance(one, Measurement) and one.name.value != "LIKENESS":
            assert isinstance(other, Measurement)
            assert other.value == pytest.approx(one.value, rel=0.02, abs=0.02), one.name.meaning
    assert not any("Metal" in remark or "clipping" in remark for remark in within.remarks)


def test_a_body_cut_off_by_a_round_field_of_view_is_cut_off() -> None:
    whole = run("quality", cut(ct()), read=False).remarks
    assert any("cut off by the field of view" in remark for remark in whole)
    within = run("quality", framed(cut(ct()), BRIGHT), read=False).remarks
    assert any("cut off by the field of view" in remark for remark in within)


def test_air_declared_as_padding_does_not_cut_the_body_off() -> None:
    """Its outline is the skin: neither sharpness nor coverage is judged by it."""
    of = ct()
    air = np.where(of.stored < -900, -1024, of.stored).astype(np.int16)
    plain = examples.volume(air, "CT")
    padded = dataclasses.replace(plain, valid=air > -1024)
    one, other = (run("quality", each, read=False) for each in (plain, padded))
    assert not any("cut off" in remark for remark in (*one.remarks, *other.remarks))
    widths = [[m for m in each.items if isinstance(m, Measurement)] for each in (one, other)]
    edges = [[m.value for m in each if m.name.value == "EDGEWIDTH"] for each in widths]
    assert edges[0] == pytest.approx(edges[1], abs=0.05)
    assert edges[0]


@pytest.mark.parametrize("padding", [DARK, BRIGHT], ids=["dark", "bright"])
def test_windows_of_mr_are_those_of_what_was_measured(padding: int) -> None:
    plain, within = run("window_presets", mr()), run("window_presets", framed(mr(), padding))
    assert within.items == plain.items


@pytest.mark.parametrize("padding", [DARK, BRIGHT], ids=["dark", "bright"])
def test_what_lossy_coding_changed_is_judged_by_what_was_measured(padding: int) -> None:
    method = {"method": "jpeg_ls_near_lossless", "largest_error": 8}
    plain = numbers(run("compression", examples.volume(examples.torso() + 2000, "CT"), **method))
    padded = framed(examples.volume(examples.torso() + 2000, "CT"), padding)
    within = numbers(run("compression", padded, **method))
    assert within[1] == pytest.approx(plain[1], abs=0.02)
    assert within[3] == pytest.approx(plain[3], abs=3.0), "PSNR is that of the measured range"


@pytest.mark.parametrize("padding", [DARK, BRIGHT], ids=["dark", "bright"])
def test_fusion_shows_no_padding_in_colour_nor_takes_it_for_a_value(padding: int) -> None:
    of, other = ct(), dataclasses.replace(ct(), modality="MR")
    plain = run("fusion", dataclasses.replace(of, companions={"mr": other}))
    both = dataclasses.replace(framed(of, padding), companions={"mr": framed(other, padding)})
    within = run("fusion", both)
    for one, found in zip(numbers(plain), numbers(within), strict=True):
        assert found == pytest.approx(one, rel=0.35, abs=0.5)
    for one, found in zip(plain.items[:2], within.items[:2], strict=True):
        inner = found.values[INNER].astype(float)  # type: ignore[union-attr]
        difference = np.abs(inner - one.values)  # type: ignore[union-attr]
        assert np.percentile(difference, 99) <= 4
    assert (within.items[0].values[~both.valid] == 0).all()  # type: ignore[union-attr]


def test_maps_of_evidence_are_empty_over_padding(test_data: Path) -> None:
    images, _ = read(test_data / "train" / "cxr_opacity").only(left_out=True)
    stored = np.rint(images[0]).astype(np.uint16)[None]
    of = examples.in_round_field(examples.volume(stored, "DX"), BRIGHT)
    assert of.valid is not None
    shown = [one for one in run("opacity_svm", of).items if isinstance(one, ParametricMap)]
    assert shown
    assert not any(one.values[~of.valid].any() for one in shown)
