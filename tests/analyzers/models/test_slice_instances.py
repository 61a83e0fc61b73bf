"""A Mask R-CNN on slices: what it is shown, what it has to find, what becomes of its marks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from analyzers.models.slice_instances import (
    LEAST_SHARE,
    ZOOM,
    SliceMark,
    enlarged,
    labelled,
    marked,
    mask_rcnn,
)
from analyzers.models.training import volumetric_fit as fitting
from analyzers.models.training.hippocampus_data import Case
from analyzers.models.training.slice_fit import slice_loss, targets
from analyzers.models.training.slice_precision import judged_slice


def _case() -> Case:
    labels = np.zeros((16, 24, 12), np.uint8)
    labels[4:12, 4:12, 3:9] = 1
    labels[4:12, 12:20, 3:9] = 2
    noise = np.random.default_rng(1).normal(0, 0.2, labels.shape)
    return Case("block", (labels * 1.0 + noise).astype(np.float32), labels)


def test_a_slice_lies_between_its_neighbours_and_keeps_its_place() -> None:
    volume = torch.arange(5.0).expand(9, 16, 5)
    shown = enlarged(volume, torch.tensor([0, 2, 4]))
    assert shown.shape == (3, 3, 32, 48)  # 27 and 48 pixels, padded to multiples of 8
    assert shown[:, :, 3, 3].tolist() == [[0, 0, 1], [1, 2, 3], [3, 4, 4]]
    assert not shown[:, :, 27:].any()


def test_a_slice_asks_for_each_part_that_it_shows_in_pixels() -> None:
    marks = torch.zeros((10, 14), dtype=torch.int64)
    marks[2:5, 3:9] = 2
    marks[0, 0] = 1  # too few voxels
    wanted = targets(marks)
    assert wanted["labels"].tolist() == [2]
    assert wanted["boxes"].tolist() == [[3 * ZOOM, 2 * ZOOM, 9 * ZOOM, 5 * ZOOM]]
    assert wanted["masks"].shape == (1, 32, 48)
    assert wanted["masks"].sum() == 18 * ZOOM**2
    assert targets(torch.zeros_like(marks))["boxes"].shape == (0, 4)


def test_marks_are_right_once_a_part_and_with_half_the_overlap() -> None:
    labels = _case().labels[:, :, 5]
    whole = (labels == 1).astype(np.float32)
    half = np.zeros_like(whole)
    half[:9] = whole[:9] * 0.9
    little = np.zeros_like(whole)
    little[:6] = whole[:6]
    marks = [
        SliceMark(5, 1, 0.5, whole),
        SliceMark(5, 1, 0.9, half),
        SliceMark(5, 2, 0.8, whole),
        SliceMark(5, 1, 0.95, little),
    ]
    found = judged_slice(marks, labels)
    assert found.score.tolist() == [0.95, 0.9, 0.8, 0.5]
    assert found.right.tolist() == [False, True, False, False]
    assert found.taken.tolist() == [True, False]


def test_a_voxel_belongs_to_the_strongest_part_that_is_strong_enough() -> None:
    fields = np.zeros((3, 1, 1, 3), np.float32)
    fields[1, 0, 0] = [LEAST_SHARE, 0.9, LEAST_SHARE - 0.01]
    fields[2, 0, 0] = [0.1, 0.95, 0.0]
    assert labelled(fields).ravel().tolist() == [1, 2, 0]


def test_a_training_that_was_cut_off_ends_as_one_in_one_go(tmp_path: Path) -> None:
    schedule = fitting.Schedule(2, 3, (16, 24, 12), batch=1, rate=3e-3)

    def trained(name: str, stop: int = 0) -> torch.nn.Module:
        torch.manual_seed(3)
        until = dataclasses.replace(schedule, stop=stop)
        return fitting.fit(mask_rcnn(3), [_case()], until, tmp_path / name, loss_of=slice_loss)

    whole = trained("whole.safetensors")
    trained("part.safetensors", stop=1)
    resumed = trained("part.safetensors")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert marked(resumed, _case().image, 3, "cpu").fields.shape == (3, 16, 24, 12)
