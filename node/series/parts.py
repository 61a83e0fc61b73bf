"""Parts of a series, each looked at by itself: radiographs, and volumes that lie in the same place.

A chest has two views, which many machines put into one series; they make no volume together. Series
of several time points, echoes, b-values or Dixon images hold every slice several times.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Generic, Protocol, TypeVar

import numpy as np

from node.series.frames import PROJECTIONS
from node.series.geometry import depths_of, levels, turns
from storage.records import Header, StoredInstance, StoredSeries

MOST_VOLUMES = 24
"""A series of more (functional, diffusion tensor, cine) is not divided: it is refused by name."""
_IMAGE, _VOLUME = "image ", "volume "
_OF, _BY = " of ", ", by "
_OF_ONE = ("ViewPosition",)
"""What an older index has of the series, as one of its images said it."""
_TELL_APART = {
    "TemporalPositionIdentifier": "Temporal Position",
    "AcquisitionNumber": "Acquisition Number",
    "EchoTime": "Echo Time",
    "EchoNumbers": "Echo Number",
    "ImageType": "Image Type",
    "ContentTime": "Content Time",
    "AcquisitionTime": "Acquisition Time",
}
"""What may tell volumes apart, the surest first, and what people call it."""

_FRAMES = "frames "
_PART = re.compile(rf"(?:{_IMAGE}|{_VOLUME})[0-9a-f]{{16}}$|{_VOLUME}{_FRAMES}\d+/\d+$")
_OF_FRAMES = re.compile(rf"{_VOLUME}{_FRAMES}(\d+)/(\d+)$")


class Placed(Protocol):
    """An image as the index has it."""

    @property
    def id(self) -> int: ...
    @property
    def header(self) -> Header: ...


_Image = TypeVar("_Image", bound=Placed)


def divided(series: Iterable[StoredSeries]) -> list[StoredSeries]:
    """The series, each with several radiographs or volumes as so many with one each; the others,
    and what is a part already, as they are.

    Parts have the id and the UID of the series, and the header of their first image.
    """
    return [part for one in series for part in (_parts(one) or (one,))]


def part_in(variant: str) -> str:
    """Of a job's variant what names the part of the series that it was given."""
    found = _PART.search(variant)
    return found[0] if found else ""


def frames_in(variant: str) -> tuple[int, int] | None:
    """Of a job's variant which volume it was given, of how many that one image holds."""
    found = _OF_FRAMES.search(variant)
    return (int(found[1]), int(found[2])) if found else None


def is_volume(series: StoredSeries) -> bool:
    """Whether it is one of several volumes of its series: each shows the same as the others."""
    return series.part.startswith(_VOLUME)


def named(series: Iterable[StoredSeries], series_instance_uid: str, variant: str) -> str:
    """What people call the part that a job of this variant was given: "volume 2 of 3, by Content
    Time", "image 2"; empty where it was given no part, or the series has it no longer."""
    part = part_in(variant)
    if not part:
        return ""
    own = (one for one in series if one.series_instance_uid == series_instance_uid)
    return next((one.part_name for one in divided(own) if one.part == part), "")


def in_short(name: str) -> str:
    """The name of a part without what tells it apart: "volume 2 of 3"."""
    return name.partition(_BY)[0]


def sentences(name: str) -> tuple[str, ...]:
    """What a report says of a volume that is named so; none of anything else.

    English, as those of analyzers; reports have them in their language.
    """
    if not name.startswith(_VOLUME):
        return ()
    place, _, told_by = name.removeprefix(_VOLUME).partition(_BY)
    some, _, of = place.partition(_OF)
    said = f"Volume {some} of {of} in the series was analyzed; the volumes differ in {told_by}."
    return (said,)


def _parts(series: StoredSeries) -> list[StoredSeries]:
    if series.part:
        return []
    if len(series.instances) == 1:
        return _volumes_of_frames(series, series.instances[0])
    if series.header.get("Modality") in PROJECTIONS and all(map(_is_radiograph, series.instances)):
        return _radiographs(series)
    return _volumes(series)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- radiographs ----------------------------------------------------------------------------------


def _is_radiograph(image: StoredInstance) -> bool:
    return not image.header.get("ImagePositionPatient") and _frames(image.header) == 1


def _frames(header: Header) -> int:
    given = header.get("NumberOfFrames")
    return given if isinstance(given, int) else 1


def _radiographs(series: StoredSeries) -> list[StoredSeries]:
    common = {key: value for key, value in series.header.items() if key not in _OF_ONE}
    return [
        replace(
            series,
            header={**common, **one.header},
            instances=(one,),
            part=_IMAGE + _digest(one.sop_instance_uid),
            part_name=_numbered(one.header),
        )
        for one in series.instances
    ]


def _numbered(header: Header) -> str:
    number = header.get("InstanceNumber")
    return "" if number is None else f"{_IMAGE}{number}"


# --- volumes --------------------------------------------------------------------------------------


def in_volumes(images: Sequence[_Image]) -> list[list[_Image]]:
    """The images volume by volume, where every place has as many of them; else all together."""
    found = _volumes_among(images)
    return [members for _, members in found.volumes] if found else [list(images)]


def _volumes(series: StoredSeries) -> list[StoredSeries]:
    found = _volumes_among(series.instances)
    if found is None or len(found.volumes) > MOST_VOLUMES:
        return []
    return [
        replace(
            series,
            header={**series.header, **members[0].header},
            instances=tuple(members),
            part=_VOLUME + _digest(f"{found.told_by} {value}"),
            part_name=f"{_VOLUME}{number}{_OF}{len(found.volumes)}{_BY}{found.told_by}",
        )
        for number, (value, members) in enumerate(found.volumes, 1)
    ]


@dataclass(frozen=True, slots=True)
class _Volumes(Generic[_Image]):
    """Volumes in their order, each with what its images have in common of ``told_by``."""

    told_by: str
    volumes: list[tuple[Hashable, list[_Image]]]


def _volumes_among(images: Sequence[_Image]) -> _Volumes[_Image] | None:
    places = _places(images)
    copies = set(Counter(places.values()).values())
    if len(copies) != 1 or (count := copies.pop()) == 1:
        return None
    told_by, groups = _told_apart(images, places, count)
    ordered = sorted(groups.items(), key=lambda one: (min(map(_number, one[1])), str(one[0])))
    return _Volumes(told_by, ordered)


def _volumes_of_frames(series: StoredSeries, image: StoredInstance) -> list[StoredSeries]:
    """Of an image that holds every slice several times: the first in each place, the second …"""
    corners, cosines = _corners(image.header), _orientation(image.header)
    if len(corners) < 2 or len(corners) != _frames(image.header):
        return []
    turn = turns(depths_of(corners, cosines))
    if len(set(Counter(turn).values())) != 1 or not 1 < (count := max(turn)) <= MOST_VOLUMES:
        return []
    found = []
    for number in range(1, count + 1):
        own = [corner for corner, one in zip(corners, turn, strict=True) if one == number]
        header = {**image.header, "FramePositions": own}
        found.append(
            replace(
                series,
                header={**series.header, **header},
                instances=(replace(image, header=header),),
                part=f"{_VOLUME}{_FRAMES}{number}/{count}",
                part_name=f"{_VOLUME}{number}{_OF}{count}{_BY}the order of their frames",
            )
        )
    return found


def _places(images: Sequence[Placed]) -> dict[int, Hashable]:
    """Where each image lies, by its id; equal for those in the same place. Empty where one of them
    has no place."""
    corners = [_corners(one.header) for one in images]
    if not all(corners):
        return {}
    orientations = [_orientation(one.header) for one in images]
    depths = np.array(
        [
            float(np.dot(corner, np.cross(cosines[:3], cosines[3:])))
            for own, cosines in zip(corners, orientations, strict=True)
            for corner in own
        ]
    )
    level = iter(levels(depths))
    return {
        one.id: (cosines, tuple(next(level) for _ in own))
        for one, own, cosines in zip(images, corners, orientations, strict=True)
    }


def _corners(header: Header) -> list[list[float]]:
    """Of a multi-frame image those of its frames; none where one is not known, or has no plane."""
    found = header.get("FramePositions") or [header.get("ImagePositionPatient")]
    is_known = all(isinstance(one, list) and len(one) == 3 and None not in one for one in found)
    return found if is_known and _orientation(header) else []


def _orientation(header: Header) -> tuple[float, ...]:
    found = header.get("ImageOrientationPatient")
    if not isinstance(found, list) or len(found) != 6 or None in found:
        return ()
    return tuple(round(value, 3) for value in found)


def _told_apart(
    images: Sequence[_Image], places: Mapping[int, Hashable], count: int
) -> tuple[str, dict[Hashable, list[_Image]]]:
    """The images of each volume, and what tells them apart; a volume has every place once."""
    for words in _tries():
        groups: defaultdict[Hashable, list[_Image]] = defaultdict(list)
        for one in images:
            groups[tuple(str(one.header.get(word)) for word in words)].append(one)
        if len(groups) == count and all(_is_whole(own, places) for own in groups.values()):
            return " and ".join(_TELL_APART[word] for word in words), groups
    return "the order of their images", _in_turn(images, places)


def _tries() -> Iterator[tuple[str, ...]]:
    """Each attribute, then two of them together: a dynamic series of several echoes."""
    for together in (1, 2):
        yield from combinations(_TELL_APART, together)


def _is_whole(images: Sequence[Placed], places: Mapping[int, Hashable]) -> bool:
    """Whether no two lie in one place. As many groups as there are images in each place are then
    all whole."""
    return len({places[one.id] for one in images}) == len(images)


def _in_turn(
    images: Sequence[_Image], places: Mapping[int, Hashable]
) -> dict[Hashable, list[_Image]]:
    """The first image in each place, the second in each …, by Instance Number."""
    groups: defaultdict[Hashable, list[_Image]] = defaultdict(list)
    seen: Counter[Hashable] = Counter()
    for one in sorted(images, key=lambda one: (_number(one), one.id)):
        seen[places[one.id]] += 1
        groups[seen[places[one.id]]].append(one)
    return groups


def _number(image: Placed) -> float:
    found = image.header.get("InstanceNumber")
    return float(found) if isinstance(found, int) else np.inf
