"""What the gate reads back of pictures: their pixels are there, as large as they were drawn, and
show something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.results.bench import Bench
from node.results.errors import GateRefused
from node.results.forms.writing import PAPER
from node.results.objects import capture
from node.series.source import Source

LEAST_INK = 0.002
"""Share of a page or picture that is not paper: of the emptiest page there is, a line of text."""
SMALLEST, LARGEST = 200, 8192
"""Pixels a side."""

Pixels = NDArray[np.uint8]
Further = Callable[[Pixels], list[str]]


def check(path: Path, bench: Bench, further: Further = lambda pixels: []) -> None:
    """The pixels of a written picture, and what it says of them; ``further``: what else is wrong.

    Raises ``GateRefused``.
    """
    dataset = pydicom.dcmread(path)
    reasons = _flags(dataset, bench.source)
    pixels = _decoded(dataset)
    if pixels is None:
        reasons.append("its pixels cannot be decoded as 8-bit RGB of the size that it says")
    else:
        reasons += _sizes(pixels)
        reasons += ["its pixels are blank"] if is_blank(pixels) else further(pixels)
    if reasons:
        raise GateRefused("ot", tuple(reasons))


def is_blank(pixels: Pixels) -> bool:
    """Whether there is nothing on the paper."""
    return float((pixels != np.array(PAPER, np.uint8)).any(axis=2).mean()) < LEAST_INK or bool(
        (pixels == pixels[0, 0]).all()
    )


def _decoded(dataset: Dataset) -> Pixels | None:
    try:
        pixels: Any = dataset.pixel_array
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, ValueError):
        return None
    is_it = pixels.dtype == np.uint8 and pixels.shape == (dataset.Rows, dataset.Columns, 3)
    return pixels if is_it and dataset.PhotometricInterpretation == "RGB" else None


def _sizes(pixels: Pixels) -> list[str]:
    rows, columns = pixels.shape[:2]
    is_it = SMALLEST <= min(rows, columns) <= max(rows, columns) <= LARGEST
    return [] if is_it else [f"it has {columns} by {rows} pixels: nobody can read that"]


def _flags(dataset: Dataset, source: Source) -> list[str]:
    """Burned in text: as the images have it. It is no image of theirs for a viewer to stack."""
    reasons = []
    if str(dataset.get("BurnedInAnnotation", "")) != capture.burned_in_annotation(source):
        reasons.append("it does not say of burned in text what the images say")
    if dataset.Modality != capture.OWN_MODALITY or "DERIVED" not in dataset.ImageType:
        reasons.append("it calls itself an original of the modality")
    if "FrameOfReferenceUID" in dataset or "ImagePositionPatient" in dataset:
        reasons.append("it has a place in space")
    return reasons
