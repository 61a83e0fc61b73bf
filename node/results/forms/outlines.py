"""Outlines and texts on the original images: one Grayscale Softcopy Presentation State a run.

Every structure and box has a graphic layer of its own (PS3.3 C.10.7), named and coloured, that
viewers switch on and off; one state for all of them, for viewers show one at a time. Lines are in
pixels of the image (C.10.5), open and unfilled: nothing of it is covered. Where more lines would be
needed than viewers bear, there are those of the slices that each finding is looked at on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from analyzers.contract import Shades
from node.results import uids
from node.results.bench import Bench
from node.results.errors import GateRefused, TooDetailed
from node.results.forms import marks
from node.results.forms.marks import Mark, Structure
from node.results.modules import contours, origin, planes, provenance
from node.results.modules.contours import Line
from node.results.objects import presentation
from node.results.pictures import windows
from node.results.pictures.windows import Window
from node.results.series_numbers import Block
from node.results.words import sentences
from node.series.source import Source

NUMBERS = Block(4)
MOST_SHOWN = 8000
"""Pairs of a structure and a slice."""
MOST_LINES = 40_000
"""A structure of many small parts has thousands on a slice."""
NOTE_LAYER = "NOTE"
NOTE_RGB = (255, 200, 80)


def build(bench: Bench) -> Iterator[Dataset]:
    """The state, where anything found lies somewhere on the images."""
    found = marks.of(bench) if bench.source.volume is not None else []
    if not found:
        return
    source, run = bench.source, bench.provenance
    title = sentences.OUTLINES(run.maker.language)
    dataset = Dataset()
    dataset.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    dataset.SOPInstanceUID = uids.object_uid(run.key, "outlines")
    dataset.SeriesInstanceUID = uids.object_uid(run.key, "outlines-series")
    dataset.SeriesNumber = bench.numbers.next(NUMBERS).series_number
    dataset.InstanceNumber = 1
    dataset.ContentLabel = "OUTLINES"
    presentation.describe(dataset, source, run, title)
    dataset.SeriesDescription = provenance.series_title(run, title)
    dataset.ReferencedSeriesSequence = Items([presentation.series(source)])
    _shades(dataset, source, found)
    names = [_layer_name(number, mark) for number, mark in enumerate(found, start=1)]
    drawn = _drawn(found)
    note = _note(sentences.NOT_FOR_DIAGNOSIS(run.maker.language))
    images = {one.index: planes.image_reference(source, one.index) for one in drawn}
    written = [_annotation(one, names[one.place], images[one.index]) for one in drawn]
    dataset.GraphicAnnotationSequence = Items([*written, note])
    dataset.GraphicLayerSequence = Items(list(_layers(found, names)))
    presentation.stamp(dataset, source, run)
    for item, one in zip(written, drawn, strict=True):
        item.GraphicObjectSequence = Items([_graphic(line) for line in one.lines])
    yield dataset


# --- shades ---------------------------------------------------------------------------------------


def _shades(dataset: Dataset, source: Source, found: Sequence[Mark]) -> None:
    """The window of what was found. Where the rescale changes from slice to slice, a state that
    holds but one has none, and each image its own window in stored values."""
    volume = origin.volume_of(source)
    index = found[0].key_slice
    window = windows.of(source, volume, [one.caption.kind for one in found], index)
    factor = volume.suv_factor or 1.0
    low, high = window.low / factor, window.high / factor
    if presentation.has_one_rescale(source):
        presentation.add_rescale(dataset, source)
        items = [presentation.window(Shades(low, high))]
    else:
        items = []
        for place in range(len(source.frames)):
            slope, intercept = float(volume.slope[place]), float(volume.intercept[place])
            item = presentation.window(
                Shades((low - intercept) / slope, (high - intercept) / slope)
            )
            item.ReferencedImageSequence = [planes.image_reference(source, place)]
            items.append(item)
    dataset.SoftcopyVOILUTSequence = Items(items)
    dataset.PresentationLUTShape = _shape(source, window)


def _shape(source: Source, window: Window) -> str:
    is_negative = window.is_negative != presentation.is_negative(source)
    return "INVERSE" if is_negative else "IDENTITY"


# --- lines and texts ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A mark on a slice; ``place``: among the marks."""

    mark: Mark
    place: int
    index: int
    lines: Sequence[Line]


def _drawn(found: Sequence[Mark]) -> list[_Drawn]:
    """Every mark on every slice that it lies on, or on the one it is looked at on alone."""
    drawn, lines = list[_Drawn](), 0
    for place, mark in enumerate(found):
        for index in mark.slices:
            drawn.append(_Drawn(mark, place, index, mark.lines(index)))
            lines += len(drawn[-1].lines)
            if len(drawn) > MOST_SHOWN or lines > MOST_LINES:
                return _where_looked_at(found)
    return drawn


def _where_looked_at(found: Sequence[Mark]) -> list[_Drawn]:
    """Raises ``TooDetailed`` where even these have too many lines."""
    drawn, lines = list[_Drawn](), 0
    for place, mark in enumerate(found):
        drawn.append(_Drawn(mark, place, mark.key_slice, mark.lines(mark.key_slice)))
        lines += len(drawn[-1].lines)
        if lines > MOST_LINES:
            raise TooDetailed(
                f"the outlines of what was found are more than {MOST_LINES} lines, as of noise:"
                " no viewer bears them"
            )
    return drawn


def _annotation(drawn: _Drawn, layer: str, image: Dataset) -> Dataset:
    """Its text; lines are added when nothing has to look through them any more."""
    item = Dataset()
    item.ReferencedImageSequence = Items([image])
    item.GraphicLayer = layer
    item.TextObjectSequence = Items([_text(drawn)])
    return item


def _graphic(line: Line) -> Dataset:
    item = Dataset()
    item.GraphicAnnotationUnits = "PIXEL"
    item.GraphicDimensions = 2
    item.NumberOfGraphicPoints = len(line)
    points = line.astype("<f4").tobytes()
    tag = Tag("GraphicData")
    item[tag] = RawDataElement(tag, "FL", len(points), points, 0, False, True)
    item.GraphicType = "POLYLINE"
    item.GraphicFilled = "N"
    return item


def _text(drawn: _Drawn) -> Dataset:
    """The name at the top of the largest part; the numbers on the slice it is looked at on."""
    caption = drawn.mark.caption
    said = [caption.name]
    if drawn.index == drawn.mark.key_slice:
        said += caption.numbers
    largest = max(drawn.lines, key=lambda line: float(np.ptp(line, axis=0).prod()))
    top = largest[largest[:, 1].argmin()]
    item = Dataset()
    item.AnchorPointAnnotationUnits = "PIXEL"
    item.UnformattedTextValue = _short_text("\r\n".join(said))
    item.AnchorPoint = top.tolist()
    item.AnchorPointVisibility = "N"
    return item


def _note(text: str) -> Dataset:
    """On every image, at the lower left of what is displayed."""
    said = Dataset()
    said.BoundingBoxAnnotationUnits = "DISPLAY"
    said.UnformattedTextValue = _short_text(text)
    said.BoundingBoxTopLeftHandCorner = [0.02, 0.94]
    said.BoundingBoxBottomRightHandCorner = [0.6, 0.98]
    said.BoundingBoxTextHorizontalJustification = "LEFT"
    item = Dataset()
    item.GraphicLayer = NOTE_LAYER
    item.TextObjectSequence = Items([said])
    return item


def _short_text(text: str) -> str:
    """At most what an ST holds; backslashes are letters there."""
    return text.encode()[:1024].decode(errors="ignore")


# --- layers ---------------------------------------------------------------------------------------


def _layer_name(number: int, mark: Mark) -> str:
    """A code string that no other mark has, and that says what it is where it can."""
    plain = "".join(one if one.isascii() and one.isalnum() else " " for one in mark.caption.name)
    return f"{number} {' '.join(plain.upper().split())}"[:16].rstrip()


def _layers(found: Sequence[Mark], names: Sequence[str]) -> Iterator[Dataset]:
    for order, (mark, name) in enumerate(zip(found, names, strict=True), start=1):
        yield _layer(name, order, mark.caption.rgb, mark.caption.name)
    yield _layer(NOTE_LAYER, len(names) + 1, NOTE_RGB, NOTE_LAYER)


def _layer(name: str, order: int, rgb: marks.Rgb, description: str) -> Dataset:
    item = Dataset()
    item.GraphicLayer = name
    item.GraphicLayerOrder = order
    item.GraphicLayerRecommendedDisplayGrayscaleValue = 65535
    item.GraphicLayerRecommendedDisplayCIELabValue = list(hd.color.CIELabColor.from_rgb(*rgb).value)
    item.GraphicLayerDescription = provenance.text(description)
    return item


# --- read back ------------------------------------------------------------------------------------


def read_back(path: Path, bench: Bench, number: int) -> None:
    """The written lines enclose the pixels of each structure, and are the edges of each box, on
    every image that they are drawn on.

    Raises ``GateRefused``.
    """
    dataset = pydicom.dcmread(path)
    found, source = marks.of(bench), bench.source
    layers = [_layer_name(place, mark) for place, mark in enumerate(found, start=1)]
    written = {
        (str(item.GraphicLayer), str(image.ReferencedSOPInstanceUID), image.get(_FRAME)): item
        for item in dataset.GraphicAnnotationSequence
        for image in item.get("ReferencedImageSequence") or ()
    }
    reasons = []
    for one in _drawn(found):
        image = planes.image_reference(source, one.index)
        key = (layers[one.place], str(image.ReferencedSOPInstanceUID), image.get(_FRAME))
        item = written.pop(key, None)
        if item is None:
            reasons.append("a finding has no lines on an image that it is on")
        elif not _shows(item, one):
            reasons.append("the lines of a finding enclose other pixels than it has")
    if written:
        reasons.append("there are lines on images where nothing was found")
    if reasons:
        raise GateRefused("pr", tuple(dict.fromkeys(reasons)))


_FRAME = "ReferencedFrameNumber"
_MOST_LOST = 0.001
"""Of the pixels of a structure; lines that are coarsened may lose more."""


def _shows(item: Dataset, drawn: _Drawn) -> bool:
    lines = [
        np.array(one.GraphicData, np.float32).reshape(-1, 2) for one in item.GraphicObjectSequence
    ]
    mark, wanted = drawn.mark, drawn.lines
    as_drawn = len(lines) == len(wanted) and all(map(np.array_equal, lines, wanted))
    if not isinstance(mark, Structure):
        return as_drawn
    mask = mark.segmentation.plane(mark.segment, drawn.index)
    if as_drawn and contours.is_coarsened(mask):
        return True
    others = np.count_nonzero(contours.filled(lines, mask.shape) != mask)
    return bool(others <= _MOST_LOST * np.count_nonzero(mask))
