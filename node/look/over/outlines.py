"""RT Structure Sets over images: the outlines of structures (PS3.3 C.8.8.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from node.look.canvas import Rgb
from node.look.over.marks import Marks
from node.look.over.port import Entry, Frames, Legend
from node.look.over.shapes import Shape, points_of
from node.retrieve import colours
from storage.header import values
from storage.holdings import Held


def structures(held: Held, frames: Frames, header: Dataset) -> Marks:
    """A structure set's outlines."""
    names = {
        values.known(values.whole(item, "ROINumber")): values.text(item, "ROIName")
        for item in values.items(header, "StructureSetROISequence")
    }
    entries, shapes = [], []
    for item in values.items(header, "ROIContourSequence"):
        number = values.known(values.whole(item, "ReferencedROINumber"))
        if number is not None:
            entries.append(Entry(number, names.get(number) or f"Structure {number}", _rgb(item)))
            shapes += list(_contours(item, number))
    title = values.text(header, "StructureSetLabel") or "Structures"
    return Marks(held, Legend(title, tuple(entries)), shapes)


def _rgb(item: Dataset) -> Rgb:
    given = values.known(values.numbers(item, "ROIDisplayColor")) or ()
    if len(given) == 3 and all(0 <= one <= 255 for one in given):
        red, green, blue = (int(one) for one in given)
        return red, green, blue
    return colours.spare(values.known(values.whole(item, "ReferencedROINumber")) or 1)


def _contours(item: Dataset, number: int) -> Iterator[Shape]:
    for contour in values.items(item, "ContourSequence"):
        kind = values.text(contour, "ContourGeometricType")
        data: Any = values.known(values.numbers(contour, "ContourData"))
        points = points_of(data, 3)
        if points is not None:
            drawn = {"POINT": "POINT", "OPEN_PLANAR": "POLYLINE"}.get(kind, "POLYGON")
            yield Shape(drawn, points, number)
