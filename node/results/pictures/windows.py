"""In which shades images are shown to people: by the anatomy that matters, then by the header.

Values are those after rescale: HU of a CT; SUV of a PET where the header allows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Volume
from node.series.source import Source
from storage.header import values


@dataclass(frozen=True, slots=True)
class Window:
    """What is shown darkest and brightest; ``is_negative``: the other way round, as PET is.

    unit: in which values the limits are, for the caption; empty where a reader has no use for it.
    """

    low: float
    high: float
    is_negative: bool = False
    unit: str = ""

    @staticmethod
    def around(centre: float, width: float, unit: str = "HU") -> Window:
        return Window(centre - width / 2, centre + width / 2, unit=unit)

    def grey(self, plane: NDArray[Any]) -> NDArray[np.uint8]:
        """The shades of values, uint8."""
        scaled = np.clip((plane - self.low) / max(self.high - self.low, 1e-12), 0, 1)
        grey: NDArray[np.uint8] = (scaled * 255).astype(np.uint8)
        return 255 - grey if self.is_negative else grey


LUNG, BONE = Window.around(-600, 1500), Window.around(400, 1800)
BRAIN, SOFT_TISSUE = Window.around(40, 80), Window.around(40, 400)
_BY_WORD = (
    (("lung", "nodule", "airway", "bronch", "trachea", "emphysem", "pulmonary"), LUNG),
    (("bone", "skelet", "vertebra", "rib", "skull", "femur"), BONE),
    (("brain", "cerebr", "intracranial"), BRAIN),
)
SUV_SHOWN = 10.0
"""g/mL that are shown darkest: what most stations begin with."""
_FULL_RANGE = frozenset({"US", "XC", "ES", "OT"})
"""Modalities whose images come as they are to be seen."""


def of(source: Source, volume: Volume, kinds: Sequence[str], index: int) -> Window:
    """How slice ``index`` is shown when ``kinds`` (in words) are what matters on it.

    CT: by what is shown, else the header's. PET: in SUV. Others: by the values of the slice, for
    headers vary too much.
    """
    if volume.modality == "CT" and not volume.projection:
        header = source.headers[source.frames[index].header]
        return of_anatomy(kinds) or of_header(header) or SOFT_TISSUE
    if volume.modality == "PT":
        return _of_uptake(volume, index)
    plane = _measured(volume, index)
    if volume.modality in _FULL_RANGE and plane.size:
        return Window(float(plane.min()), float(plane.max()))
    return of_values(plane)


def of_anatomy(kinds: Sequence[str]) -> Window | None:
    """The window of the anatomy that most of ``kinds`` belong to; None where none has its own."""
    votes = [window for kind in kinds if (window := _of_kind(kind.lower())) is not None]
    return max(votes, key=votes.count) if 2 * len(votes) >= max(len(kinds), 1) else None


def of_values(plane: NDArray[Any]) -> Window:
    """From the first to the 99.5th percentile."""
    low, high = (float(v) for v in np.percentile(plane, (1, 99.5))) if plane.size else (0.0, 1.0)
    return Window(low, max(high, low + 1e-6))


def of_header(header: Dataset) -> Window | None:
    """The first window that a header gives."""
    centre, width = _first(header, "WindowCenter"), _first(header, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return None
    return Window.around(centre, width)


def values_shown(volume: Volume, index: int) -> NDArray[np.float32]:
    """The values of a slice in the units of its window; padding as low as what was measured."""
    plane: NDArray[np.float32] = volume.stored[index].astype(np.float32)
    plane *= np.float32(volume.slope[index])
    plane += np.float32(volume.intercept[index])
    if volume.suv_factor is not None:
        plane *= np.float32(volume.suv_factor)
    if volume.valid is not None and volume.valid[index].any():
        plane = np.where(volume.valid[index], plane, plane[volume.valid[index]].min())
    return plane


def _of_kind(kind: str) -> Window | None:
    found = (window for words, window in _BY_WORD if any(word in kind for word in words))
    return next(found, None)


def _of_uptake(volume: Volume, index: int) -> Window:
    """Dark where much is taken up, as nuclear medicine reads it."""
    if volume.suv_factor is not None:
        return Window(0.0, SUV_SHOWN, is_negative=True, unit="SUV")
    plane = _measured(volume, index)
    high = float(np.percentile(plane, 99.9)) if plane.size else 1.0
    return Window(0.0, max(high, 1e-6), is_negative=True)


def _measured(volume: Volume, index: int) -> NDArray[np.float32]:
    plane = values_shown(volume, index)
    return plane if volume.valid is None else plane[volume.valid[index]]


def _first(header: Dataset, keyword: str) -> float | None:
    found = values.known(values.numbers(header, keyword))
    return found[0] if found else None
