"""What the classic learners see of a framed chest radiograph, each feature with its kind and place.

Three kinds, all on the inner 208×208 pixels of the frame: edges (HOG, Dalal & Triggs 2005,
DOI 10.1109/CVPR.2005.177), texture (uniform LBP, Ojala et al. 2002, DOI 10.1109/TPAMI.2002.1017623)
and density against its surroundings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog, local_binary_pattern

from analyzers.radiograph.chest_frame import Image, locally_standardised

INNER = slice(16, 224)
SIDE = 208
CELL = 26
ORIENTATIONS = 9
BLOCK = 2
DENSITY_CELLS = 20
DENSITY_WIDTH = 40.0
LBP_CELLS = 4
LBP_RADII = (1, 2, 4, 8)
LBP_CODES = 10
PLACES = 7
"""Cells of a map of what features add, each way: as many as HOG has blocks."""

Kind = Literal["edges", "texture", "density"]
KINDS: tuple[Kind, ...] = ("edges", "texture", "density")


@dataclass(frozen=True, slots=True)
class Trait:
    """A kind of feature in a zone of the chest: what reasons are given in."""

    kind: Kind
    zone: str

    def __str__(self) -> str:
        return f"{self.kind} in the {self.zone}"


def features(framed: Image, kinds: tuple[Kind, ...] = KINDS) -> NDArray[np.float64]:
    """The feature vector of a framed image ``(240, 240)``, kinds one after the other."""
    inner = framed[INNER, INNER]
    makers: dict[Kind, Callable[[Image], NDArray[np.float64]]] = {
        "edges": _edges,
        "texture": _texture,
        "density": lambda _: _density(framed),
    }
    return np.concatenate([makers[kind](inner) for kind in kinds])


@cache
def traits(kinds: tuple[Kind, ...] = KINDS) -> tuple[Trait, ...]:
    """The kind and zone of each feature, in the order of ``features``."""
    return tuple(Trait(kind, zone_of(*place)) for kind in kinds for place in _places(kind))


@cache
def cells(kinds: tuple[Kind, ...] = KINDS) -> NDArray[np.intp]:
    """In which of ``PLACES × PLACES`` cells of the inner pixels each feature lies."""
    places = np.array([place for kind in kinds for place in _places(kind)])
    row, column = np.minimum(places * PLACES, PLACES - 1).astype(np.intp).T
    cell: NDArray[np.intp] = row * PLACES + column
    return cell


def _places(kind: Kind) -> list[tuple[float, float]]:
    """The place of each feature of a kind, row and column from 0 to 1."""
    makers = {"edges": _edge_places, "texture": _texture_places, "density": _density_places}
    return makers[kind]()


def zone_of(row: float, column: float) -> str:
    """The zone at a place of the frame (0–1 from the top, 0–1 from the patient's right)."""
    height = ("upper", "middle", "lower")[min(int(row * 3), 2)]
    if 0.42 <= column <= 0.58:
        return f"{height} mediastinum"
    return f"{'right' if column < 0.5 else 'left'} {height} zone"


def _edges(inner: Image) -> NDArray[np.float64]:
    cells, block = (CELL, CELL), (BLOCK, BLOCK)
    gradients = hog(inner, ORIENTATIONS, cells, block, transform_sqrt=True)
    return np.asarray(gradients, np.float64)


def _edge_places() -> list[tuple[float, float]]:
    """Blocks in reading order, in each its 2×2 cells of 9 orientations; placed by its middle."""
    blocks = SIDE // CELL - BLOCK + 1
    middle = (np.arange(blocks) + BLOCK / 2) / (SIDE // CELL)
    each = BLOCK * BLOCK * ORIENTATIONS
    return [(float(r), float(c)) for r in middle for c in middle for _ in range(each)]


def _texture(inner: Image) -> NDArray[np.float64]:
    """Root of the share of each pattern in each of 4×4 cells, for four radii."""
    grey = (np.clip(inner, 0, 1) * 255).astype(np.uint8)
    shares = []
    for radius in LBP_RADII:
        codes = local_binary_pattern(grey, 8, radius, "uniform")  # type: ignore[no-untyped-call]
        shares += [_cells(codes == code, LBP_CELLS) for code in range(LBP_CODES)]
    return np.sqrt(np.concatenate(shares))


def _texture_places() -> list[tuple[float, float]]:
    return _grid(LBP_CELLS) * (len(LBP_RADII) * LBP_CODES)


def _density(framed: Image) -> NDArray[np.float64]:
    return _cells(locally_standardised(framed, DENSITY_WIDTH)[INNER, INNER], DENSITY_CELLS)


def _density_places() -> list[tuple[float, float]]:
    return _grid(DENSITY_CELLS)


def _grid(count: int) -> list[tuple[float, float]]:
    middle = (np.arange(count) + 0.5) / count
    return [(float(row), float(column)) for row in middle for column in middle]


def _cells(chart: NDArray[np.generic], count: int) -> NDArray[np.float64]:
    small = cv2.resize(chart.astype(np.float32), (count, count), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64).ravel()
