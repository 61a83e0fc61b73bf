"""How probable each structure is at each voxel: FRACTIONAL segmentations (PS3.3 C.8.20.2.3).

Shares are kept in steps of 1/255. A frame in which all of them are nil is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Segment, Segmentation
from node.results.bench import Bench
from node.results.gate import gate
from node.results.objects import frames, seg
from node.results.objects.frames import Layout
from node.results.prepared import Prepared
from node.results.series_numbers import Block, SeriesPlace

NUMBERS = Block(7, 2)
ENCODING = seg.Encoding(hd.seg.SegmentationTypeValues.FRACTIONAL, "probability")
MOST = 255


def build(bench: Bench) -> Iterator[Dataset]:
    """One object a segmentation whose analyzer says how probable its structures are."""
    for item in probable(bench):
        yield _object(bench, item, bench.numbers.next(NUMBERS))


def probable(bench: Bench) -> list[Segmentation]:
    """The segmentations of which there is such an object, in their order."""
    return [
        item
        for item in bench.findings.items
        if isinstance(item, Segmentation) and any(areas(item, described(item)).ravel())
    ]


def read_back(path: Path, bench: Bench, number: int) -> None:
    """Each share is that of the finding, in steps."""
    gate.check_probabilities(path, probable(bench)[number], bench.source)


def _object(bench: Bench, item: Segmentation, place: SeriesPlace) -> Prepared:
    source, volume = bench.source, seg.volume_of(bench.source, item)
    given = described(item)
    found = areas(item, given)
    columns = np.flatnonzero(found.any(axis=0))
    present = [given[column] for column in columns]
    made = seg.template(ENCODING, source, volume, item.title, present, bench.provenance, place)
    made.SegmentsOverlap = "UNDEFINED" if len(present) > 1 else "NO"
    laid = frames.layout(source, found[:, columns])
    pixels = partial(frames.native, partial(_planes, item, present, laid), laid, volume)
    return seg.filled(made, source, volume, laid, pixels)


def described(item: Segmentation) -> list[Segment]:
    """The segments with probabilities."""
    return [segment for segment in item.segments if segment.key in item.probabilities]


def areas(item: Segmentation, segments: Sequence[Segment]) -> NDArray[np.int64]:
    """(slices, segments): on how many voxels each is probable at all."""
    found = np.zeros((len(item.labels), len(segments)), np.int64)
    for column, segment in enumerate(segments):
        for index, plane in enumerate(item.probabilities[segment.key]):
            found[index, column] = np.count_nonzero(in_steps(plane))
    return found


def in_steps(shares: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Shares from 0 to 1 as whole numbers from 0 to 255."""
    steps: NDArray[np.uint8] = np.rint(shares.astype(np.float32) * MOST).astype(np.uint8)
    return steps


def _planes(
    item: Segmentation, present: Sequence[Segment], laid: Layout
) -> Iterator[NDArray[np.uint8]]:
    for frame in laid.frames:
        yield in_steps(item.probabilities[present[frame.segment - 1].key][frame.plane])
