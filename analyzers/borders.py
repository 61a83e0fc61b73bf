"""Whether what was measured is shown whole: volumes of structures that meet a border of the images.

Holds for every analyzer, whoever wrote it: the node asks it of what each of them gave back. A
structure that is in all parts of the body (``Structure.is_everywhere``: bone) always goes on beyond
the images, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, structures
from analyzers.codes import PRIVATE_SCHEME
from analyzers.contract import (
    Classification,
    Code,
    Finding,
    Findings,
    Labels,
    Segment,
    Segmentation,
    Volume,
)

EXTENT = Code("EXTENTSHOWN", PRIVATE_SCHEME, "Extent in the images")
CUT = Code("CUTBYBORDER", PRIVATE_SCHEME, "Cut by the border of the images")
SIDES = (("on the right", "on the left"), ("in front", "behind"), ("below", "above"))
"""In which directions a border lies from the middle: against and along patient x, y and z."""
FIELD = "at the field of view"


def told(findings: Findings, volume: Volume) -> Findings:
    """The findings, with a remark and an answer for each structure with a volume that is cut.

    What is cut is not compared with what is usual: such a volume loses its reference range.
    """
    if volume.projection or 0 in volume.shape:
        return findings
    remarks: list[str] = []
    items = tuple(_told_of(item, volume, remarks) for item in findings.items)
    return replace(findings, items=items, remarks=(*remarks, *findings.remarks))


def _told_of(item: Finding, volume: Volume, remarks: list[str]) -> Finding:
    if not isinstance(item, Segmentation):
        return item
    measured = [segment for segment in item.segments if _has_volume(segment)]
    met = dict.fromkeys((segment.number for segment in measured), "")
    for side, numbers in _at_borders(item.layers, volume):
        for number in met.keys() & numbers:
            met[number] += f", {side}" if met[number] else side
    if not any(met.values()):
        return item
    remarks += [_remark(one, met[one.number]) for one in measured if met[one.number]]
    segments = tuple(_cut(one, met.get(one.number, "")) for one in item.segments)
    return replace(item, segments=segments)


def _has_volume(segment: Segment) -> bool:
    known = structures.table().get(segment.structure)
    if known is not None and known.is_everywhere:
        return False
    return any(one.name == codes.VOLUME for one in segment.measurements)


def _remark(segment: Segment, sides: str) -> str:
    return (
        f"{segment.label} reaches the border of the images ({sides}): "
        "its volume is of the part that is shown."
    )


def _cut(segment: Segment, sides: str) -> Segment:
    if not sides:
        return segment
    answer = Classification(EXTENT, CUT, reasons=(sides,))
    measurements = tuple(
        replace(one, reference=None) if one.name == codes.VOLUME else one
        for one in segment.measurements
    )
    return replace(
        segment, measurements=measurements, classifications=(*segment.classifications, answer)
    )


def _at_borders(layers: tuple[Labels, ...], volume: Volume) -> Iterator[tuple[str, set[int]]]:
    """Each border by its side, and the numbers of what lies on it."""
    for axis in range(3):
        direction = volume.affine[:3, axis]
        nearest = int(np.argmax(np.abs(direction)))
        for end in (0, -1):
            along = (direction[nearest] > 0) == (end == -1)
            faces = [layer.take([end], axis) for layer in layers]
            yield SIDES[nearest][int(along)], _numbers(faces)
    rim = _rim_of_field(volume)
    if rim is not None:
        yield FIELD, _numbers([layer[rim] for layer in layers])


def _numbers(faces: list[NDArray[Any]]) -> set[int]:
    return {int(number) for face in faces for number in np.unique(face)} - {0}


def _rim_of_field(volume: Volume) -> NDArray[np.bool_] | None:
    """The outermost measured pixels, slice by slice, where the scanner looked at less than the
    images hold; None where it did not."""
    import cv2

    from analyzers.grid.field import field_of_view

    field = field_of_view(volume)
    if field is None:
        return None
    rim = np.zeros(field.shape, bool)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    for index, plane in enumerate(field):
        inner = cv2.erode(plane.astype(np.uint8), cross, borderType=cv2.BORDER_REPLICATE)
        rim[index] = plane & (inner == 0)
    return rim
