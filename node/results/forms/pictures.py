"""Key pictures: Secondary Captures of the slices that matter, for those who show no segmentation.

One series of at most ``views.MOST_VIEWS``. They have no frame of reference and no position: some
viewers would lay them through the images. Nothing identifying is drawn, and each says that it was
made automatically.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from analyzers.contract import Code, Volume
from node.results import uids
from node.results.bench import Bench
from node.results.forms import drawing, marks, seen, sides, views
from node.results.forms.drawing import Marked, Scene
from node.results.forms.marks import Mark
from node.results.forms.views import View
from node.results.modules import provenance
from node.results.objects import capture, derived
from node.results.pictures import windows
from node.results.series_numbers import Block
from node.results.words import sentences

NUMBERS = Block(2)
DRAWN_OVER = Code("113062", "DCM", "Pixel by pixel addition")
LONGEST, LONGEST_OF_RADIOGRAPHS = 800, 1024


def build(bench: Bench) -> Iterator[Dataset]:
    """One capture a slice that matters, in the order of the slices."""
    volume = bench.source.volume
    found = [] if volume is None else views.of(marks.of(bench))
    if volume is None or not found:
        return
    series_number = bench.numbers.next(NUMBERS).series_number
    for number, view in enumerate(found):
        dataset = _described(bench, view, number, series_number)
        capture.finish(
            dataset, bench.source, bench.provenance, drawing.draw(scene(bench, volume, view))
        )
        yield dataset


def scene(bench: Bench, volume: Volume, view: View) -> Scene:
    """What is drawn of a slice."""
    source, language, index = bench.source, bench.provenance.maker.language, view.index
    window = windows.of(source, volume, [one.caption.kind for one in view.marks], index)
    place = [sides.in_words(source, volume, index, language)]
    if window.unit:
        place.append(
            sentences.SHADES(
                language, low=f"{window.low:g}", high=f"{window.high:g}", unit=window.unit
            )
        )
    _, down, right = (float(one) for one in volume.spacing_mm)
    return Scene(
        grey=window.grey(windows.values_shown(volume, index)),
        spacing_mm=(down, right),
        sides=sides.letters(source, volume, index),
        has_scale=sides.is_measured(source, volume, index),
        marks=[_marked(one, index) for one in view.marks],
        title=f"{bench.provenance.analyzer_title} {bench.provenance.analyzer_version}",
        place=" · ".join(one for one in place if one),
        warning=sentences.NOT_FOR_DIAGNOSIS(language),
        magnified=partial(sentences.MAGNIFIED, language),
        more=partial(sentences.MORE, language),
        longest=LONGEST_OF_RADIOGRAPHS if volume.projection else LONGEST,
    )


def _marked(mark: Mark, index: int) -> Marked:
    said = mark.caption
    return Marked(mark.lines(index), said.tag, said.name, said.numbers, said.rgb)


def _described(bench: Bench, view: View, number: int, series_number: int) -> Dataset:
    run = bench.provenance
    title = sentences.KEY_PICTURES(run.maker.language)
    dataset = capture.begin(bench.source)
    dataset.SOPInstanceUID = uids.object_uid(run.key, "picture", number)
    dataset.SeriesInstanceUID = uids.object_uid(run.key, "picture-series")
    dataset.SeriesNumber = series_number
    dataset.InstanceNumber = number + 1
    dataset.SeriesDescription = provenance.series_title(run, title)
    remarks = ", ".join(one.caption.name for one in view.marks)
    derived.describe(dataset, bench.source, view.index, title, remarks, DRAWN_OVER)
    return dataset


# --- read back ------------------------------------------------------------------------------------


def read_back(path: Path, bench: Bench, number: int) -> None:
    """It is a picture, and the colour of something that is found on its slice is on it.

    Raises ``GateRefused``.
    """
    view = views.of(marks.of(bench))[number]
    colours = np.array([one.caption.rgb for one in view.marks], np.uint8)

    def missing(pixels: seen.Pixels) -> list[str]:
        is_there = any((pixels == one).all(axis=2).any() for one in colours)
        return [] if is_there else ["nothing of what is found on its slice is drawn on it"]

    seen.check(path, bench, missing)
