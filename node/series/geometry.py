"""Decides whether images form one regular grid, in which order, and where it lies in the patient.

Owns the refusals of a series, each with its numbers. Reads no files and decodes no pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzers.contract import Plane

Vectors = NDArray[np.float64]

SAME_POSITION_MM = 0.01
"""Two images closer than this lie at the same place: no scanner makes slices that thin."""

ROUNDING_MM = 0.05
"""Scanners round Image Position (Patient), some to a tenth of a millimetre."""

MAX_DEVIATION = 0.01
"""Part of the slice spacing by which a slice may miss its place on the grid."""

MAX_ROUNDED_DEVIATION = 0.1
"""The same where the deviation may be rounding: a tenth of a slice is not seen in any result."""

MAX_DRIFT_PIXELS = 0.5
"""How far the stack may lean, over all its slices, before readers that know no shear are wrong."""

COSINE_TOLERANCE = 1e-3
"""Direction cosines are written with three decimals or more; 0.001 is 0.06 degrees."""

SPACING_TOLERANCE = 1e-3
"""Relative difference of pixel spacings that is rounding: half a pixel over 512."""


# --- refusals -------------------------------------------------------------------------------------


class UnsupportedSeries(Exception):
    """The images are no volume; the message names the condition and carries no patient data."""

    def __reduce__(self) -> tuple[type[UnsupportedSeries], tuple[Any, ...]]:
        """Survives the way from a worker process to the node."""
        names: tuple[str, ...] = getattr(self, "__match_args__", ())
        return type(self), tuple(getattr(self, name) for name in names) or self.args


@dataclass(eq=False)
class UnreadableHeader(UnsupportedSeries):
    """A file is not DICOM, or an attribute that is needed is damaged."""

    problem: str

    def __str__(self) -> str:
        return f"a header cannot be read: {self.problem}"


@dataclass(eq=False)
class NoPixels(UnsupportedSeries):
    """Objects that are no images: reports, structure sets, segmentations, parametric maps."""

    objects: int

    def __str__(self) -> str:
        return f"{self.objects} of the objects are no images of measured values"


@dataclass(eq=False)
class NoGeometry(UnsupportedSeries):
    """The place of an image in the patient is not given, or makes no sense."""

    problem: str

    def __str__(self) -> str:
        return f"the images have no place in the patient: {self.problem}"


@dataclass(eq=False)
class MixedPatients(UnsupportedSeries):
    """The images are not of one patient, or nobody can tell."""

    attributes: tuple[str, ...]

    def __str__(self) -> str:
        return f"the images do not agree on whom they show ({', '.join(self.attributes)})"


@dataclass(eq=False)
class NotGreyscale(UnsupportedSeries):
    """The pixels are not one number each (RGB, YBR, PALETTE COLOR …)."""

    photometric_interpretation: str

    def __str__(self) -> str:
        return f"the images are {self.photometric_interpretation}, greyscale is needed"


@dataclass(eq=False)
class NonlinearValues(UnsupportedSeries):
    """The values come from a Modality LUT: no slope and intercept describe them."""

    def __str__(self) -> str:
        return "the pixel values need a Modality LUT, a linear rescale is needed"


@dataclass(eq=False)
class NothingMeasured(UnsupportedSeries):
    """Every pixel has a value that the header declares as padding."""

    def __str__(self) -> str:
        return "every pixel is padding (Pixel Padding Value, Pixel Padding Range Limit)"


@dataclass(eq=False)
class MixedGrids(UnsupportedSeries):
    """Matrix, pixel spacing or stored format differ among the images."""

    attribute: str
    different: int

    def __str__(self) -> str:
        return f"the images differ in {self.attribute} ({self.different} kinds)"


@dataclass(eq=False)
class MixedOrientations(UnsupportedSeries):
    """The image planes are not parallel, for instance because a localizer is among them."""

    orientations: int

    def __str__(self) -> str:
        return f"the images have {self.orientations} different orientations, one is needed"


@dataclass(eq=False)
class MixedFramesOfReference(UnsupportedSeries):
    """The positions of the images cannot be compared."""

    frames_of_reference: int

    def __str__(self) -> str:
        return f"the images have {self.frames_of_reference} frames of reference, one is needed"


@dataclass(eq=False)
class SeveralRadiographs(UnsupportedSeries):
    """More than one radiograph in a series: views differ, and none is the one that is meant."""

    radiographs: int

    def __str__(self) -> str:
        return f"the series holds {self.radiographs} radiographs, one is needed"


@dataclass(eq=False)
class GantryTilt(UnsupportedSeries):
    """The stack leans: slices follow each other along a line that is not their normal."""

    degrees: float

    def __str__(self) -> str:
        return f"the gantry was tilted by {self.degrees:.1f} degrees, upright slices are needed"


@dataclass(eq=False)
class ShiftedSlices(UnsupportedSeries):
    """Slices are displaced within their plane: no one line goes through their corners."""

    shift_mm: float

    def __str__(self) -> str:
        return f"slices are shifted against each other by up to {self.shift_mm:.2f} mm"


@dataclass(eq=False)
class SeveralVolumes(UnsupportedSeries):
    """Every position occurs more than once: time points, echoes, b-values …"""

    volumes: int
    slices: int

    def __str__(self) -> str:
        slices = f"{self.slices} slice{'' if self.slices == 1 else 's'}"
        return f"the series holds {self.volumes} volumes of {slices}, one is needed"


@dataclass(eq=False)
class DuplicateSlices(UnsupportedSeries):
    """Some positions occur more than once."""

    duplicates: int

    def __str__(self) -> str:
        return f"{self.duplicates} images lie where another one lies already"


@dataclass(eq=False)
class MissingSlices(UnsupportedSeries):
    """The gaps are whole multiples of the slice spacing."""

    missing: int
    gaps: int
    spacing_mm: float

    def __str__(self) -> str:
        return (
            f"{self.missing} slices are missing in {self.gaps} gaps of a stack with "
            f"{self.spacing_mm:.3f} mm between slices"
        )


@dataclass(eq=False)
class IrregularSpacing(UnsupportedSeries):
    """The distances between neighbouring slices differ."""

    least_mm: float
    most_mm: float

    def __str__(self) -> str:
        return (
            f"the distance between slices varies from {self.least_mm:.3f} to "
            f"{self.most_mm:.3f} mm, even spacing is needed"
        )


@dataclass(eq=False)
class TooLarge(UnsupportedSeries):
    """More pixels than a volume may have."""

    pixels: int
    max_pixels: int

    def __str__(self) -> str:
        return f"the images have {self.pixels} pixels, at most {self.max_pixels} are accepted"


@dataclass(eq=False)
class UndecodablePixels(UnsupportedSeries):
    """Pixel data are cut short, damaged, or in a form that no decoder here reads."""

    problem: str

    def __str__(self) -> str:
        return f"pixel data cannot be decoded: {self.problem}"


# --- the grid -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImagePlane:
    """Where one image lies (PS3.3 C.7.6.2), as written in its header.

    position: Image Position (Patient), x, y, z in mm. orientation: the row's direction (towards
    rising columns), then the column's. spacing: between rows, then between columns, in mm.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness_mm: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """``order[i]`` is the image at slice ``i``; affine as in ``analyzers.contract``."""

    order: NDArray[np.intp]
    affine: NDArray[np.float64]


def arrange(planes: Sequence[ImagePlane]) -> Grid:
    """Sorts images along their common normal and gives the affine of the grid that they form.

    Raises
    ------
    UnsupportedSeries
        One of its subclasses, for what keeps the images from being one regular grid.
    """
    orientation = _common_orientation(planes)
    spacing = _common_spacing(planes)
    normal = np.cross(orientation[:3], orientation[3:])
    positions = np.array([plane.position for plane in planes])
    depths = positions @ normal
    order = np.argsort(depths, kind="stable")
    _check_upright(positions[order], depths[order], normal, spacing)
    _check_repeats(depths[order])
    _check_spacing(depths[order])
    step = _step(positions[order], normal, planes[0].thickness_mm)
    return Grid(order, _affine(positions[order[0]], step, orientation, spacing))


def nearest_plane(orientation: Sequence[float]) -> Plane:
    """The anatomical plane nearest to an image plane given by its direction cosines."""
    normal = np.abs(np.cross(orientation[:3], orientation[3:6]))
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[int(np.argmax(normal))]


def distinct(depths: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sorted depths without repeats."""
    ordered = np.sort(depths)
    first: NDArray[np.float64] = ordered[np.diff(ordered, prepend=-np.inf) > SAME_POSITION_MM]
    return first


def depths_of(positions: ArrayLike, orientation: Sequence[float]) -> NDArray[np.float64]:
    """How far along their normal positions lie, (images, 3) in mm; they share the six cosines."""
    normal = np.cross(orientation[:3], orientation[3:6])
    return np.asarray(np.asarray(positions, np.float64) @ normal, np.float64)


def turns(depths: NDArray[np.float64]) -> list[int]:
    """Of images in this order the how-manieth each is in its place, from 1."""
    seen: Counter[int] = Counter()
    found = []
    for level in levels(depths):
        seen[level] += 1
        found.append(seen[level])
    return found


def levels(depths: NDArray[np.float64]) -> list[int]:
    """Numbers that are equal where depths in mm are, and rise with them."""
    order = np.argsort(depths, kind="stable")
    found = np.empty(len(depths), int)
    found[order] = np.cumsum(np.diff(depths[order], prepend=-np.inf) > SAME_POSITION_MM)
    listed: list[int] = found.tolist()
    return listed


def _common_orientation(planes: Sequence[ImagePlane]) -> Vectors:
    cosines = np.array([plane.orientation for plane in planes])
    norms = np.linalg.norm(cosines.reshape(-1, 2, 3), axis=2)
    skew = np.abs(np.sum(cosines[:, :3] * cosines[:, 3:], axis=1))
    if np.abs(norms - 1).max() > COSINE_TOLERANCE or skew.max() > 2 * COSINE_TOLERANCE:
        raise NoGeometry("Image Orientation (Patient) is not two perpendicular unit vectors")
    if np.abs(cosines - cosines[0]).max() > COSINE_TOLERANCE:
        raise MixedOrientations(len(np.unique(np.round(cosines, 3), axis=0)))
    return np.asarray(cosines[0], np.float64)


def _common_spacing(planes: Sequence[ImagePlane]) -> Vectors:
    spacings = np.array([plane.spacing for plane in planes])
    if spacings.min() <= 0:
        raise NoGeometry("Pixel Spacing is not positive")
    if (np.abs(spacings - spacings[0]) > SPACING_TOLERANCE * spacings[0]).any():
        raise MixedGrids("Pixel Spacing", len(np.unique(spacings, axis=0)))
    return np.asarray(spacings[0], np.float64)


def _check_upright(positions: Vectors, depths: Vectors, normal: Vectors, spacing: Vectors) -> None:
    """Refuses a stack whose corners do not lie on one line along the normal."""
    depths = depths - depths[0]
    aside = positions - positions[0] - np.outer(depths, normal)
    drift = np.linalg.norm(aside, axis=1).max()
    if drift <= MAX_DRIFT_PIXELS * spacing.min():
        return
    lean = depths @ aside / max(float(depths @ depths), SAME_POSITION_MM**2)
    off_line = np.linalg.norm(aside - np.outer(depths, lean), axis=1).max()
    if off_line > MAX_DRIFT_PIXELS * spacing.min():
        raise ShiftedSlices(float(drift))
    raise GantryTilt(float(np.degrees(np.arctan(np.linalg.norm(lean)))))


def _check_repeats(depths: Vectors) -> None:
    """Refuses a stack with more than one image at a position (``depths`` are sorted)."""
    starts = np.flatnonzero(np.diff(depths, prepend=-np.inf) > SAME_POSITION_MM)
    copies = np.diff(starts, append=len(depths))
    if copies.max() == 1:
        return
    if copies.min() > 1:
        raise SeveralVolumes(int(copies.max()), len(starts))
    raise DuplicateSlices(len(depths) - len(starts))


def _check_spacing(depths: Vectors) -> None:
    """Refuses a stack with a slice that is not where the regular grid has it."""
    if len(depths) < 3:
        return
    regular = np.linspace(depths[0], depths[-1], len(depths))
    if np.abs(depths - regular).max() <= _tolerance_mm(regular[1] - regular[0]):
        return
    gaps = np.diff(depths)
    spacing = np.sort(gaps)[(len(gaps) - 1) // 2]
    multiples = np.round(gaps / spacing)
    off = np.abs(gaps - multiples * spacing).max()
    if multiples.max() > 1 and multiples.min() == 1 and off <= 2 * _tolerance_mm(spacing):
        missing = int((multiples - 1).sum())
        raise MissingSlices(missing, int((multiples > 1).sum()), float(spacing))
    raise IrregularSpacing(float(gaps.min()), float(gaps.max()))


def _tolerance_mm(spacing_mm: float) -> float:
    rounded = min(ROUNDING_MM, MAX_ROUNDED_DEVIATION * spacing_mm)
    return max(MAX_DEVIATION * spacing_mm, rounded)


def _step(positions: Vectors, normal: Vectors, thickness_mm: float | None) -> Vectors:
    """From one slice to the next; a single slice is as deep as it is thick."""
    if len(positions) > 1:
        return np.asarray((positions[-1] - positions[0]) / (len(positions) - 1), np.float64)
    if not thickness_mm or thickness_mm < 0:
        raise NoGeometry("a single slice without Slice Thickness has no depth")
    return np.asarray(normal * thickness_mm, np.float64)


def _affine(first: Vectors, step: Vectors, orientation: Vectors, spacing: Vectors) -> Vectors:
    """PS3.3 C.7.6.2.1.1, with the axes in the order slice, row, column."""
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = orientation[3:] * spacing[0]
    affine[:3, 2] = orientation[:3] * spacing[1]
    affine[:3, 3] = first
    return affine
