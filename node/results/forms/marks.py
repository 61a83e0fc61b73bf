"""What is shown of findings on images: structures and boxes, each with its name and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analyzers import structures
from analyzers.contract import Detection, Segment, Segmentation
from node.results import presence
from node.results.bench import Bench
from node.results.forms import rows
from node.results.modules import contours
from node.results.modules.contours import Line
from node.results.report import statements

Rgb = tuple[int, int, int]

BOX_RGB: Rgb = structures.rgb_of(structures.BOX)


@dataclass(frozen=True, slots=True)
class Caption:
    """What is written of a structure or box.

    tag: its number among all of the run, the same on every picture; empty where it is the only
    one. kind: the meaning of its code, which is English.
    """

    tag: str
    name: str
    kind: str
    numbers: tuple[str, ...]
    rgb: Rgb


class Mark(Protocol):
    """Something found that lies somewhere."""

    @property
    def caption(self) -> Caption: ...
    @property
    def key_slice(self) -> int:
        """Where it is looked at."""
        ...

    @property
    def slices(self) -> Sequence[int]:
        """Where it is, in rising order."""
        ...

    def lines(self, index: int) -> list[Line]:
        """Round it on a slice, and round its holes."""
        ...

    def share(self, index: int) -> float:
        """How much of it a slice shows, against that where it is looked at; 0–1."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """A structure of a segmentation; ``areas``: its pixels on each slice."""

    caption: Caption
    segmentation: Segmentation
    segment: Segment
    areas: NDArray[np.int64]

    @property
    def key_slice(self) -> int:
        return int(self.areas.argmax())

    @property
    def slices(self) -> list[int]:
        return [int(index) for index in np.flatnonzero(self.areas)]

    def lines(self, index: int) -> list[Line]:
        if not self.areas[index]:
            return []
        return contours.around(self.segmentation.plane(self.segment, index))

    def share(self, index: int) -> float:
        return float(self.areas[index] / self.areas.max())


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A box: the same on every slice that it crosses."""

    caption: Caption
    detection: Detection

    @property
    def key_slice(self) -> int:
        return (self.detection.first[0] + self.detection.last[0]) // 2

    @property
    def slices(self) -> range:
        return range(self.detection.first[0], self.detection.last[0] + 1)

    def lines(self, index: int) -> list[Line]:
        (_, top, left), (_, bottom, right) = self.detection.first, self.detection.last
        corners = [(left, top), (right + 1, top), (right + 1, bottom + 1), (left, bottom + 1)]
        closed = np.array([*corners, corners[0]], np.float32)
        return [closed] if index in self.slices else []

    def share(self, index: int) -> float:
        return float(index in self.slices)


def of(bench: Bench) -> list[Mark]:
    """The structures that have a voxel and the boxes, in the order of the findings."""
    language = bench.provenance.maker.language
    found: list[Structure | Box] = []
    for index, item in enumerate(bench.findings.items):
        first = len(found) + 1
        if isinstance(item, Segmentation):
            found += _structures(item, bench.present[index], language, first)
        elif isinstance(item, Detection):
            found.append(Box(_caption(item, BOX_RGB, language, first), item))
    return [*(_untagged(one) for one in found)] if len(found) == 1 else [*found]


def _untagged(only: Structure | Box) -> Mark:
    return replace(only, caption=replace(only.caption, tag=""))


def _structures(
    item: Segmentation,
    present: Sequence[Segment],
    language: str,
    first: int,
) -> Iterator[Structure]:
    areas = presence.areas(item)
    numbers = count(first)
    for place, segment in enumerate(item.segments):
        if segment in present:
            caption = _caption(segment, segment.rgb, language, next(numbers))
            yield Structure(caption, item, segment, areas[:, place])


def _caption(item: Segment | Detection, rgb: Rgb, language: str, number: int) -> Caption:
    said = _numbers(item, language)
    return Caption(str(number), _name(item, language), item.kind.meaning, said, rgb)


def _name(item: Segment | Detection, language: str) -> str:
    if isinstance(item, Segment):
        return item.label
    return statements.detection_name(item, language)


def _numbers(item: Segment | Detection, language: str) -> tuple[str, ...]:
    """A line a number or answer: "Volume: 1230 mL"."""
    said = rows.of_finding(item, language, briefly=True)
    return tuple(f"{name}: {value}" for name, value in said)
