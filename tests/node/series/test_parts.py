"""Series that hold a volume several times are looked at volume by volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from node.results.words import phrases
from node.series import parts
from storage.records import StoredInstance, StoredSeries

AXIAL = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def image(number: int, depth: float, **header: Any) -> StoredInstance:
    common = {"ImageOrientationPatient": AXIAL, "InstanceNumber": number, "Rows": 8}
    return StoredInstance(
        id=number,
        sop_instance_uid=f"1.2.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        key="",
        size_bytes=1,
        sha256="",
        header={**common, "ImagePositionPatient": [0.0, 0.0, depth], **header},
    )


def of(images: Sequence[StoredInstance]) -> StoredSeries:
    return StoredSeries(1, 1, "1.2", {"Modality": "MR", "SeriesNumber": 4}, tuple(images))


def repeated(told: Sequence[dict[str, Any]], slices: int = 4) -> StoredSeries:
    """One volume after the other; ``told`` is what the headers of each say."""
    pairs = [(header, index) for header in told for index in range(slices)]
    return of(
        [image(number, 2.0 * index, **header) for number, (header, index) in enumerate(pairs, 1)]
    )


def numbers(series: StoredSeries) -> list[list[int]]:
    return [
        [one.header["InstanceNumber"] for one in part.instances] for part in parts.divided([series])
    ]


@pytest.mark.parametrize(
    ("told", "by"),
    [
        ([{"TemporalPositionIdentifier": n} for n in (1, 2)], "Temporal Position"),
        ([{"EchoTime": time} for time in (2.3, 4.6)], "Echo Time"),
        ([{"ImageType": ["DERIVED", "PRIMARY", kind]} for kind in "WF"], "Image Type"),
        (
            [{"AcquisitionNumber": 1, "ContentTime": "10"}, {"ContentTime": "11"}],
            "Acquisition Number",
        ),
        ([{}, {}], "the order of their images"),
    ],
)
def test_volumes_are_told_apart_by_what_differs(told: Sequence[dict[str, Any]], by: str) -> None:
    given = repeated(told)
    assert numbers(given) == [[1, 2, 3, 4], [5, 6, 7, 8]]
    names = [part.part_name for part in parts.divided([given])]
    assert names == [f"volume 1 of 2, by {by}", f"volume 2 of 2, by {by}"]


def test_two_attributes_tell_time_points_of_several_echoes_apart() -> None:
    told = [
        {"TemporalPositionIdentifier": point, "EchoTime": echo}
        for point in (1, 2)
        for echo in (2.3, 4.6)
    ]
    found = parts.divided([repeated(told)])
    assert [len(part.instances) for part in found] == [4, 4, 4, 4]
    assert found[0].part_name == "volume 1 of 4, by Temporal Position and Echo Time"


def test_volumes_whose_slices_come_in_turn_are_told_apart() -> None:
    depths = [2.0 * (number // 2) for number in range(8)]
    given = of([image(number, depth) for number, depth in enumerate(depths, 1)])
    assert numbers(given) == [[1, 3, 5, 7], [2, 4, 6, 8]]


def test_a_time_that_each_image_has_for_itself_tells_nothing() -> None:
    images = repeated([{"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}]).instances
    timed = [
        replace(one, header={**one.header, "ContentTime": f"1000{one.id:02d}"}) for one in images
    ]
    assert numbers(of(timed)) == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_images_of_many_frames_that_each_hold_the_volume() -> None:
    places = [[0.0, 0.0, 2.0 * index] for index in range(4)]
    given = of([image(number, 0.0, FramePositions=places) for number in (1, 2, 3)])
    assert numbers(given) == [[1], [2], [3]]


@pytest.mark.parametrize("order", [[0, 0, 1, 1, 2, 2], [0, 1, 2, 0, 1, 2]])
def test_frames_of_one_image_that_holds_the_volume_twice(order: list[int]) -> None:
    places = [[0.0, 0.0, 2.0 * place] for place in order]
    whole = of([image(1, 0.0, FramePositions=places, NumberOfFrames=6)])
    found = parts.divided([whole])
    assert [parts.frames_in(f"a rule{one.part}") for one in found] == [(1, 2), (2, 2)]
    assert [one.part_name for one in found][1] == "volume 2 of 2, by the order of their frames"
    assert [one.header["FramePositions"] for one in found] == [
        [*places[:1], [0, 0, 2.0], [0, 0, 4]]
    ] * 2
    assert parts.named([whole], "1.2", found[1].part) == found[1].part_name
    assert parts.frames_in(parts.divided([repeated([{}, {}])])[0].part) is None


@pytest.mark.parametrize(
    "whole",
    [
        of([image(number, 2.0 * number) for number in range(1, 6)]),
        of([*(image(number, 2.0 * number) for number in range(1, 6)), image(6, 2.0)]),
        of([image(1, 0.0), image(2, 0.0, ImagePositionPatient=None)]),
        of([image(1, 0.0, FramePositions=[[0, 0, 0], [0, 0, 2], [0, 0, 0]], NumberOfFrames=3)]),
        of([image(1, 0.0, FramePositions=[[0, 0, 0], [0, 0, 0]], NumberOfFrames=4)]),
        of([image(1, 0.0), image(2, 0.0, ImageOrientationPatient=[1.0, 0, 0, 0, 0, -1.0])]),
        repeated([{"AcquisitionNumber": n} for n in range(parts.MOST_VOLUMES + 1)]),
    ],
    ids=[
        "one volume",
        "one slice twice",
        "without a place",
        "one frame twice",
        "frames unknown",
        "planes that cross",
        "too many",
    ],
)
def test_what_does_not_hold_whole_volumes_stays_together(whole: StoredSeries) -> None:
    assert parts.divided([whole]) == [whole]


def test_a_volume_keeps_its_name_in_the_ledger_when_another_comes() -> None:
    told = [{"TemporalPositionIdentifier": n} for n in (1, 2, 3)]
    before, after = parts.divided([repeated(told[:2])]), parts.divided([repeated(told)])
    assert [one.part for one in after[:2]] == [one.part for one in before]
    variant = f"a rule{before[1].part}"
    assert parts.part_in(variant) == before[1].part
    assert parts.named([repeated(told)], "1.2", variant) == "volume 2 of 3, by Temporal Position"
    assert parts.named([repeated(told[:1])], "1.2", variant) == ""


def test_parts_are_not_divided_again() -> None:
    found = parts.divided([repeated([{}, {}])])
    assert parts.divided(found) == found


def test_a_report_says_which_volume_it_is_of() -> None:
    (said,) = parts.sentences("volume 2 of 3, by Echo Time")
    assert said == "Volume 2 of 3 in the series was analyzed; the volumes differ in Echo Time."
    assert "Volumen 2 von 3" in phrases.shown(said, "de")
    assert parts.sentences("") == parts.sentences("image 3") == ()
