"""Reading the set, fitting, going on from a checkpoint, judging."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from analyzers.models.training import hippocampus_data as data
from analyzers.models.training import volumetric_fit as fitting
from analyzers.models.training.augmentation import augmented, placed
from analyzers.models.training.hippocampus_data import Case
from analyzers.models.training.hippocampus_evaluation import judge, mean_shape
from analyzers.models.volumetric import UNet


def _case(name: str, seed: int) -> Case:
    """A bright ball with a front and a back half in noise."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[-8:8, -8:8, -8:8] + rng.uniform(-2, 2, (3, 1, 1, 1))
    ball = z**2 + y**2 + x**2 < 25
    labels = np.where(ball, np.where(y < 0, 1, 2), 0).astype(np.uint8)
    image = (ball * 2.0 + rng.normal(0, 0.3, ball.shape)).astype(np.float32)
    return Case(name, image, labels)


CASES = tuple(_case(f"case_{n}", n) for n in range(4))


def _schedule(epochs: int) -> fitting.Schedule:
    return fitting.Schedule(epochs, seed=5, patch=(16, 16, 16))


def _network() -> UNet:
    torch.manual_seed(5)
    return UNet(3, (4, 8, 8, 8))


def test_a_run_that_was_cut_off_ends_as_one_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitting.fit(_network(), CASES, _schedule(3), tmp_path / "whole.safetensors")

    def cut_off(done: int, total: int, loss: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    part = tmp_path / "part.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(_network(), CASES, _schedule(3), part, progress=cut_off)
    resumed = fitting.fit(_network(), CASES, _schedule(3), part)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_run_that_is_told_to_stop_ends_there_and_never_goes_back(tmp_path: Path) -> None:
    done: list[int] = []
    checkpoint = tmp_path / "c.safetensors"
    stopped = dataclasses.replace(_schedule(3), stop=2)
    fitting.fit(
        _network(), CASES, stopped, checkpoint, progress=lambda n, total, loss: done.append(n)
    )
    assert done == [1, 2]
    with pytest.raises(ValueError, match="2 epochs, more than 1"):
        fitting.fit(_network(), CASES, dataclasses.replace(stopped, stop=1), checkpoint)


def test_fitting_lowers_the_loss(tmp_path: Path) -> None:
    losses: list[float] = []
    fitting.fit(
        _network(),
        CASES,
        _schedule(8),
        tmp_path / "c.safetensors",
        progress=lambda done, total, loss: losses.append(loss),
    )
    assert losses[-1] < 0.9 * losses[0]


def test_the_loss_is_least_for_the_right_answer() -> None:
    labels = torch.from_numpy(CASES[0].labels.astype(np.int64))[None]
    right = 20.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    assert float(fitting.overlap_and_entropy(right, labels, 3)) < 0.01
    assert float(fitting.overlap_and_entropy(right.flip(1), labels, 3)) > 1


def test_labels_move_with_the_image() -> None:
    torch.manual_seed(0)
    pairs = [placed(case.image, case.labels, (16, 24, 8)) for case in CASES]
    assert all(image.shape == (16, 24, 8) == labels.shape for image, labels in pairs)
    images = torch.from_numpy(np.stack([case.image for case in CASES]))[:, None]
    labels = torch.from_numpy(np.stack([case.labels for case in CASES]).astype(np.int64))[:, None]
    moved, marks = augmented(images, labels)
    assert not torch.equal(marks, labels)
    assert marks.unique().tolist() == [0, 1, 2]
    for image, mark in zip(moved, marks, strict=True):
        assert float(image[mark > 0].mean() - image[mark == 0].mean()) > 1.0


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAR", "PIL"])
def test_nifti_is_read_as_nibabel_reads_it(tmp_path: Path, axes: str) -> None:
    values = np.random.default_rng(1).integers(-50, 900, (5, 6, 7)).astype(np.int16)
    image = nib.Nifti1Image(values, np.diag([1.5, 1.0, 2.0, 1.0]))
    turned = nib.orientations.axcodes2ornt(tuple(axes))
    stored = image.as_reoriented(
        nib.orientations.ornt_transform(turned, nib.io_orientation(image.affine))
    )
    nib.save(stored, tmp_path / "b.nii.gz")
    found, spacing = data.read_nifti(tmp_path / "b.nii.gz")
    lps = values[::-1, ::-1].transpose(2, 1, 0)
    np.testing.assert_array_equal(found, lps)
    assert spacing == pytest.approx((2.0, 1.0, 1.5))


def test_a_scaled_float_nifti_is_read_in_its_own_values(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "a.nii.gz")
    found, _ = data.read_nifti(tmp_path / "a.nii.gz")
    expected = nib.load(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_allclose(found, expected[::-1, ::-1].transpose(2, 1, 0))


def test_what_is_no_set_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(data.UnreadableSet, match="0 images"):
        data.read(tmp_path)


def test_the_parts_of_the_set_share_no_case(test_data: Path) -> None:
    folder = test_data / "train" / "hippocampus_mr"
    if not folder.is_dir():
        pytest.skip("the hippocampus set is not there")
    parts = data.read(folder)
    names = [case.name for part in (parts.train, parts.validation, parts.test) for case in part]
    assert len(names) == len(set(names)) == 178
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (124, 18, 36)


def test_the_mean_shape_is_judged_below_the_truth_itself() -> None:
    truth = judge(CASES, lambda case: case.labels)
    mean = judge(CASES, mean_shape(CASES))
    assert truth.interval("whole").value == 1.0
    assert 0.4 < mean.interval("whole").low <= mean.interval("whole").value < 1.0
    assert mean.worst(1)[0] in mean.dice
