"""What is shown of findings on images: structures and boxes, each with its name and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Detection, Segment, Segmentation
from node.results import presence
from node.results.bench import Bench
from node.results.modules import contours
from node.results.modules.contours import Line
from node.results.report import lines
from node.results.words import numbers, phrases
from storage.records import FindingRow

Rgb = tuple[int, int, int]

BOX_RGB: Rgb = (255, 210, 60)
PALETTE: tuple[Rgb, ...] = (
    *((230, 80, 60), (80, 170, 240), (120, 210, 90), (240, 170, 50)),
    *((200, 110, 220), (60, 210, 200), (245, 230, 90), (250, 140, 170)),
)
"""For structures that would have the colour of another one."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What is written of a structure or box. kind: what it is, in words of its code."""

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
    colours, language = _Colours(), bench.provenance.maker.language
    found: list[Mark] = []
    for index, item in enumerate(bench.findings.items):
        if isinstance(item, Segmentation):
            found += _structures(item, bench.present[index], colours, language)
        elif isinstance(item, Detection):
            found.append(Box(_caption_of_box(item, language), item))
    return found


class _Colours:
    """No two structures have one colour, as long as there are enough."""

    def __init__(self) -> None:
        self._used: set[Rgb] = set()

    def give(self, wanted: Rgb) -> Rgb:
        free = (one for one in (wanted, *PALETTE) if one not in self._used)
        given = next(free, wanted)
        self._used.add(given)
        return given


def _structures(
    item: Segmentation, present: Sequence[Segment], colours: _Colours, language: str
) -> Iterator[Structure]:
    areas = presence.areas(item)
    for place, segment in enumerate(item.segments):
        if segment in present:
            caption = _caption_of(segment, item, colours.give(segment.rgb), language)
            yield Structure(caption, item, segment, areas[:, place])


def _caption_of(segment: Segment, item: Segmentation, rgb: Rgb, language: str) -> Caption:
    said: tuple[str, ...] = ()
    if segment.measurements or segment.classifications:
        alone = replace(item, segments=(segment,))
        said = _numbers(lines.of_segmentation(alone, [segment], language), language)
    return Caption(segment.label, phrases.shown(segment.kind.meaning, language), said, rgb)


def _caption_of_box(item: Detection, language: str) -> Caption:
    certainty, *rest = lines.of_detection(item, language)
    rows = rest if certainty.value is None else [certainty, *rest]
    kind = phrases.shown(item.kind.meaning, language)
    return Caption(certainty.structure, kind, _numbers(rows, language), BOX_RGB)


def _numbers(rows: Iterable[FindingRow], language: str) -> tuple[str, ...]:
    """A line a number or answer: "Volume: 1230 mL"."""
    said = []
    for row in rows:
        if row.value is not None:
            value = numbers.spelled(numbers.written(numbers.shown(row.value)), language)
            said.append(f"{row.name}: {value} {row.unit}".rstrip())
        elif row.text:
            said.append(f"{row.name}: {row.text}")
    return tuple(said)
