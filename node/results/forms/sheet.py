"""The summary sheet: what the report says, as Secondary Captures, for those who show no report.

One page, or as many as it needs: no number is left out. Nothing on it identifies the patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from node.results import kinds, uids
from node.results.bench import Bench
from node.results.forms import account, layout, seen
from node.results.forms.layout import Letters, Picture, Placed, Rule, Tone
from node.results.forms.writing import FAINT, INK, PAPER, WARNING
from node.results.modules import planes, provenance
from node.results.objects import capture
from node.results.pictures.fonts import font
from node.results.series_numbers import Block
from node.results.words import sentences

NUMBERS = Block(3)
SCALE = 2
"""Pixels a point: letters of a table are 20 pixels high."""
_TONES: Mapping[Tone, tuple[int, int, int]] = {
    Tone.INK: INK,
    Tone.FAINT: FAINT,
    Tone.WARNING: WARNING,
}


def build(bench: Bench) -> Iterator[Dataset]:
    """One capture a page; none of a run that says nothing of the patient."""
    if kinds.only_make(bench.findings.items, bench.source):
        return
    source, run = bench.source, bench.provenance
    series_number = bench.numbers.next(NUMBERS).series_number
    title = sentences.SUMMARY_SHEET(run.maker.language)
    for number, page in enumerate(layout.laid_out(account.of(bench))):
        dataset = capture.begin(source)
        dataset.SOPInstanceUID = uids.object_uid(run.key, "sheet", number)
        dataset.SeriesInstanceUID = uids.object_uid(run.key, "sheet-series")
        dataset.SeriesNumber = series_number
        dataset.InstanceNumber = number + 1
        dataset.SeriesDescription = provenance.series_title(run, title)
        dataset.DerivationDescription = provenance.text(title)
        references = [planes.instance_reference(one) for one in source.headers]
        dataset.SourceImageSequence = references
        capture.finish(dataset, source, run, drawn(page))
        yield dataset


def drawn(page: Sequence[Placed]) -> NDArray[np.uint8]:
    """A page in pixels, uint8 RGB: light on dark, as stations show images."""
    size = (round(layout.WIDTH * SCALE), round(layout.HEIGHT * SCALE))
    image = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(image)
    for placed in page:
        match placed:
            case Letters():
                letters = font(round(placed.size * SCALE), bold=placed.bold)
                at = (placed.x * SCALE, placed.y * SCALE)
                pen.text(at, placed.text, _TONES[placed.tone], letters, "ls")
            case Rule():
                y = round(placed.y * SCALE)
                pen.line((placed.left * SCALE, y, placed.right * SCALE, y), (60, 64, 72))
            case Picture():
                fitted = (round(placed.width * SCALE), round(placed.height * SCALE))
                shown = Image.fromarray(placed.pixels).resize(fitted, Image.Resampling.BICUBIC)
                image.paste(shown, (round(placed.left * SCALE), round(placed.top * SCALE)))
    return np.asarray(image)


def read_back(path: Path, bench: Bench, number: int) -> None:
    """It is a page of the size that pages have, with something on it. Raises ``GateRefused``."""

    def wrong(pixels: seen.Pixels) -> list[str]:
        size = (round(layout.HEIGHT * SCALE), round(layout.WIDTH * SCALE))
        return [] if pixels.shape[:2] == size else ["it has not the size of a page"]

    seen.check(path, bench, wrong)
