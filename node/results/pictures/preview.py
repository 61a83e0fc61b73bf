"""A picture of a result for people: an axial and a coronal cut with coloured outlines and a legend.

Owns what is shown: which slices, in which window, seen along the patient's axes. Orientation comes
from the affine, not from the order of slices. Holds no patient data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers import structures
from analyzers.contract import (
    DerivedImage,
    Detection,
    Labels,
    ParametricMap,
    Segment,
    Segmentation,
    Volume,
)
from node.results.pictures import colour_map
from node.results.pictures.page import RADIOGRAPH, Box, Cut, Entry, Scale, draw
from node.results.words.numbers import certainty_percent, on_screen
from node.series.source import Source
from storage.header import values

Window = tuple[float, float]
"""Centre and width, in the units of the values."""

LUNG_WINDOW, BONE_WINDOW, SOFT_TISSUE_WINDOW = (-600.0, 1500.0), (400.0, 1800.0), (40.0, 400.0)
_WINDOW_WORDS = (("lung", LUNG_WINDOW), ("nodule", LUNG_WINDOW), ("bone", BONE_WINDOW))
BOX_RGB = structures.rgb_of(structures.BOX)


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """A volume seen along the patient's axes: index (z, y, x) rises to head, back and left.

    A view, not a copy: axes are exchanged and turned to the nearest patient axis.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    spacing_mm: tuple[float, float, float]

    @staticmethod
    def of(volume: Volume) -> Patient:
        directions = volume.affine[:3, :3] / volume.spacing_mm
        order = _assign(np.abs(directions))
        flips = [bool(directions[axis, order[i]] < 0) for i, axis in enumerate((2, 1, 0))]
        spacing = [float(volume.spacing_mm[axis]) for axis in order]
        return Patient(order, (flips[0], flips[1], flips[2]), (spacing[0], spacing[1], spacing[2]))

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        turned = array.transpose(self.order)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def box(self, detection: Detection, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """First and last corner of a detection in this view, 2×3."""
        corners = np.array([detection.first, detection.last])[:, self.order]
        extent = np.array([shape[axis] for axis in self.order])
        for axis, flip in enumerate(self.flips):
            if flip:
                corners[:, axis] = extent[axis] - 1 - corners[::-1, axis]
        return corners

    def place(self, volume: Volume, name: str, index: int) -> str:
        """Where a cut lies in the patient: "axial" along z, "coronal" along y."""
        across = 0 if name == "axial" else 1
        at = (np.array(volume.shape) - 1) / 2
        axis = self.order[across]
        at[axis] = volume.shape[axis] - 1 - index if self.flips[across] else index
        point = volume.affine @ (*at, 1)
        return f"{'zy'[across]} = {point[2 - across]:.0f} mm"

    def size_mm(self, name: str, shape: tuple[int, ...]) -> tuple[float, float]:
        """Height and width of an axial or coronal cut."""
        z, y, x = self.spacing_mm
        return shape[0] * (y if name == "axial" else z), shape[1] * x


def segmentation(
    source: Source, item: Segmentation, shown: Sequence[Segment], title: str, path: Path
) -> None:
    """Draw the structures on the axial slice where most of them is, and on a coronal cut."""
    volume = _volume(source)
    patient = Patient.of(volume)
    layers = [patient.view(layer) for layer in item.layers]
    colours = {segment.number: segment.rgb for segment in shown}
    window = _window(source, volume, [segment.kind.meaning for segment in shown])
    cuts = []
    for name, index in zip(("axial", "coronal"), _busiest(layers), strict=True):
        grey = _grey(_cut(patient, volume, name, index), window)
        size = patient.size_mm(name, grey.shape)
        labels = tuple(_plane(layer, name, index) for layer in layers)
        where = patient.place(volume, name, index)
        cuts.append(Cut(name, grey, size, labels=labels, colours=colours, caption=where))
    draw(cuts, title, [Entry(segment.label, segment.rgb) for segment in shown], path)


def detections(source: Source, items: Sequence[Detection], title: str, path: Path) -> None:
    """Draw every box that meets the axial and the coronal cut through the largest one.

    A radiograph is drawn as it is.
    """
    volume = _volume(source)
    names = dict.fromkeys(item.kind.meaning for item in items)
    cuts = [_radiograph(volume, items)] if volume.projection else _through(source, volume, items)
    draw(cuts, title, [Entry(name, BOX_RGB) for name in names], path)


def _radiograph(volume: Volume, items: Sequence[Detection]) -> Cut:
    rows, columns = (
        float(n * mm) for n, mm in zip(volume.shape[1:], volume.spacing_mm[1:], strict=True)
    )
    boxes = tuple(
        Box(item.first[2], item.first[1], item.last[2] + 1, item.last[1] + 1, BOX_RGB, _said(item))
        for item in items
    )
    grey = _grey(volume.values()[0], _window_of_values(volume))
    return Cut(RADIOGRAPH, grey, (rows, columns), boxes=boxes)


def _through(source: Source, volume: Volume, items: Sequence[Detection]) -> list[Cut]:
    patient = Patient.of(volume)
    boxes = [patient.box(item, volume.shape) for item in items]
    largest = max(boxes, key=lambda box: int(np.prod(box[1] - box[0] + 1)))
    window = _window(source, volume, [item.kind.meaning for item in items])
    cuts = []
    for axis, name in enumerate(("axial", "coronal")):
        index = int(largest[:, axis].mean())
        grey = _grey(_cut(patient, volume, name, index), window)
        flat = [
            _flat(box, axis, len(grey), _said(item))
            for item, box in zip(items, boxes, strict=True)
            if box[0, axis] <= index <= box[1, axis]
        ]
        size, where = patient.size_mm(name, grey.shape), patient.place(volume, name, index)
        cuts.append(Cut(name, grey, size, boxes=tuple(flat), caption=where))
    return cuts


def _said(item: Detection) -> str:
    """How certain a box is."""
    if item.score is None:
        return ""
    return f"{certainty_percent(item.score, item.threshold):g} %"


def parametric(source: Source, item: ParametricMap, title: str, path: Path) -> None:
    """Draw a map in colour on the slice where it is highest and on a coronal cut through it, or on
    the radiograph; below, what the colours mean."""
    volume = _volume(source)
    low, high = float(item.values.min()), float(item.values.max())
    cuts = _mapped(source, volume, item, low, high)
    unit = f" {on_screen(item.unit.value)}".rstrip()
    low, high = (0.0 if abs(one) < (high - low) / 1000 else one for one in (low, high))
    draw(cuts, title, [], path, Scale(f"{low:.3g}{unit}", f"{high:.3g}{unit}"))


def _mapped(
    source: Source, volume: Volume, item: ParametricMap, low: float, high: float
) -> list[Cut]:
    if volume.projection:
        flat = _radiograph(volume, ())
        return [replace(flat, over=colour_map.coloured(item.values[0], low, high))]
    patient = Patient.of(volume)
    values = patient.view(item.values)
    window = _window(source, volume, [])
    highest = np.unravel_index(int(values.argmax()), values.shape)
    cuts = []
    for axis, name in enumerate(("axial", "coronal")):
        index = int(highest[axis])
        grey = _grey(_cut(patient, volume, name, index), window)
        over = colour_map.coloured(_plane(values, name, index), low, high)
        size, where = patient.size_mm(name, grey.shape), patient.place(volume, name, index)
        cuts.append(Cut(name, grey, size, caption=where, over=over))
    return cuts


def derived(source: Source, item: DerivedImage, title: str, path: Path) -> None:
    """Draw the middle axial slice of the source and of the derived image, side by side.

    What was made from a companion is of another kind, and has a window of its own.
    """
    volume = _volume(source)
    patient = Patient.of(volume)
    values = patient.view(item.values)
    middle = len(values) // 2
    window = _window(source, volume, [])
    before = _grey(_cut(patient, volume, "axial", middle), window)
    plane = values[middle].astype(np.float32)
    if volume.valid is not None and not item.role:
        plane = _dark_outside(plane, patient.view(volume.valid)[middle])
    after = _grey(plane, _window_of(plane) if item.role else window)
    size = patient.size_mm("axial", before.shape)
    where = patient.place(volume, "axial", middle)
    cuts = [
        Cut("axial", before, size, caption=f"{where}, source"),
        Cut("axial", after, size, caption=f"{where}, derived"),
    ]
    draw(cuts, title, [], path)


# --- cuts -----------------------------------------------------------------------------------------


def _flat(box: NDArray[np.int64], axis: int, rows: int, said: str) -> Box:
    """The outline of a box on a cut, in pixels of the cut."""
    (top, bottom), (left, right) = box[:, 1 - axis].tolist(), box[:, 2].tolist()
    if axis == 1:
        top, bottom = rows - 1 - bottom, rows - 1 - top
    return Box(left, top, right + 1, bottom + 1, BOX_RGB, said)


def _volume(source: Source) -> Volume:
    if source.volume is None:
        raise ValueError("a preview needs a volume")
    return source.volume


def _assign(weights: NDArray[np.float64]) -> tuple[int, int, int]:
    """The array axis nearest to the patient's z, y and x, each used once."""
    return max(
        ((i, j, k) for i in range(3) for j in range(3) for k in range(3) if {i, j, k} == {0, 1, 2}),
        key=lambda axes: weights[2, axes[0]] + weights[1, axes[1]] + weights[0, axes[2]],
    )


def _busiest(layers: Sequence[Labels]) -> tuple[int, int]:
    """The axial slice and the coronal cut with the largest segmented area."""
    area = np.zeros(layers[0].shape[:2], np.int64)
    for layer in layers:
        area += np.stack([np.count_nonzero(plane, axis=1) for plane in layer])
    return int(area.sum(axis=1).argmax()), int(area.sum(axis=0).argmax())


def _plane(array: NDArray[Any], name: str, index: int) -> NDArray[Any]:
    """Axial: front at the top. Coronal: head at the top."""
    return array[index] if name == "axial" else array[::-1, index]


def _cut(patient: Patient, volume: Volume, name: str, index: int) -> NDArray[np.float32]:
    stored = _plane(patient.view(volume.stored), name, index).astype(np.float32)
    shape = (-1, 1, 1)
    slope = np.broadcast_to(volume.slope.reshape(shape), volume.shape)
    intercept = np.broadcast_to(volume.intercept.reshape(shape), volume.shape)
    values: NDArray[np.float32] = stored * _plane(patient.view(slope), name, index).astype(
        np.float32
    )
    values += _plane(patient.view(intercept), name, index).astype(np.float32)
    valid = None if volume.valid is None else _plane(patient.view(volume.valid), name, index)
    return _dark_outside(values, valid)


def _dark_outside(values: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Padding as dark as the darkest that was measured."""
    if valid is None or not valid.any():
        return values
    return np.where(valid, values, values[valid].min())


def _grey(values: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    centre, width = window
    scaled = np.clip((values - (centre - width / 2)) / width, 0, 1)
    grey: NDArray[np.uint8] = (scaled * 255).astype(np.uint8)
    return grey


def _window(source: Source, volume: Volume, kinds: Sequence[str]) -> Window:
    """CT: by what is shown, else the header's. Others: by the values, for headers vary too much."""
    if volume.modality != "CT":
        return _window_of_values(volume)
    for word, window in _WINDOW_WORDS:
        if any(word in kind.lower() for kind in kinds):
            return window
    return _header_window(source.headers[len(source.headers) // 2]) or SOFT_TISSUE_WINDOW


def _window_of_values(volume: Volume) -> Window:
    middle = len(volume.stored) // 2
    plane = volume.stored[middle] * volume.slope[middle] + volume.intercept[middle]
    return _window_of(plane if volume.valid is None else plane[volume.valid[middle]])


def _window_of(plane: NDArray[Any]) -> Window:
    low, high = (float(v) for v in np.percentile(plane, (1, 99.5))) if plane.size else (0.0, 1.0)
    return (low + high) / 2, max(high - low, 1e-6)


def _header_window(header: Dataset) -> Window | None:
    centre, width = _first(header, "WindowCenter"), _first(header, "WindowWidth")
    return (centre, width) if centre is not None and width is not None and width > 0 else None


def _first(header: Dataset, keyword: str) -> float | None:
    found = values.known(values.numbers(header, keyword))
    return found[0] if found else None
