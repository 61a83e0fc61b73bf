"""The parts of the hippocampus as instances: boxes, scores, masks, on crops never seen."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.codes import ANATOMICAL_STRUCTURE, HIPPOCAMPUS
from analyzers.contract import Detection, Findings, InvalidParameters, Segmentation, Volume
from analyzers.models.engine import overlap
from analyzers.segmentation.hippocampus_instances import (
    HippocampusMaskRcnn,
    InstanceParameters,
    _remarks,
)


def _analyze(volume: Volume, **parameters: float) -> Findings:
    return HippocampusMaskRcnn("cpu").analyze(volume, InstanceParameters(**parameters))


def test_held_out_crops_are_segmented(held_out: list[tuple[Volume, np.ndarray]]) -> None:
    overlaps = []
    for volume, truth in held_out:
        marks = _analyze(volume).items[0]
        assert isinstance(marks, Segmentation)
        overlaps.append(overlap(marks.labels > 0, truth > 0))
    assert np.mean(overlaps) > 0.80
    assert min(overlaps) > 0.65


def test_a_box_holds_its_part_and_nothing_more(
    held_out: list[tuple[Volume, np.ndarray]],
) -> None:
    for volume, truth in held_out[:2]:
        findings = _analyze(volume)
        marks = findings.items[0]
        boxes = [item for item in findings.items if isinstance(item, Detection)]
        assert isinstance(marks, Segmentation)
        assert [box.key for box in boxes] == [
            "anterior_hippocampus_box",
            "posterior_hippocampus_box",
        ]
        for number, box in enumerate(boxes, 1):
            inside = np.zeros(volume.shape, bool)
            window = tuple(slice(a, b + 1) for a, b in zip(box.first, box.last, strict=True))
            inside[window] = True
            assert not (marks.labels == number)[~inside].any()
            assert np.count_nonzero(inside & (truth == number)) > 0.7 * np.count_nonzero(
                truth == number
            )
            assert box.score is not None and 0.5 < box.score <= 1


def test_a_low_score_is_said(held_out: list[tuple[Volume, np.ndarray]]) -> None:
    volume = held_out[0][0]
    calm = _analyze(volume, least_score=0.0).remarks
    assert not any("score" in remark for remark in calm)
    said = [one for one in _analyze(volume, least_score=1.0).remarks if one not in calm]
    assert len(said) == 2 and all("check the result" in one for one in said)


def test_the_report_says_which_networks_are_better_for_volumes(
    held_out: list[tuple[Volume, np.ndarray]],
) -> None:
    said = " ".join(_analyze(held_out[0][0]).remarks)
    assert "hippocampus_fpn and hippocampus_unet are to be preferred" in said


def test_what_was_not_found_is_said() -> None:
    parameters = InstanceParameters()
    assert _remarks([], parameters) == ("No hippocampus was found on these images.",)
    alone = Detection(
        "posterior_hippocampus_box", HIPPOCAMPUS, ANATOMICAL_STRUCTURE, (0, 0, 0), (1, 1, 1), 0.9
    )
    assert _remarks([alone], parameters) == ("Only the posterior part was found.",)


def test_a_score_beyond_one_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="0 to 1"):
        InstanceParameters(least_score=1.5)
