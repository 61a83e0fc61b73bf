"""Fusion: known movements are found again, what cannot be fused is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import torch
from numpy.typing import NDArray
from pydicom.data import get_palette_files

from analyzers.contract import (
    ColorImage,
    DerivedImage,
    Findings,
    InvalidParameters,
    Measurement,
    NotApplicable,
    Registration,
    Volume,
)
from analyzers.fusion import picture, registration
from analyzers.fusion.evidence import MOST_STEPS, STEP_MM, Evidence, evidence
from analyzers.fusion.fusion import OVERLAP, Fusion, FusionParameters
from analyzers.fusion.mutual_information import BINS, information, memberships
from analyzers.fusion.registration import register
from analyzers.fusion.resampling import resampled
from analyzers.fusion.rigid import corners, inverse, moved, rigid
from analyzers.fusion.scan import at, reduced, scan
from analyzers.fusion.verdict import BLIND_MM, apart, verdict
from analyzers.testing import AnalyzerSuite, examples

FRAME = "frame"
SHAPE, SPACING_MM = (16, 26, 26), (8.0, 8.0, 8.0)


def blobs(level: tuple[float, float, float, float]) -> NDArray[np.int16]:
    """A head-like shape with three parts at places that no turn maps onto each other."""
    z, y, x = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, SPACING_MM, strict=True)],
        indexing="ij",
    )
    values = np.zeros(SHAPE)
    values[(z / 50) ** 2 + (y / 80) ** 2 + (x / 65) ** 2 <= 1] = level[0]
    values[(z - 10) ** 2 + (y / 2) ** 2 + (x - 25) ** 2 <= 18**2] = level[1]
    values[(z + 15) ** 2 + (y - 30) ** 2 + ((x + 20) / 1.5) ** 2 <= 16**2] = level[2]
    values[(z / 1.5) ** 2 + (y + 40) ** 2 + (x + 15) ** 2 <= 14**2] = level[3]
    noise = np.random.default_rng(int(level[0])).normal(0, 8, SHAPE)
    return np.maximum(np.rint(values + noise), 0).astype(np.int16)


def series(level: tuple[float, float, float, float], modality: str = "MR") -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = np.diag(SPACING_MM)[::-1]
    volume = examples.volume(blobs(level), modality, affine=affine)
    return replace(volume, frame_of_reference=FRAME)


@pytest.fixture(scope="module")
def fixed() -> Volume:
    return series((400, 700, 150, 900))


@pytest.fixture(scope="module")
def other() -> Volume:
    """Another contrast: bright where the first is dark, and not by a straight line."""
    return series((500, 100, 800, 300))


def displaced(volume: Volume, matrix: NDArray[np.float64], frame: str = FRAME) -> Volume:
    return replace(volume, affine=matrix @ volume.affine, frame_of_reference=frame)


def fused(fixed: Volume, parameters: FusionParameters | None = None, **others: Volume) -> Findings:
    return Fusion("cpu").analyze(
        replace(fixed, companions=others), parameters or FusionParameters()
    )


def found(findings: Findings) -> NDArray[np.float64]:
    (one,) = (item for item in findings.items if isinstance(item, Registration))
    return one.matrix


def error_mm(fixed: Volume, matrix: NDArray[np.float64], applied: NDArray[np.float64]) -> float:
    """Mean distance from where they belong of the corners of the inner half of the volume."""
    points = corners(fixed.shape, fixed.affine)
    points = points.mean(axis=0) + (points - points.mean(axis=0)) / 2
    away = moved(matrix @ applied, points) - points
    return float(np.linalg.norm(away, axis=1).mean())


MOVEMENT = (np.array([6.0, -8.0, 10.0]), np.array([14.0, -9.0, 11.0]), np.zeros(3))


def test_a_known_movement_between_two_contrasts_is_found(fixed: Volume, other: Volume) -> None:
    movement = rigid(*MOVEMENT)
    assert error_mm(fixed, np.eye(4), movement) > 15
    findings = fused(fixed, mr=displaced(other, movement))
    assert error_mm(fixed, found(findings), movement) < 1.0
    assert "Registered rigidly" in findings.remarks[0]


def test_other_frames_of_reference_far_apart_are_brought_together(
    fixed: Volume, other: Volume
) -> None:
    movement = rigid(np.array([0.0, 5.0, 0.0]), np.array([300.0, -200.0, 900.0]), np.zeros(3))
    findings = fused(fixed, mr=displaced(other, movement, "another"))
    assert error_mm(fixed, found(findings), movement) < 1.0
    assert "different frames of reference" in findings.remarks[0]


def test_images_that_lie_well_stay_where_they_are(fixed: Volume, other: Volume) -> None:
    findings = fused(fixed, mr=other)
    assert np.array_equal(found(findings), np.eye(4))
    assert "laid as the headers say: registration, measured" in findings.remarks[0]
    moved_too = fused(fixed, FusionParameters(registration="always"), mr=other)
    assert error_mm(fixed, found(moved_too), np.eye(4)) < 0.5
    as_given = fused(fixed, FusionParameters(registration="never"), mr=other)
    assert as_given.remarks[0] == "Not registered: laid as the headers say."


def test_the_second_series_keeps_its_units_on_the_grid_of_the_first(
    fixed: Volume, other: Volume
) -> None:
    fine = replace(other, slope=np.full(SHAPE[0], 0.5), intercept=np.full(SHAPE[0], 3.0))
    findings = fused(fixed, FusionParameters(registration="never"), mr=fine)
    (image,) = (item for item in findings.items if isinstance(item, DerivedImage))
    assert image.role == "mr"
    np.testing.assert_allclose(image.values, fine.values(), atol=1e-3)


def test_resampling_agrees_with_what_the_movement_does(fixed: Volume) -> None:
    movement = rigid(*MOVEMENT)
    back, covered = resampled(displaced(fixed, movement), fixed, inverse(movement), "cpu")
    assert covered.all()
    np.testing.assert_allclose(back, fixed.values(), atol=0.05)
    away = rigid(np.zeros(3), np.array([1000.0, 0, 0]), np.zeros(3))
    nothing, covered = resampled(replace(fixed, modality="CT"), fixed, away, "cpu")
    assert not covered.any()
    assert np.all(nothing == -1024)


def test_colour_lies_over_grey_by_its_opacity(fixed: Volume, other: Volume) -> None:
    def colours(opacity: float) -> NDArray[np.int64]:
        findings = fused(fixed, FusionParameters(registration="never", opacity=opacity), mr=other)
        (image,) = (item for item in findings.items if isinstance(item, ColorImage))
        return image.values.astype(np.int64)

    grey, half, full = colours(0.0), colours(0.5), colours(1.0)
    assert np.all(grey == grey[..., :1])
    assert np.abs(half - (grey + full) / 2).max() <= 1
    assert np.any(full[..., 0] != full[..., 2])


@pytest.mark.parametrize(("ours", "theirs"), [("hot_iron", "hotiron"), ("pet", "pet")])
def test_palettes_are_those_of_the_standard(ours: str, theirs: str) -> None:
    (path,) = get_palette_files(f"{theirs}.dcm")
    standard = pydicom.dcmread(path, force=True)
    for channel, name in enumerate(("Red", "Green", "Blue")):
        data = standard[f"{name}PaletteColorLookupTableData"].value
        assert np.array_equal(picture.palette(ours)[:, channel], np.frombuffer(data, np.uint8))


@pytest.mark.parametrize(
    ("companions", "why"),
    [
        ({}, "there is none"),
        ({"mr": "same"}, "same images as the first"),
        ({"mr": "elsewhere"}, "not show the same part"),
        ({"mr": "empty"}, "share no structure"),
    ],
)
def test_what_cannot_be_fused_is_refused_by_name(
    fixed: Volume, other: Volume, companions: dict[str, str], why: str
) -> None:
    far = rigid(np.zeros(3), np.array([0.0, 0.0, 500.0]), np.zeros(3))
    kinds = {
        "same": fixed,
        "elsewhere": displaced(other, far),
        "empty": replace(other, stored=np.full(SHAPE, 7, np.int16)),
    }
    with pytest.raises(NotApplicable, match=why):
        fused(fixed, **{role: kinds[kind] for role, kind in companions.items()})


def test_pet_comes_before_mr_unless_another_is_asked_for(fixed: Volume, other: Volume) -> None:
    pet = replace(other, modality="PT", units=None)
    never = FusionParameters(registration="never")
    for parameters, role in ((never, "pet"), (replace(never, moving="mr"), "mr")):
        findings = fused(fixed, parameters, pet=pet, mr=other)
        assert {i.role for i in findings.items if isinstance(i, Registration)} == {role}
    with pytest.raises(NotApplicable, match="CT; there is none"):
        fused(fixed, replace(never, moving="ct"), pet=pet)


def test_overlap_is_of_the_smaller_series(fixed: Volume, other: Volume) -> None:
    half = replace(
        other,
        stored=other.stored[:8],
        slope=other.slope[:8],
        intercept=other.intercept[:8],
    )
    findings = fused(fixed, FusionParameters(registration="never"), mr=half)
    (share,) = (i for i in findings.items if isinstance(i, Measurement) and i.name == OVERLAP)
    assert share.value == pytest.approx(100, abs=5)


@pytest.mark.parametrize(
    "wrong",
    [{"opacity": 1.5}, {"palette": "blue"}, {"shades": (3.0,)}, {"moving_shades": (2.0, 1.0)}],
)
def test_wrong_parameters_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidParameters, match=next(iter(wrong))):
        FusionParameters(**wrong)  # type: ignore[arg-type]  # wrong is what is tested


def test_mutual_information_of_known_samples() -> None:
    """Two independent values: none; one that tells the other of two equal halves: log 2."""
    values = torch.tensor([0.0, 0.0, 1.0, 1.0])
    weight = torch.ones(4)
    same = information(memberships(values).round(), values, weight)
    assert float(same.mutual) == pytest.approx(np.log(2), abs=1e-4)
    apart = information(memberships(values), torch.tensor([0.0, 1.0, 0.0, 1.0]), weight)
    assert float(apart.mutual) == pytest.approx(0, abs=1e-5)
    assert torch.allclose(memberships(torch.rand(99)).sum(dim=1), torch.ones(99), atol=1e-5)
    assert memberships(values).shape == (4, BINS)


def test_coarse_grids_keep_their_place(fixed: Volume) -> None:
    fine = scan(fixed, "cpu")
    coarse = reduced(fine, 16.0)
    assert coarse.shape == (8, 13, 13)
    np.testing.assert_allclose(coarse.centre_mm(), fine.centre_mm(), atol=1e-9)
    values, inside = at(fine.image, torch.tensor([[3.0, 4.0, 5.0], [-5.0, 0.0, 0.0]]))
    assert float(values[0]) == pytest.approx(float(fine.image[3, 4, 5]), abs=1e-6)
    assert inside.tolist() == [1.0, 0.0]


SURE = Evidence(
    moved_mm=12.0,
    turned_deg=3.0,
    edges_mm=0.4,
    halves_mm=(0.2, 0.5),
    edges_agree=True,
    unseen_mm=2.5,
)


@pytest.mark.parametrize(
    ("modalities", "told", "after", "why"),
    [
        (("MR", "MR"), SURE, 0.51, "does not rise by 5 %"),
        (("MR", "MR"), replace(SURE, edges_agree=False), 0.9, "edges run less alike"),
        (("MR", "MR"), replace(SURE, halves_mm=(0.2, 4.0)), 0.9, "of 16.0 mm or more"),
        (("CT", "PT"), SURE, 0.9, "of 15.0 mm or more"),
        (("CT", "PT"), replace(SURE, moved_mm=60.0), 0.9, "no movement of a patient"),
        (("CT", "MR"), replace(SURE, moved_mm=20.0, turned_deg=30.0), 0.9, "no movement of a"),
    ],
)
def test_headers_in_common_hold_until_they_are_refuted(
    modalities: tuple[str, str], told: Evidence, after: float, why: str
) -> None:
    kept = verdict(modalities, 0.5, after, told, always=False)
    assert not kept.accepted
    assert why in " ".join(kept.sentences)
    assert kept.uncertain_mm >= told.moved_mm
    forced = verdict(modalities, 0.5, after, told, always=True)
    assert forced.accepted
    assert forced.sentences[0].startswith("In doubt, moved because it was asked for")


def test_a_movement_far_beyond_what_the_measures_differ_by_is_taken() -> None:
    for modalities, told in (
        (("MR", "MR"), SURE),
        (("CT", "PT"), replace(SURE, moved_mm=25.0)),
    ):
        taken = verdict(modalities, 0.5, 0.9, told, always=False)
        assert taken.accepted
        assert told.moved_mm >= 2 * taken.uncertain_mm


def test_where_measures_and_headers_disagree_the_first_sentence_says_so() -> None:
    kept = verdict(("CT", "PT"), 0.5, 0.9, replace(SURE, moved_mm=9.0), always=False)
    assert kept.sentences[0].startswith("In doubt: the images and the headers disagree by 9 mm")
    unsure = apart(0.5, 0.9, replace(SURE, edges_mm=10.0), ("CT", "MR"))
    assert unsure.sentences[0] == "In doubt: the place is known to about 20 mm only."


def test_where_a_movement_could_not_be_told_the_first_sentence_says_so() -> None:
    kept = verdict(
        ("MR", "MR"), 1.0, 1.04, replace(SURE, moved_mm=3.0, unseen_mm=15.0), always=False
    )
    assert not kept.accepted
    assert kept.sentences[0].startswith("In doubt: a movement of 15 mm could not have been told")
    assert kept.uncertain_mm == 15.0
    seen = verdict(("MR", "MR"), 1.0, 1.04, replace(SURE, moved_mm=3.0), always=False)
    assert seen.sentences[0].startswith("Both series share a frame of reference")


def test_a_column_is_not_seen_to_slide_along_itself(fixed: Volume, other: Volume) -> None:
    def unseen(one: Volume, another: Volume) -> float:
        scans = scan(one, "cpu"), scan(another, "cpu")
        found = register(*scans, same_frame=True)
        return evidence(*scans, found, same_frame=True).unseen_mm

    columns = [
        replace(one, stored=np.repeat(one.stored[8:9], SHAPE[0], axis=0)) for one in (fixed, other)
    ]
    assert unseen(*columns) == STEP_MM * MOST_STEPS
    assert unseen(fixed, other) < BLIND_MM


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_both_devices_find_the_same(fixed: Volume, other: Volume) -> None:
    far = displaced(other, rigid(*MOVEMENT))
    matrices = [
        register(scan(fixed, device), scan(far, device), same_frame=True).matrix
        for device in ("cpu", "cuda")
    ]
    assert error_mm(fixed, matrices[0], np.linalg.inv(matrices[1])) < 0.1


class TestFusionKeepsTheContract(AnalyzerSuite):
    analyzers = ("fusion",)
    tolerance = 2.0

    @pytest.fixture(autouse=True)
    def _coarse(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registration, "LEVELS", (registration.PyramidLevel(16.0, 4000, 12, 1),))

    def example(self, name: str) -> Volume:
        moving = displaced(series((500, 100, 800, 300)), rigid(*MOVEMENT))
        return replace(series((400, 700, 150, 900)), companions={"mr": moving})
