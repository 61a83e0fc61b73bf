"""Structures as Label Map Segmentations: the number of one structure a voxel (PS3.3 A.51, C.8.20).

For structures without end: 117 of them are one frame a slice, run length encoded (PS3.5 G), where
single bits are a frame for each structure on it. Structures that lie over others have none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import highdicom as hd
import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from analyzers.contract import Labels, Segment, Segmentation
from node.results import presence
from node.results.bench import Bench
from node.results.gate import gate
from node.results.objects import frames, seg
from node.results.objects.frames import Layout
from node.results.prepared import Prepared
from node.results.series_numbers import Block, SeriesPlace

NUMBERS = Block(5, 2)
ENCODING = seg.Encoding(hd.seg.SegmentationTypeValues.LABELMAP, "label-map", RLELossless)


def build(bench: Bench) -> Iterator[Dataset]:
    """One object a segmentation that has a voxel and no structure over another."""
    for item in mapped(bench):
        yield _object(bench, item, bench.numbers.next(NUMBERS))


def mapped(bench: Bench) -> list[Segmentation]:
    """The segmentations of which there is a label map, in their order."""
    return [
        item
        for index, item in enumerate(bench.findings.items)
        if isinstance(item, Segmentation) and bench.present[index] and not item.further
    ]


def read_back(path: Path, bench: Bench, number: int) -> None:
    """Each voxel has the number of its structure."""
    gate.check_label_map(path, mapped(bench)[number], bench.source)


def _object(bench: Bench, item: Segmentation, place: SeriesPlace) -> Prepared:
    source, volume = bench.source, seg.volume_of(bench.source, item)
    present = presence.present_segments(item)
    made = seg.template(ENCODING, source, volume, item.title, present, bench.provenance, place)
    laid = frames.layout(source, presence.areas(item), by_segment=False)
    pixels = partial(_encapsulated, item.labels, numbered(present), laid)
    return seg.filled(made, source, volume, laid, pixels)


def numbered(present: tuple[Segment, ...]) -> Labels:
    """The number in the object for each in the finding: from 1, in the order of the segments."""
    table: Labels = np.zeros(65536, np.uint8 if len(present) < 256 else np.uint16)
    for number, segment in enumerate(present, start=1):
        table[segment.number] = number
    return table


def _encapsulated(labels: Labels, table: Labels, laid: Layout) -> Iterator[bytes]:
    encoded = [run_lengths(table[labels[frame.plane]]) for frame in laid.frames]
    return frames.encapsulated(encoded)


def run_lengths(plane: Labels) -> bytes:
    """A frame as RLE Lossless: each row by itself, the higher byte of all pixels first."""
    low = (plane & 0xFF).astype(np.uint8)
    parts = [low] if plane.itemsize == 1 else [(plane >> 8).astype(np.uint8), low]
    packed = [imagecodecs.packbits_encode(np.ascontiguousarray(part)) for part in parts]
    even = [part + b"\0" * (len(part) % 2) for part in packed]
    starts = [64, 64 + len(even[0])][: len(even)]
    return struct.pack("<16I", len(even), *starts, *[0] * (15 - len(even))) + b"".join(even)
