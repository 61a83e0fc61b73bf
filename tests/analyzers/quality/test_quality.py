"""The quality check on images with one known fault each, and on real series without any."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.anatomy.body import foreground
from analyzers.contract import (
    Classification,
    Findings,
    InvalidParameters,
    Measurement,
    NotApplicable,
    SeriesFacts,
    Volume,
)
from analyzers.grid.value_planes import ValuePlanes
from analyzers.quality import words
from analyzers.quality.measures import displaced_slices, noise_level
from analyzers.quality.quality import Quality, QualityParameters
from analyzers.quality.text import text_rows
from analyzers.quality.words import words_in
from analyzers.testing import examples
from node.series.read import read_series

SHAPE = (24, 128, 160)


def body(noise: float = 10.0, seed: int = 3) -> NDArray[np.float32]:
    """An elliptic cylinder of soft tissue in air with a bone in it, in HU."""
    y, x = np.mgrid[-1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    plane = np.full(SHAPE[1:], -1000.0)
    plane[(x / 0.8) ** 2 + (y / 0.75) ** 2 <= 1] = 50
    plane[np.hypot(x, y - 0.4) < 0.12] = 900
    rng = np.random.default_rng(seed)
    noisy: NDArray[np.float32] = (plane + rng.normal(0, noise, SHAPE)).astype(np.float32)
    return noisy


def ct(values: NDArray[np.float32], **facts: object) -> Volume:
    series = examples.volume(np.rint(values).astype(np.int16), "CT")
    told = SeriesFacts("CT", len(values), len(values), spacing_mm=6.0, **facts)  # type: ignore[arg-type]
    affine = np.diag([2.5, 2.5, 6.0, 1.0])[:, [2, 1, 0, 3]]
    return dataclasses.replace(series, affine=affine, facts=told)


def judge(volume: Volume, **limits: float) -> Findings:
    return Quality("cpu").analyze(volume, QualityParameters(**limits))


def verdict(findings: Findings) -> str:
    first = findings.items[0]
    assert isinstance(first, Classification)
    return first.answer.value.removeprefix("QUALITY-")


def number(findings: Findings, code: str) -> float:
    found = [i.value for i in findings.items if isinstance(i, Measurement) and i.name.value == code]
    return found[0]


def test_a_sound_series_is_accepted() -> None:
    found = judge(ct(body()))
    assert verdict(found) == "ACCEPT"
    assert found.remarks == ("No fault was found.",)


@pytest.mark.parametrize("noise", [5.0, 20.0, 60.0, 200.0])
def test_the_noise_that_was_put_in_is_measured(noise: float) -> None:
    found = judge(ct(body(noise)))
    if noise <= 60:
        assert number(found, "NOISE") == pytest.approx(noise, rel=0.15)
    assert verdict(found) == {5.0: "ACCEPT", 20.0: "ACCEPT", 60.0: "WARN", 200.0: "REFUSE"}[noise]


def test_anatomy_is_not_taken_for_noise() -> None:
    values = body(8.0)
    values += 40 * np.sin(np.arange(SHAPE[2]) / 12, dtype=np.float32)
    inside = np.zeros(SHAPE, np.bool_)
    inside[:, 40:60, 40:120] = True
    measured = noise_level(ValuePlanes(ct(values)), inside)
    assert measured is not None
    assert 7 < measured < 16


@pytest.mark.parametrize(("sigma_px", "blurred"), [(0.0, False), (1.5, True), (3.0, True)])
def test_blur_widens_the_outline(sigma_px: float, blurred: bool) -> None:
    values = ndimage.gaussian_filter(body(), (0, sigma_px, sigma_px))
    found = judge(ct(values))
    assert any("blur" in remark for remark in found.remarks) is blurred
    steep = number(judge(ct(body())), "EDGEWIDTH")
    assert (number(found, "EDGEWIDTH") > 1.3 * steep) is blurred


def test_a_slice_that_moved_is_named_and_a_growing_body_is_not() -> None:
    values = body()
    values[9] = np.roll(values[9], 4, axis=1)
    assert any("slice 10." in remark for remark in judge(ct(values)).remarks)
    assert displaced_slices(foreground(ValuePlanes(ct(body())), "CT")) == []
    tapered = np.stack([body()[0, : SHAPE[1]] for _ in range(SHAPE[0])])
    for index in range(SHAPE[0]):
        tapered[index, :, : 20 + index] = -1000
    assert displaced_slices(foreground(ValuePlanes(ct(tapered)), "CT")) == []


def test_clipping_metal_truncation_and_gaps_are_each_named() -> None:
    clipped = np.minimum(body(), 55)
    assert any("clipping" in remark for remark in judge(ct(clipped)).remarks)
    metal = body()
    metal[10:12, 60:66, 60:66] = 3000
    assert any(remark.startswith("Metal, 2.7 mL") for remark in judge(ct(metal)).remarks)
    cut = body()[:, :, 40:]
    assert any("cut off by the field of view" in remark for remark in judge(ct(cut)).remarks)
    gappy = judge(ct(body(), thickness_mm=3.0))
    assert "50% of the body lies between the slices and is not shown." in gappy.remarks


def test_lungs_that_reach_an_end_are_not_whole() -> None:
    values = body()
    values[4:, 45:85, 35:70] = -850
    found = judge(ct(values))
    assert "The lungs reach the last slice: not whole." in found.remarks


def test_contrast_agent_that_the_header_denies_is_named() -> None:
    values = body()
    values[:, 40:54, 90:110] = 300 + np.random.default_rng(1).normal(0, 10, (24, 14, 20))
    said = "Contrast agent is seen in the images; the header says there is none."
    assert said in judge(ct(values, contrast=False)).remarks
    assert said not in judge(ct(values, contrast=True)).remarks
    assert said not in judge(ct(body(), contrast=False)).remarks


def test_an_image_of_one_value_or_a_stamp_is_not_applicable() -> None:
    for values in (np.zeros((3, 64, 64)), np.random.default_rng(0).normal(size=(3, 20, 20)) * 99):
        with pytest.raises(NotApplicable):
            judge(ct(values.astype(np.float32)))


def test_limits_that_contradict_are_refused() -> None:
    with pytest.raises(InvalidParameters, match="noise"):
        QualityParameters(noise_warn_hu=200.0)


def test_letters_are_found_and_speckle_is_not() -> None:
    rng = np.random.default_rng(4)
    image = rng.integers(0, 200, (200, 300)).astype(np.uint8)
    assert text_rows(image) == []
    cv2.putText(image, "SAMPLE 123", (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    (row,) = text_rows(image)
    assert row.letters >= 6
    assert 15 < row.top < 30 < row.bottom < 50
    speckle = np.where(rng.random((200, 300)) < 0.02, 255, image // 2).astype(np.uint8)
    assert text_rows(speckle) == []


def test_lettering_of_a_real_ultrasound_still_is_found(test_data: Path) -> None:
    still = pydicom.dcmread(test_data / "studies/us_burnedin/GREYSCALE_IMAGE.dcm").pixel_array
    assert sum(row.letters for row in text_rows(still if still.ndim == 2 else still.max(-1))) > 15


needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract-ocr is not installed"
)


@needs_tesseract
def test_smooth_lettering_that_stands_out_of_no_row_is_read() -> None:
    """Anti-aliased and darker than the brightest pixels: no row of marks of one value."""
    image = np.random.default_rng(4).integers(0, 120, (300, 400)).astype(np.uint8)
    image[200:280, 300:380] = 255
    cv2.putText(image, "DOE JANE", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 210, 2, cv2.LINE_AA)
    assert text_rows(image) == []
    assert words_in([image]) == words_in([image[100:], image]) == 2
    assert words_in([image[100:]]) == words_in([]) == 0


@needs_tesseract
def test_the_words_of_a_real_ultrasound_still_are_counted_and_never_told(test_data: Path) -> None:
    still = pydicom.dcmread(test_data / "studies/us_burnedin/GREYSCALE_IMAGE.dcm").pixel_array
    plane = still if still.ndim == 2 else still.max(-1)
    assert words_in([plane]) > 10
    volume = ct(plane[None].astype(np.float32))
    remarks = Quality("cpu").analyze(volume, QualityParameters()).remarks
    [said] = [one for one in remarks if "words read" in one]
    assert re.fullmatch(r"Lettering in the pixels \([\d a-z,;]+\): it may name a person\.", said)
    unread = Quality("cpu").analyze(volume, QualityParameters(read=False)).remarks
    assert not any("words read" in one for one in unread)


def test_a_tesseract_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(words, "engine", lambda: None)
    image = np.random.default_rng(4).integers(0, 120, (64, 64)).astype(np.float32)
    remarks = Quality("cpu").analyze(ct(image[None]), QualityParameters()).remarks
    assert any("Tesseract failed (CalledProcessError)" in one for one in remarks)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("ct_crlm_1004", ("The lungs reach the last slice: not whole.",)),
        (
            "longitudinal_cmbcrc_06489/SCAN_001/t2",
            ("12% of the body lies between the slices and is not shown.",),
        ),
        ("petctmr_STS_001/MR_T1/image", ("No fault was found.",)),
    ],
)
def test_real_series_get_the_reasons_that_can_be_seen(
    test_data: Path, folder: str, expected: tuple[str, ...]
) -> None:
    volume = read_series(sorted((test_data / "studies" / folder).glob("*.dcm"))).volume
    assert volume is not None
    assert judge(volume).remarks == expected
