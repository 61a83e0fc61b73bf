"""A volume of what the images cut says so, whichever analyzer measured it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers import borders, codes, structures
from analyzers.contract import Findings, Measurement, Reference, Segmentation, Volume
from node.results.words import phrases

SHAPE = (6, 8, 10)
INSIDE = (slice(2, 4), slice(3, 5), slice(4, 6))


def volume(valid: NDArray[np.bool_] | None = None, feet_first: bool = False) -> Volume:
    affine = np.zeros((4, 4))  # slices to the head, rows to the back, columns to the left
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = 3.0, 1.0, 1.0, 1.0
    if feet_first:
        affine[2, 0] = -3.0
    stored = np.zeros(SHAPE, np.int16)
    if valid is not None:
        stored[~valid] = -2000
    ones = np.ones(SHAPE[0])
    return Volume(
        stored, affine, "CT", ones, np.zeros(SHAPE[0]), codes.HOUNSFIELD_UNIT, valid=valid
    )


def findings(
    place: tuple[slice, slice, slice],
    structure: str = "left_lung",
    reference: Reference | None = None,
) -> Findings:
    mask = np.zeros(SHAPE, bool)
    mask[place] = True
    size = Measurement(codes.VOLUME, 12.0, codes.MILLILITER, reference=reference)
    segment = structures.of(structure).segment(1, (size,))
    return Findings((Segmentation.of_masks([mask], (segment,)),), ("Said before.",))


@pytest.mark.parametrize(
    ("place", "side"),
    [
        ((slice(0, 3), *INSIDE[1:]), "below"),
        ((slice(2, 6), *INSIDE[1:]), "above"),
        ((INSIDE[0], slice(0, 2), INSIDE[2]), "in front"),
        ((INSIDE[0], slice(7, 8), INSIDE[2]), "behind"),
        ((*INSIDE[:2], slice(0, 5)), "on the right"),
        ((*INSIDE[:2], slice(9, 10)), "on the left"),
        ((slice(0, 6), slice(0, 3), INSIDE[2]), "below, above, in front"),
    ],
)
def test_a_volume_that_meets_a_border_says_so_and_where(
    place: tuple[slice, slice, slice], side: str
) -> None:
    said = borders.told(findings(place), volume())
    first, *others = said.remarks
    assert first.startswith(f"Left lung reaches the border of the images ({side})")
    assert others == ["Said before."]
    (item,) = said.items
    assert isinstance(item, Segmentation)
    (answer,) = item.segments[0].classifications
    assert answer.answer == borders.CUT
    assert answer.reasons == (side,)


def test_below_is_below_in_the_patient_whatever_the_order_of_slices() -> None:
    said = borders.told(findings((slice(2, 6), *INSIDE[1:])), volume(feet_first=True))
    assert "(below)" in said.remarks[0]


def test_what_lies_inside_and_what_is_everywhere_is_left_alone() -> None:
    inside, bone = findings(INSIDE), findings((slice(0, 6), *INSIDE[1:]), "bone")
    assert borders.told(inside, volume()) == inside
    assert borders.told(bone, volume()).remarks == bone.remarks


def test_a_volume_that_is_cut_is_not_compared_with_what_is_usual() -> None:
    usual = Reference(10.0, 20.0, "adults")
    for place, kept in ((INSIDE, usual), ((slice(0, 3), *INSIDE[1:]), None)):
        (item,) = borders.told(findings(place, reference=usual), volume()).items
        assert isinstance(item, Segmentation)
        assert item.segments[0].measurements[0].reference == kept


def test_the_field_of_view_is_a_border_where_padding_tells_it() -> None:
    valid = np.zeros(SHAPE, bool)
    valid[:, 2:7, 2:8] = True
    meets = (INSIDE[0], slice(2, 4), INSIDE[2])
    assert "(at the field of view)" in borders.told(findings(meets), volume(valid)).remarks[0]
    assert borders.told(findings(INSIDE), volume(valid)).remarks == ("Said before.",)


def test_a_report_says_it_in_german() -> None:
    said = borders.told(findings((slice(0, 6), *INSIDE[1:])), volume()).remarks[0]
    german = phrases.shown(said, "de")
    assert german.startswith("Linke Lunge reicht bis an den Rand der Bilder (unten, oben)")
