"""Segmentations of masks, which may overlap."""

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.contract import Code, Segment, Segmentation

ORGAN = Code("91723000", "SCT", "Anatomical Structure")


def segment(number: int) -> Segment:
    return Segment(f"part_{number}", number, f"Part {number}", ORGAN, ORGAN)


def boxes() -> list[NDArray[np.bool_]]:
    """The second lies over the first, the third beside both."""
    masks = [np.zeros((3, 8, 8), np.bool_) for _ in range(3)]
    masks[0][:, :5, :5] = masks[1][1, 3:6, 3:6] = masks[2][2, 6:, 6:] = True
    return masks


def test_masks_that_overlap_lie_in_images_of_their_own_and_come_back() -> None:
    masks, segments = boxes(), tuple(segment(number) for number in (1, 2, 3))
    made = Segmentation.of_masks(masks, segments)
    assert [set(np.unique(one).tolist()) for one in made.layers] == [{0, 1, 3}, {0, 2}]
    for mask, one in zip(masks, segments, strict=True):
        assert (made.mask(one) == mask).all()
        assert (made.plane(one, 1) == mask[1]).all()


def test_masks_have_labels_of_8_bits_where_their_numbers_fit() -> None:
    for number, kind in ((255, np.uint8), (256, np.uint16)):
        made = Segmentation.of_masks(boxes()[:1], (segment(number),))
        assert made.labels.dtype == kind
        assert made.mask(made.segments[0]).sum() == 75


def test_masks_need_a_segment_each() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Segmentation.of_masks(boxes(), (segment(1),))
    with pytest.raises(ValueError, match="needs a mask"):
        Segmentation.of_masks([], ())
