"""The trained hippocampus networks: contract, refusals, grids, and what they reach."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from analyzers import registry
from analyzers.contract import (
    Findings,
    InvalidParameters,
    Measurement,
    NotApplicable,
    ParametricMap,
    Segmentation,
    Subject,
    Volume,
)
from analyzers.grid.patient_grid import patient_grid
from analyzers.models import hippocampus_atlas, stored_model
from analyzers.models.engine import overlap
from analyzers.models.hippocampus_crop import crop_of
from analyzers.models.hippocampus_input import Resampling, normalized
from analyzers.segmentation.hippocampus import (
    HippocampusFPN,
    HippocampusNetwork,
    HippocampusParameters,
    HippocampusUNet,
)
from analyzers.segmentation.hippocampus_instances import HippocampusMaskRcnn
from analyzers.testing import AnalyzerSuite, examples
from node.results.words.phrases import shown
from node.series.read import read_series


def _crop() -> Volume:
    """The mean crop of the atlas with noise, 30×44×32 mm, on the patient's left."""
    mean = hippocampus_atlas.stored().mean
    signal = 500 + 100 * mean + np.random.default_rng(2).normal(0, 15, mean.shape)
    return _placed(np.rint(signal).astype(np.int16), 25.0)


def _placed(values: np.ndarray, x_mm: float) -> Volume:
    """A crop whose middle lies at x in the patient, behind and below the origin."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[::-1]
    affine[:3, 3] = (x_mm - values.shape[2] / 2, 20.0, -30.0)
    return examples.volume(values, "MR", affine=affine)


class TestContract(AnalyzerSuite):
    analyzers = ("hippocampus_unet", "hippocampus_fpn", "hippocampus_mask_rcnn")

    def example(self, name: str) -> Volume:
        return _crop()


def _analyze(
    volume: Volume,
    network: type[HippocampusNetwork] = HippocampusUNet,
    evidence: str = "none",
) -> Findings:
    return network("cpu").analyze(volume, HippocampusParameters(evidence=evidence))


def test_a_whole_head_is_refused_by_name() -> None:
    with pytest.raises(NotApplicable, match="crops round one hippocampus"):
        _analyze(examples.volume(examples.head(), "MR"))


def test_the_volume_of_the_whole_is_that_of_both_parts() -> None:
    findings = _analyze(_crop())
    marks, whole = findings.items
    assert isinstance(marks, Segmentation)
    assert isinstance(whole, Measurement)
    parts = sum(one.measurements[0].value for one in marks.segments)
    assert whole.value == pytest.approx(parts, abs=0.002)
    assert whole.value == pytest.approx(np.count_nonzero(marks.labels) / 1000, abs=1e-3)


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (lambda image: image[::-1], "lie upside down"),
        (lambda image: image[:, ::-1], "lie back to front"),
        (lambda image: image[::-1, ::-1], "upside down and back to front"),
        (lambda image: 1000 - image, "inverted"),
        (lambda image: np.random.default_rng(0).integers(0, 900, image.shape), "do not show"),
        (lambda image: image[:, :22], "do not show"),
    ],
    ids=["upside down", "back to front", "both", "inverted", "noise", "front half"],
)
@pytest.mark.parametrize("network", [HippocampusFPN, HippocampusMaskRcnn])
def test_what_is_no_hippocampus_as_learned_is_refused_in_the_networks_own_job(
    alter: Callable[[np.ndarray], np.ndarray],
    reason: str,
    network: type[HippocampusFPN] | type[HippocampusMaskRcnn],
) -> None:
    volume = _placed(alter(_crop().stored).astype(np.int16), 25.0)
    analyzer = network("cpu")
    with pytest.raises(NotApplicable, match=reason):
        analyzer.analyze(volume, analyzer.parameters())  # type: ignore[arg-type]  # its own kind


def test_a_part_of_a_head_beside_the_hippocampus_is_refused(test_data: Path) -> None:
    head = read_series(sorted((test_data / "studies/mr_head_pddl").glob("*.dcm"))).volume
    assert head is not None
    grid = patient_grid(head)
    values = Resampling(grid.view(head.stored).shape, grid.spacing_mm).forward(
        grid.view(head.stored)
    )
    for corner in [(60, 20, 80), (110, 60, 80), (200, 120, 60), (90, 160, 80)]:
        cut = tuple(slice(at, at + side) for at, side in zip(corner, (36, 50, 36), strict=True))
        with pytest.raises(NotApplicable):
            crop_of(_placed(np.rint(values[cut]).astype(np.int16), 25.0))


def test_the_hippocampi_of_a_head_of_another_scanner_are_read_and_their_sides_told(
    test_data: Path,
) -> None:
    head = read_series(sorted((test_data / "studies/mr_head_pddl").glob("*.dcm"))).volume
    assert head is not None
    grid = patient_grid(head)
    values = Resampling(grid.view(head.stored).shape, grid.spacing_mm).forward(
        grid.view(head.stored)
    )
    for x_voxel, x_mm in ((102, 27.0), (50, -24.0)):
        cut = values[122:158, 114:164, x_voxel : x_voxel + 36]
        crop = _placed(np.rint(cut).astype(np.int16), x_mm)
        assert crop_of(crop).cautions == ()
        (said,) = crop_of(_placed(crop.stored, -x_mm)).cautions
        assert "may be mirrored" in said


def test_a_mirrored_crop_without_a_place_begins_with_a_doubt() -> None:
    mirrored = np.ascontiguousarray(_crop().stored[..., ::-1])
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[::-1]
    without = examples.volume(mirrored, "MR", affine=affine)
    (said,) = _analyze(without).cautions
    assert said.startswith("The crop shows a right hippocampus or a mirrored left one")
    assert _analyze(dataclasses.replace(without, stored=_crop().stored)).cautions == ()
    assert _analyze(_placed(mirrored, -25.0)).cautions == ()


def test_a_child_is_refused_by_name() -> None:
    child = dataclasses.replace(_crop(), subject=Subject(age_years=9))
    with pytest.raises(NotApplicable, match="younger than 18 years"):
        _analyze(child)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.5, 0.8), (1.2, 1.0, 0.67)])
def test_resampling_keeps_places(spacing: tuple[float, float, float]) -> None:
    """A linear ramp in mm comes out as the same ramp in mm, and comes back."""
    shape = (20, 60, 40)
    place = [(np.arange(n) + 0.5) * mm for n, mm in zip(shape, spacing, strict=True)]
    ramp = np.add.outer(np.add.outer(place[0], 2 * place[1]), 3 * place[2])
    grid = Resampling(shape, spacing)
    found = grid.forward(ramp)
    assert found.shape == grid.target
    size = [n * mm / m for n, mm, m in zip(shape, spacing, grid.target, strict=True)]
    want = [(np.arange(n) + 0.5) * mm for n, mm in zip(grid.target, size, strict=True)]
    expected = np.add.outer(np.add.outer(want[0], 2 * want[1]), 3 * want[2])
    inner = (slice(3, -3),) * 3
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.02)
    np.testing.assert_allclose(grid.back(found)[inner][3:-3], ramp[inner][3:-3], rtol=0.05)


def test_normalizing_forgets_scale_and_offset() -> None:
    values = np.random.default_rng(4).gamma(2, 100, (20, 20, 20))
    np.testing.assert_allclose(normalized(values * 7 - 300), normalized(values), atol=1e-4)
    assert not normalized(np.full((4, 4, 4), 12.0)).any()


NETWORKS = pytest.mark.parametrize("network", [HippocampusUNet, HippocampusFPN])


@NETWORKS
def test_held_out_crops_are_segmented(
    held_out: list[tuple[Volume, np.ndarray]], network: type[HippocampusNetwork]
) -> None:
    overlaps = []
    for volume, truth in held_out:
        marks = _analyze(volume, network).items[0]
        assert isinstance(marks, Segmentation)
        overlaps.append(overlap(marks.labels > 0, truth > 0))
    assert np.mean(overlaps) > 0.84
    assert min(overlaps) > 0.70


@NETWORKS
def test_the_uncertainty_is_highest_where_the_reader_disagrees(
    held_out: list[tuple[Volume, np.ndarray]], network: type[HippocampusNetwork]
) -> None:
    for volume, truth in held_out[:3]:
        findings = _analyze(volume, network, "uncertainty")
        marks, chart = findings.items[0], findings.items[-1]
        assert isinstance(marks, Segmentation) and isinstance(chart, ParametricMap)
        wrong = marks.labels != truth
        assert chart.values.shape == volume.shape
        assert chart.values[wrong].mean() > 4 * chart.values[~wrong].mean()


@NETWORKS
def test_the_evidence_lies_on_the_hippocampus(
    held_out: list[tuple[Volume, np.ndarray]], network: type[HippocampusNetwork]
) -> None:
    for volume, truth in held_out[:3]:
        chart = _analyze(volume, network, "grad_cam").items[-1]
        assert isinstance(chart, ParametricMap)
        assert chart.values.max() == pytest.approx(1)
        inside = ndimage.binary_dilation(truth > 0, iterations=4)
        assert chart.values[inside].mean() > 3 * chart.values[~inside].mean()


def test_an_unknown_map_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="'uncertainty', 'grad_cam' or 'none'"):
        HippocampusParameters(evidence="saliency")


def test_finer_slices_change_the_volume_little(
    held_out: list[tuple[Volume, np.ndarray]],
) -> None:
    volume = held_out[0][0]
    affine = volume.affine.copy()
    affine[:3, 0] /= 2
    fine = np.repeat(volume.stored, 2, axis=0)
    twice = examples.volume(fine, "MR", affine=affine)
    one, other = (_whole_ml(_analyze(given)) for given in (volume, twice))
    assert other == pytest.approx(one, rel=0.08)


def test_scanner_units_do_not_matter(held_out: list[tuple[Volume, np.ndarray]]) -> None:
    volume = held_out[1][0]
    scaled = dataclasses.replace(volume, slope=volume.slope * 9.5, intercept=volume.intercept + 70)
    one, other = (_whole_ml(_analyze(given)) for given in (volume, scaled))
    assert other == pytest.approx(one, rel=0.005)


def _whole_ml(findings: Findings) -> float:
    whole = findings.items[1]
    assert isinstance(whole, Measurement)
    return whole.value


@pytest.mark.parametrize("name", ["hippocampus_fpn", "hippocampus_unet", "hippocampus_mask_rcnn"])
def test_a_report_gives_the_limits_of_agreement_of_the_card(name: str) -> None:
    card = (stored_model.SHIPPED / name / "CARD.md").read_text("utf-8")
    figures = re.search(r"limits of agreement (\S+) to (\S+) mL;[^;]*on the test crops", card)
    assert figures is not None
    remarks = registry.load(name)("cpu").analyze(_crop(), registry.parameters(name, {})).remarks
    (said,) = (one for one in remarks if "limits of agreement" in one)
    assert f"between {figures[1]} and {figures[2]} mL" in said
    assert shown(said, "de").startswith("Volumen eines Hippocampus von diesem Netz")


@pytest.mark.parametrize(
    ("blur", "noise", "said"), [(2.0, 0, "less detail"), (0.0, 0, ""), (0.0, 60, "noisier")]
)
def test_blur_and_noise_beyond_all_that_was_learned_are_said_first(
    blur: float, noise: float, said: str
) -> None:
    signal = ndimage.gaussian_filter(_crop().values(), blur)
    signal += np.random.default_rng(4).normal(0, noise, signal.shape)
    cautions = crop_of(_placed(np.rint(signal).astype(np.int16), 25.0)).cautions
    assert [said in one for one in cautions] == ([True] if said else [])


def _wrapped(image: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = image.min(), np.percentile(image, 97)
    return (image - low) % (high - low)


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (_wrapped, "came out at its other end"),
        (lambda image: -np.abs(image - np.percentile(image, 80)), "at the bright end"),
        (lambda image: np.abs(image - np.percentile(image, 15)), "at the dark end"),
        (lambda image: ndimage.zoom(image, 1.6, order=1), "1.6 times as large"),
    ],
)
def test_grey_scales_and_voxels_that_are_not_as_said_are_doubted(
    alter: Callable[[NDArray[np.float32]], NDArray[np.float32]], said: str
) -> None:
    values = _crop().values(np.float32)
    assert crop_of(_placed(np.rint(values).astype(np.int16), 25.0)).cautions == ()
    cautions = crop_of(_placed(np.rint(alter(values)).astype(np.int16), 25.0)).cautions
    assert said in " ".join(cautions)
    assert all(shown(one, "de").startswith("Achtung: ") for one in cautions)


def test_a_place_is_looked_at_wherever_enough_of_the_atlas_lies_on_the_image() -> None:
    atlas = hippocampus_atlas.stored()
    padded = np.pad(atlas.mean, ((2, 9), (11, 3), (4, 6)), mode="edge").astype(np.float32)
    assert hippocampus_atlas.likeness(padded, atlas).straight[()] == pytest.approx(1, abs=1e-6)
    cut = atlas.mean[5:].astype(np.float32)
    assert hippocampus_atlas.likeness(cut, atlas).straight[()] > 0.9
