"""A synthetic chest CT with known anatomy, for the demonstration and for tests.

Everything is a pure function of the phantom's fields: the same fields give the same files, byte for
byte. The truth lies on the grid on which the series is read: slices rise along the normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from node.demo.anatomy import Canvas, Mask, Point
from node.demo.chest import draw_chest
from node.demo.ct_files import CtFiles, CtSeries, CtVolume, write_ct

EMPHYSEMA_THRESHOLD_HU = -950.0

ANATOMY_ORIGIN_MM = np.array([4.0, -12.0, -620.0])
"""Where the middle of the chest lies in patient coordinates: no scanner has it at 0, 0, 0."""

FRONT, BACK, LEFT, RIGHT = (0.0, -1.0, 0.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0)
HEAD, FEET = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """How the patient lay and how the images run through him.

    row: where rising columns lead; column: where rising rows lead (PS3.3 C.7.6.2.1.1).
    down: the side on which the patient lies.
    """

    patient_position: str
    row: Point
    column: Point
    down: Point = BACK

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.asarray(np.cross(self.row, self.column))

    def rows_flipped(self) -> Acquisition:
        x, y, z = self.column
        return replace(self, column=(-x, -y, -z))

    def columns_flipped(self) -> Acquisition:
        x, y, z = self.row
        return replace(self, row=(-x, -y, -z))

    def tilted(self, degrees: float) -> Acquisition:
        """An oblique plane: the image turned round its rows."""
        angle = np.radians(degrees)
        column = np.cos(angle) * np.array(self.column) + np.sin(angle) * self.normal
        return replace(self, column=(column[0], column[1], column[2]))


# What scanners write, seen from the foot end with the table below (PS3.3 C.7.3.1.1.2).
SUPINE = Acquisition("HFS", LEFT, BACK)
PRONE = Acquisition("HFP", RIGHT, FRONT, down=FRONT)
DECUBITUS_LEFT = Acquisition("HFDL", FRONT, LEFT, down=LEFT)
DECUBITUS_RIGHT = Acquisition("HFDR", BACK, RIGHT, down=RIGHT)
FEET_FIRST = Acquisition("FFS", RIGHT, BACK)
CORONAL = Acquisition("HFS", LEFT, FEET)
SAGITTAL = Acquisition("HFS", BACK, FEET)
OBLIQUE = SUPINE.tilted(15.0)

ACQUISITIONS: Mapping[str, Acquisition] = MappingProxyType(
    {
        "supine": SUPINE,
        "prone": PRONE,
        "decubitus left": DECUBITUS_LEFT,
        "decubitus right": DECUBITUS_RIGHT,
        "feet first": FEET_FIRST,
        "coronal": CORONAL,
        "sagittal": SAGITTAL,
        "oblique": OBLIQUE,
        "oblique, other way": SUPINE.tilted(-15.0),
        "rows flipped": SUPINE.rows_flipped(),
        "columns flipped": SUPINE.columns_flipped(),
        "rows and columns flipped": SUPINE.rows_flipped().columns_flipped(),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is in the phantom, on the grid of its series.

    masks: right_lung, left_lung (with their vessels, without airways), airways, bone, discs, heart,
    aorta, liver, stomach, emphysema, body, table. emphysema_percent: part of each lung, and of both
    ("lungs"), below −950 HU.
    """

    affine: NDArray[np.float64]
    hu: NDArray[np.int16]
    masks: Mapping[str, Mask]
    volumes_ml: Mapping[str, float]
    mean_hu: Mapping[str, float]
    emphysema_percent: Mapping[str, float]

    @property
    def right_lung_ml(self) -> float:
        return self.volumes_ml["right_lung"]

    @property
    def left_lung_ml(self) -> float:
        return self.volumes_ml["left_lung"]


@dataclass(frozen=True)
class ChestPhantom:
    """A patient in a scanner. ``shape`` and ``spacing_mm`` are given as for axial slices.

    Other acquisitions cut the same field of view, with the same spacing along the same directions
    of the patient, so that a coronal series has unequal pixel spacing.
    """

    shape: tuple[int, int, int] = (120, 256, 256)
    spacing_mm: tuple[float, float, float] = (2.5, 1.5, 1.5)
    seed: int = 314
    acquisition: Acquisition = SUPINE
    gantry_tilt_degrees: float = 0.0
    noise_hu: float = 12.0
    emphysema_mm: float = 30.0
    series: CtSeries = field(default_factory=CtSeries)

    @classmethod
    def small(cls, acquisition: Acquisition = SUPINE) -> ChestPhantom:
        """The same anatomy on a coarse grid: fast, for tests."""
        return cls(shape=(30, 64, 48), spacing_mm=(10.0, 6.0, 8.0), acquisition=acquisition)

    @property
    def grid_shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the series."""
        slices, rows, columns = (self.shape[2 - axis] for axis in self._axes)
        return slices, rows, columns

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """Index (slice, row, column) → patient LPS mm."""
        spacing = [self.spacing_mm[2 - axis] for axis in self._axes]
        affine = np.eye(4)
        affine[:3, :3] = np.column_stack(self._directions) * spacing
        if self.gantry_tilt_degrees:
            affine[:3, 0] = np.array(HEAD) * spacing[0]
        middle = (np.array(self.grid_shape) - 1) / 2
        affine[:3, 3] = ANATOMY_ORIGIN_MM - affine[:3, :3] @ middle
        return affine

    @cached_property
    def truth(self) -> Truth:
        """The anatomy, its volumes in mL and its mean HU."""
        to_anatomy = self.affine.copy()
        to_anatomy[:3, 3] -= ANATOMY_ORIGIN_MM
        canvas = Canvas(to_anatomy, self.grid_shape)
        masks = draw_chest(canvas, self.acquisition.down, self.emphysema_mm, self.seed)
        noise = np.random.default_rng(self.seed).standard_normal(self.grid_shape, np.float32)
        canvas.hu += noise * np.float32(self.noise_hu)
        hu = np.clip(np.rint(canvas.hu), -1024, 3071).astype(np.int16)
        return _truth(self.affine, hu, masks)

    def write(self, folder: Path, files: CtFiles | None = None) -> list[Path]:
        """Writes the series into a folder; the paths come in the order of the files' names."""
        plane = self._plane
        volume = CtVolume(
            hu=self.truth.hu,
            affine=self.affine,
            row=plane.row,
            column=plane.column,
            patient_position=plane.patient_position,
            series=self.series,
            key=repr(self),
        )
        return write_ct(volume, folder, files or CtFiles())

    @property
    def _plane(self) -> Acquisition:
        return self.acquisition.tilted(self.gantry_tilt_degrees)

    @property
    def _directions(self) -> list[NDArray[np.float64]]:
        """Unit vectors along slices, rows and columns."""
        plane = self._plane
        return [plane.normal, np.array(plane.column), np.array(plane.row)]

    @property
    def _axes(self) -> list[int]:
        """The patient axis (0 for x) nearest to slices, rows and columns."""
        return [int(np.argmax(np.abs(direction))) for direction in self._directions]


def _truth(affine: NDArray[np.float64], hu: NDArray[np.int16], masks: Mapping[str, Mask]) -> Truth:
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    lungs = {
        "right_lung": masks["right_lung"],
        "left_lung": masks["left_lung"],
        "lungs": masks["right_lung"] | masks["left_lung"],
    }
    return Truth(
        affine=affine,
        hu=hu,
        masks=MappingProxyType(dict(masks)),
        volumes_ml={name: float(mask.sum()) * voxel_ml for name, mask in masks.items()},
        mean_hu={name: float(hu[mask].mean()) for name, mask in masks.items() if mask.any()},
        emphysema_percent={
            name: 100 * float((hu[mask] < EMPHYSEMA_THRESHOLD_HU).mean())
            for name, mask in lungs.items()
        },
    )
