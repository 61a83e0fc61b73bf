"""The images that an analyzer is given: one scalar image on a regular grid.

Axes, affine and units are those that ``analyzers.contract`` states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from analyzers.contract.answers import Classification, Measurement
from analyzers.contract.code import Code
from analyzers.contract.series import SeriesFacts, Subject, Tracer

AIR_HU = -1000
"""What stands for "nothing there" on CT."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A number or an answer that another analyzer gave for the same study.

    structure: the key of the segment or detection it belongs to; empty: the whole series.
    modality, series: of the images it was found on, and the number of their series; empty: not
        known.
    """

    analyzer: str
    structure: str
    finding: Measurement | Classification
    modality: str = ""
    series: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One scalar image on a regular grid.

    stored: ``(slice, row, column)`` in the dtype it was stored in; never written to.
    affine: 4×4 float64, index → patient LPS mm.
    slope, intercept: one float64 per slice; ``value = stored * slope + intercept``.
    units: UCUM code of the values after rescale, where known (``[hnsf'U]`` for HU).
    units_reason: why a CT's are not known, in words for the report.
    projection: a radiograph: one slice ``(1, row, column)``, brighter is denser, no place in the
        patient; the affine holds the pixel spacing only (1 mm where the header gives none).
    suv_factor: ``values * suv_factor`` is SUVbw in g/mL; None: not PET, or the header does not
        allow it.
    suv_reason: why there is no factor, or what makes it less exact; in words for the report.
    tracer: what was injected for a PET, as far as the header says.
    facts: what the header says of the series.
    frame_of_reference: a name; coordinates of series with the same one can be compared. Empty: the
        header gives none.
    companions: other series of the study by the role that ``Analyzer.companions`` gives them.
    reported: what the analyzers named in ``Analyzer.after`` said of this study: each of them of
        this series, or else of the one that comes nearest to it.
    valid: ``(slice, row, column)``, the voxels that were measured; None: all. The others are
        padding: no tissue, no part of any number; no segment, box or mark covers them.
    """

    stored: NDArray[Any]
    affine: NDArray[np.float64]
    modality: str
    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    units: Code | None = None
    projection: bool = False
    suv_factor: float | None = None
    subject: Subject = field(default_factory=Subject)
    facts: SeriesFacts | None = None
    frame_of_reference: str = ""
    companions: Mapping[str, Volume] = field(default_factory=dict)
    reported: tuple[Reported, ...] = ()
    valid: NDArray[np.bool_] | None = None
    units_reason: str = ""
    suv_reason: str = ""
    tracer: Tracer = field(default_factory=Tracer)

    @property
    def shape(self) -> tuple[int, int, int]:
        slices, rows, columns = self.stored.shape
        return slices, rows, columns

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Distance in mm between neighbours along (slice, row, column)."""
        spacing: NDArray[np.float64] = np.linalg.norm(self.affine[:3, :3], axis=0)
        return spacing

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in mL (1 mL = 1000 mm³)."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def values(self, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """A new array of the rescaled values: HU for CT. Padding is blank (``blank_padding``)."""
        out = self.stored.astype(dtype)
        if np.any(self.slope != 1):
            out *= self.slope.astype(dtype)[:, None, None]
        if np.any(self.intercept != 0):
            out += self.intercept.astype(dtype)[:, None, None]
        self.blank_padding(out)
        return out

    def blank_padding(self, values: NDArray[Any]) -> None:
        """Write the lowest measured value over padding, in place; on CT at most that of air.

        What darkens nothing and outlines nothing: statistics still have to leave it out.
        """
        if self.valid is None or not values.size:
            return
        lowest = values.min(where=self.valid, initial=values.max())
        np.copyto(
            values, min(lowest, AIR_HU) if self.modality == "CT" else lowest, where=~self.valid
        )

    def measured(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The voxels of a mask on the grid of the volume that are no padding."""
        return mask if self.valid is None else mask & self.valid


def no_suv(volume: Volume) -> str:
    """Why a PET has no SUV, for the report."""
    return f"There is no SUV: {volume.suv_reason or 'the header does not allow it'}."
