"""Findings that lie somewhere: structures and boxes on the input grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract.answers import Classification, Measurement
from analyzers.contract.code import Code

Labels = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One structure of a segmentation.

    ``key`` is stable over versions of the analyzer ("left_lung"): tracking identifiers hang on it.
    ``number`` is the value of its voxels in ``Segmentation.labels``, from 1 to 65535.
    ``site`` is the part of the body that it lies in ("lung" of a nodule), or that it is a part of;
    without one, an anatomical structure is its own site.
    ``structure`` is its key in the table of structures (``analyzers.structures``), if it is there.
    """

    key: str
    number: int
    label: str
    category: Code
    kind: Code
    laterality: Code | None = None
    rgb: tuple[int, int, int] = (230, 80, 60)
    measurements: tuple[Measurement, ...] = ()
    classifications: tuple[Classification, ...] = ()
    site: Code | None = None
    structure: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Structures on the input grid: the voxels of each hold its number, 0 is background.

    A segment without a voxel is a statement ("looked for, not found") and is reported as one.

    labels: uint8 or uint16 ``(slice, row, column)``; structures in it do not overlap.
    further: more of the same, for structures that lie over those in ``labels``. Each structure
        stands in one of all: ``Segmentation.of_masks`` distributes them.
    probabilities: by the key of a segment, a float ``(slice, row, column)``: how probable it is,
        from 0 to 1, that a voxel belongs to it; also where it has no voxel.
    """

    labels: Labels
    segments: tuple[Segment, ...]
    title: str = "Segmentation"
    further: tuple[Labels, ...] = ()
    probabilities: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)

    @staticmethod
    def of_masks(
        masks: Sequence[NDArray[np.bool_]],
        segments: tuple[Segment, ...],
        title: str = "Segmentation",
        probabilities: Mapping[str, NDArray[np.floating[Any]]] | None = None,
    ) -> Segmentation:
        """From one mask a segment, in their order; masks may overlap.

        Raises ``ValueError`` without any mask, or where there are not as many as segments.
        """
        layers: list[Labels] = []
        highest = max((segment.number for segment in segments), default=0)
        for mask, segment in zip(masks, segments, strict=True):
            free = (one for one in layers if not one[mask].any())
            layer = next(free, None)
            if layer is None:
                layer = np.zeros(mask.shape, np.uint8 if highest < 256 else np.uint16)
                layers.append(layer)
            layer[mask] = segment.number
        if not layers:
            raise ValueError("a segmentation of masks needs a mask")
        return Segmentation(layers[0], segments, title, tuple(layers[1:]), probabilities or {})

    @property
    def layers(self) -> tuple[Labels, ...]:
        """All label images; one where no structure lies over another."""
        return (self.labels, *self.further)

    def mask(self, segment: Segment) -> NDArray[np.bool_]:
        """The voxels of a structure, ``(slice, row, column)``."""
        return self._where(segment.number, ...)

    def plane(self, segment: Segment, index: int) -> NDArray[np.bool_]:
        """The voxels of a structure on one slice, ``(row, column)``."""
        return self._where(segment.number, index)

    def _where(self, number: int, index: Any) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.labels[index] == number
        for layer in self.further:
            found |= layer[index] == number
        return found


@dataclass(frozen=True, slots=True)
class Detection:
    """A box round something found: corner indices ``(slice, row, column)``, both inclusive.

    ``site``: as of a ``Segment``.
    """

    key: str
    kind: Code
    category: Code
    first: tuple[int, int, int]
    last: tuple[int, int, int]
    score: float | None = None
    laterality: Code | None = None
    measurements: tuple[Measurement, ...] = ()
    classifications: tuple[Classification, ...] = ()
    threshold: float | None = None
    site: Code | None = None
