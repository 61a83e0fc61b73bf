"""The order in which slices are looked through, and where each lies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from node.look.kept import Kept
from node.look.place import given_letters, place_of
from node.look.stack import stack_of
from storage.holdings import Held
from storage.index.shown import Member

AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]
WHEN = datetime(2026, 3, 1, tzinfo=UTC)


def member(row: int, **header: Any) -> Member:
    held = Held(row, "", "1", "2", f"3.{row}", "4", "5", "k", 1, f"sha{row}", False, WHEN)
    return Member(held, 1, {"Rows": 4, "Columns": 5, "PixelSpacing": [1, 1], **header})


def order(*members: Member) -> list[int]:
    return [one.held.id for one in stack_of(1, members, {}).slices]


@pytest.mark.parametrize(
    ("orientation", "first", "second"),
    [
        (AXIAL, [0, 0, 9], [0, 0, 2]),
        ([-1, 0, 0, 0, 1, 0], [0, 0, 9], [0, 0, 2]),  # feet first
        (CORONAL, [0, -4, 0], [0, 3, 0]),
        (SAGITTAL, [-5, 0, 0], [6, 0, 0]),
    ],
    ids=["axial", "feet first", "coronal", "sagittal"],
)
def test_stacks_go_from_head_to_feet_from_front_to_back_and_from_right_to_left(
    orientation: list[float], first: list[float], second: list[float]
) -> None:
    members = [
        member(1, ImagePositionPatient=second, ImageOrientationPatient=orientation),
        member(2, ImagePositionPatient=first, ImageOrientationPatient=orientation),
    ]
    assert order(*members) == [2, 1]


@pytest.mark.parametrize("in_turn", [True, False], ids=["slice by slice", "volume by volume"])
def test_of_several_volumes_one_comes_after_the_other(in_turn: bool) -> None:
    images = [(place, time) for place in (0, 2, 4) for time in (1, 2)]
    images.sort(key=lambda image: image if in_turn else image[::-1])
    members = [
        member(
            number,
            InstanceNumber=number,
            ImagePositionPatient=[0, 0, -place],
            ImageOrientationPatient=AXIAL,
            TemporalPositionIdentifier=time,
        )
        for number, (place, time) in enumerate(images, 1)
    ]
    looked_through = [images[number - 1] for number in order(*members)]
    assert looked_through == [(place, time) for time in (1, 2) for place in (0, 2, 4)]


@pytest.mark.parametrize("depths", [[0, 0, 2, 2, 4, 4], [0, 2, 4, 0, 2, 4]])
def test_of_several_volumes_in_one_image_one_comes_after_the_other(depths: list[float]) -> None:
    places = [[0, 0, -depth] for depth in depths]
    image = member(1, FramePositions=places, ImageOrientationPatient=AXIAL, NumberOfFrames=6)
    frames = [one.frame for one in stack_of(1, [image], {}).slices]
    assert [depths[frame - 1] for frame in frames] == [0, 2, 4, 0, 2, 4]
    assert sorted(frames) == [1, 2, 3, 4, 5, 6]


def test_images_without_a_place_follow_their_numbers() -> None:
    assert order(member(1, InstanceNumber=3), member(2, InstanceNumber=1), member(3)) == [2, 1, 3]


def test_a_localizer_of_another_direction_does_not_lie_between_the_slices() -> None:
    axial = [
        member(row, InstanceNumber=row, ImagePositionPatient=[0, 0, -row],
               ImageOrientationPatient=AXIAL)
        for row in (2, 3)
    ]  # fmt: skip
    localizer = member(
        1, InstanceNumber=1, ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=SAGITTAL
    )
    assert order(axial[1], localizer, axial[0]) == [1, 2, 3]


def test_frames_of_a_multi_frame_image_are_slices_in_the_order_of_their_places() -> None:
    places = [[0, 0, 3], [0, 0, 9], [0, 0, 6]]
    header = {"NumberOfFrames": 3, "FramePositions": places, "ImageOrientationPatient": AXIAL}
    slices = stack_of(1, [member(1, **header)], {}).slices
    assert [one.frame for one in slices] == [2, 3, 1]


def test_letters_are_those_of_the_sides_where_columns_and_rows_lead() -> None:
    def letters(orientation: list[float]) -> tuple[str, ...]:
        place = place_of([0, 0, 0], orientation, [1, 1])
        assert place is not None
        return place.letters()

    assert letters(AXIAL) == ("R", "L", "A", "P")
    assert letters([-1, 0, 0, 0, 1, 0]) == ("L", "R", "A", "P")
    assert letters(CORONAL) == ("R", "L", "H", "F")
    assert letters(SAGITTAL) == ("A", "P", "H", "F")
    tilted = [1, 0, 0, 0, float(np.cos(0.5)), -float(np.sin(0.5))]
    assert letters(tilted) == ("R", "L", "AH", "PF")
    assert given_letters(["l", "F"]) == ("R", "L", "H", "F")
    assert given_letters(["<b>", "F"]) == ("", "", "", "")


@pytest.mark.parametrize(
    ("position", "orientation", "spacing"),
    [
        (None, AXIAL, [1, 1]),
        ([0, 0], AXIAL, [1, 1]),
        ([0, 0, 0], [0] * 6, [1, 1]),
        ([0, 0, 0], [1, 0, 0, 1, 0, 0], [1, 1]),
        ([0, 0, 0], AXIAL, [0, 1]),
        ([0, 0, float("nan")], AXIAL, [1, 1]),
    ],
)
def test_numbers_that_are_no_place_give_none(
    position: list[float] | None, orientation: list[float], spacing: list[float]
) -> None:
    assert place_of(position, orientation, spacing) is None


def test_no_more_is_kept_than_the_limit_and_what_was_asked_for_last_stays() -> None:
    kept: Kept[bytes] = Kept(10, len)
    for key in ("a", "b"):
        kept.get(key, lambda: b"12345")
    kept.get("a", lambda: b"other")
    kept.get("c", lambda: b"12345")
    assert kept.get("a", lambda: b"new") == b"12345"
    assert kept.get("b", lambda: b"new") == b"new"
    kept.get("large", lambda: bytes(11))
    assert kept.size_bytes <= 10
