"""How each kind of finding is built, read back and drawn: from a piece to its objects.

What stands here fits a builder of ``objects`` to its row in ``node.results.kinds``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pydicom.dataset import Dataset

from analyzers.contract import (
    Blending,
    ColorImage,
    CompressedImage,
    DerivedImage,
    Detection,
    ParametricMap,
    Registration,
    Segmentation,
    WindowPreset,
)
from node.results.bench import Bench, Piece
from node.results.gate import gate
from node.results.gate.written import Written
from node.results.modules import origin
from node.results.objects import (
    blending,
    color,
    compressed,
    derived,
    parametric,
    presentation,
    registration,
    seg,
)
from node.results.pictures import preview

# --- builders -------------------------------------------------------------------------------------


def segmentation_object(piece: Piece[Segmentation]) -> Iterator[Dataset]:
    bench = piece.bench
    if bench.present[piece.index]:
        yield seg.build(bench.source, piece.item, bench.provenance, piece.place)


def derived_images(piece: Piece[DerivedImage]) -> Iterator[Dataset]:
    bench, role = piece.bench, piece.item.role
    made_from = None
    if role:
        matrix = origin.matrix_of(bench.findings, role)
        made_from = origin.companion(bench.source, role, matrix)
        bench.cite(made_from.source)
    for image in derived.instances(
        bench.source, piece.item, bench.provenance, piece.place, made_from
    ):
        yield image
        if role:  # written by now: a blending needs the header alone
            del image.PixelData
            bench.companions.setdefault(role, []).append(image)


def compressed_images(piece: Piece[CompressedImage]) -> Iterator[Dataset]:
    bench = piece.bench
    return compressed.instances(bench.source, piece.item, bench.provenance, piece.place)


def parametric_map(piece: Piece[ParametricMap]) -> Iterator[Dataset]:
    bench = piece.bench
    yield parametric.build(bench.source, piece.item, bench.provenance, piece.place)


def color_images(piece: Piece[ColorImage]) -> Iterator[Dataset]:
    bench = piece.bench
    return color.instances(bench.source, piece.item, bench.provenance, piece.place)


def overlay_images(piece: Piece[ColorImage]) -> Iterator[Dataset]:
    bench = piece.bench
    return color.instances(bench.source, piece.item, bench.provenance, piece.place, "overlay")


def registration_object(piece: Piece[Registration]) -> Iterator[Dataset]:
    bench = piece.bench
    bench.cite(origin.companion_source(bench.source, piece.item.role))
    yield registration.build(bench.source, piece.item, bench.provenance, piece.place)


def blending_state(piece: Piece[Blending]) -> Iterator[Dataset]:
    bench = piece.bench
    above = bench.companions.get(piece.item.role, [])
    yield blending.build(bench.source, piece.item, above, bench.provenance, piece.place)


def window_state(piece: Piece[WindowPreset]) -> Iterator[Dataset]:
    bench = piece.bench
    yield presentation.build(bench.source, piece.item, bench.provenance, piece.place)


# --- what the gate reads back ---------------------------------------------------------------------


def read_segmentation(written: Written, piece: Piece[Segmentation], number: int) -> None:
    gate.check_segmentation(written, piece.item, piece.bench.source)


def read_compressed(written: Written, piece: Piece[CompressedImage], number: int) -> None:
    stored = origin.volume_of(piece.bench.source).stored[number]
    gate.check_compressed(written.path, stored, lossless=not piece.item.method)


def read_registration(written: Written, piece: Piece[Registration], number: int) -> None:
    gate.check_registration(written.path, piece.item)


# --- pictures -------------------------------------------------------------------------------------


def segmentation_picture(piece: Piece[Segmentation], path: Path) -> None:
    bench, present = piece.bench, piece.bench.present[piece.index]
    title = bench.provenance.analyzer_title
    preview.segmentation(bench.source, piece.item, present, title, path)


def derived_picture(piece: Piece[DerivedImage], path: Path) -> None:
    title = f"{piece.bench.provenance.analyzer_title}: {piece.item.title}"
    preview.derived(piece.bench.source, piece.item, title, path)


def color_picture(piece: Piece[ColorImage], path: Path) -> None:
    middle = Image.fromarray(piece.item.values[len(piece.item.values) // 2])
    middle.thumbnail((512, 512))
    middle.save(path)


def map_picture(piece: Piece[Any], path: Path) -> None:
    """Of the map itself, whatever it has become."""
    item = piece.bench.findings.items[piece.index]
    if not isinstance(item, ParametricMap):
        raise TypeError("only a map has its picture")
    title = f"{piece.bench.provenance.analyzer_title}: {item.title}"
    preview.parametric(piece.bench.source, item, title, path)


def detections_picture(bench: Bench, items: Sequence[Detection], path: Path) -> None:
    preview.detections(bench.source, items, bench.provenance.analyzer_title, path)
