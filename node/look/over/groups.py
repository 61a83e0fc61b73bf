"""Where the frames of a multi-frame object lie, by their functional groups (PS3.3 C.7.6.16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.look.place import Place, place_of
from node.look.stack import Slice
from storage.header import values

_NEAR = 0.5
"""Of the distance between its planes: farther off, a frame lies on no slice."""
_SAME_GRID = 1e-2
"""Pixels: frames that lie so near to each other's pixels are taken as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The frames of an object, in the order of its pixel data, counted from 0.

    positions: (frame, 3); None where there are none. place: of the first frame; the others differ
    in their positions alone. sources: frames by the image that they were made from.
    """

    positions: NDArray[np.float64] | None
    place: Place | None
    step_mm: float
    sources: dict[tuple[str, int], list[int]]

    def near(self, shown: Slice) -> list[int]:
        """The frames that lie on a slice, the nearest first."""
        if self.positions is None or self.place is None or shown.place is None:
            return self.sources.get((shown.held.sop_instance_uid, shown.frame), [])
        if not self.place.is_parallel(shown.place):
            return []
        apart = np.abs((self.positions - shown.place.position) @ shown.place.normal)
        near = np.flatnonzero(apart <= _NEAR * self.step_mm)
        order: list[int] = near[np.argsort(apart[near], kind="stable")].tolist()
        return order

    def from_slice(self, shown: Slice) -> NDArray[np.float64] | None:
        """2x3, from (column, row, 1) of a slice; None where the pixels are the same."""
        if self.place is None or shown.place is None:
            return None
        matrix = self.place.from_pixels_of(shown.place)
        is_same = np.abs(matrix - [[1, 0, 0], [0, 1, 0]]).max() < _SAME_GRID
        return None if is_same else matrix


def planes_of(header: Dataset) -> Planes:
    """Of an object with functional groups; without any, it has one frame where it says."""
    shared = values.item(header, "SharedFunctionalGroupsSequence")
    groups = values.items(header, "PerFrameFunctionalGroupsSequence") or [header]
    places = [_place(own, shared) for own in groups]
    known = [one for one in places if one is not None]
    if known and len(known) == len(places):
        positions = np.array([one.position for one in known])
        step = _step(positions, known[0], group(groups[0], shared, "PixelMeasuresSequence"))
        return Planes(positions, known[0], step, {})
    return Planes(None, None, 0.0, _sources(groups, shared))


def group(own: Dataset, shared: Dataset, keyword: str) -> Dataset:
    """A functional group of a frame, else the shared one, else an empty item."""
    found = values.items(own, keyword) or values.items(shared, keyword)
    return found[0] if found else Dataset()


def _place(own: Dataset, shared: Dataset) -> Place | None:
    position = group(own, shared, "PlanePositionSequence")
    orientation = group(own, shared, "PlaneOrientationSequence")
    measures = group(own, shared, "PixelMeasuresSequence")
    return place_of(
        values.known(values.numbers(position, "ImagePositionPatient")),
        values.known(values.numbers(orientation, "ImageOrientationPatient")),
        values.known(values.numbers(measures, "PixelSpacing")),
    )


def _step(positions: NDArray[np.float64], place: Place, measures: Dataset) -> float:
    """Between planes: as the object says, else as they lie, else as thick as they are."""
    said = values.known(values.number(measures, "SpacingBetweenSlices"))
    if said:
        return abs(said)
    depths = np.unique(np.round(positions @ place.normal, 2))
    if len(depths) > 1:
        return float(np.diff(depths).min())
    return abs(values.known(values.number(measures, "SliceThickness")) or 1.0)


def _sources(groups: Sequence[Dataset], shared: Dataset) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], list[int]] = {}
    for number, own in enumerate(groups):
        derivation = group(own, shared, "DerivationImageSequence")
        for source in values.items(derivation, "SourceImageSequence"):
            uid = values.uid(source, "ReferencedSOPInstanceUID")
            frames = values.known(values.numbers(source, "ReferencedFrameNumber")) or (1,)
            for frame in frames:
                found.setdefault((uid, int(frame)), []).append(number)
    return found
