"""What an analyzer is given, what it gives back, and how it says what it can read.

Owns the array convention of the whole node. Knows no DICOM, no database and no network.

Convention: axes are ``(slice, row, column)``; ``affine`` maps an index ``(slice, row, column, 1)``
to patient coordinates in mm, LPS (x to the patient's left, y to the back, z to the head); slices
are sorted so that the index rises along the normal of the image plane; CT is in HU after rescale;
masks lie on the input grid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

AIR_HU = -1000
"""What stands for "nothing there" on CT."""


class AnalyzerError(Exception):
    """Base of what an analyzer raises on purpose."""


class NotApplicable(AnalyzerError):
    """The input is sound, but this analyzer has nothing to say about it.

    The message goes into the report: write it for a radiologist.
    """


class InvalidParameters(AnalyzerError):
    """A parameter is out of its range; the message names it."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme designator (SCT, DCM, UCUM …) and meaning."""

    value: str
    scheme: str
    meaning: str


class Plane(StrEnum):
    """The anatomical plane nearest to the image plane."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


@dataclass(frozen=True, slots=True)
class Subject:
    """What the header says of the person examined. None: it does not say."""

    age_years: float | None = None
    sex: str | None = None
    """F, M or O (PS3.3 C.7.1.1)."""
    weight_kg: float | None = None
    height_m: float | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """A number or an answer that another analyzer gave for the same study.

    structure: the key of the segment or detection it belongs to; empty: the whole series.
    """

    analyzer: str
    structure: str
    finding: Measurement | Classification


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
    facts: what the header says of the series.
    frame_of_reference: a name; coordinates of series with the same one can be compared. Empty: the
        header gives none.
    companions: other series of the study by the role that ``Analyzer.companions`` gives them.
    reported: what the analyzers named in ``Analyzer.after`` said of this study.
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
    subject: Subject = Subject()
    facts: SeriesFacts | None = None
    frame_of_reference: str = ""
    companions: Mapping[str, Volume] = field(default_factory=dict)
    reported: tuple[Reported, ...] = ()
    valid: NDArray[np.bool_] | None = None
    units_reason: str = ""
    suv_reason: str = ""

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


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What is known of a series before a pixel is decoded. None: the header does not say."""

    modality: str
    instances: int
    slices: int
    """Frames of images, whether their place in space can be read or not; 0 when there is none."""
    plane: Plane | None = None
    spacing_mm: float | None = None
    """Median distance between slices."""
    thickness_mm: float | None = None
    contrast: bool | None = None
    image_type: tuple[str, ...] = ()
    body_part: str = ""
    description: str = ""
    view: str = ""
    """View Position of a radiograph: AP, PA, LL … (PS3.3 C.8.1.1)."""


@dataclass(frozen=True, slots=True)
class InputContract:
    """Which series an analyzer can read. Every condition left at its default is not checked."""

    modalities: frozenset[str]
    planes: frozenset[Plane] = frozenset()
    min_slices: int = 1
    max_spacing_mm: float | None = None
    max_thickness_mm: float | None = None
    contrast: bool | None = None
    derived: bool = False
    """Whether images that were themselves computed (Image Type DERIVED) are accepted."""
    any_units: bool = False
    """Whether a CT is accepted whose header does not say that its values are HU."""

    def require_units(self, volume: Volume) -> None:
        """Whoever asks for HU is given HU.

        Raises
        ------
        NotApplicable
            The values of a CT are not known to be HU.
        """
        if volume.modality == "CT" and volume.units is None and not self.any_units:
            reason = volume.units_reason or "the header gives no units"
            raise NotApplicable(f"The values are not known to be HU: {reason}.")

    def refusals(self, series: SeriesFacts) -> tuple[str, ...]:
        """The conditions that the series does not meet, in words; empty when it is accepted."""
        return tuple(reason for reason in self._unmet(series) if reason)

    def preference(self, series: SeriesFacts) -> tuple[float, ...]:
        """Sort key among accepted series, best first: thin slices, then many."""
        spacing = series.spacing_mm if series.spacing_mm is not None else float("inf")
        return (round(spacing, 2), -series.slices)

    def _unmet(self, series: SeriesFacts) -> list[str]:
        return [
            self._modality(series),
            self._image_type(series),
            self._plane(series),
            _at_least("slices", series.slices, self.min_slices),
            _at_most("distance between slices", series.spacing_mm, self.max_spacing_mm),
            _at_most("slice thickness", series.thickness_mm, self.max_thickness_mm),
            self._contrast(series),
        ]

    def _modality(self, series: SeriesFacts) -> str:
        if series.modality in self.modalities:
            return ""
        wanted = " or ".join(sorted(self.modalities))
        said = series.modality if _CODE.fullmatch(series.modality) else "not readable"
        return f"modality is {said if series.modality else 'not given'}, {wanted} is needed"

    def _image_type(self, series: SeriesFacts) -> str:
        kinds = {part.upper() for part in series.image_type}
        if "LOCALIZER" in kinds:
            return "it is a localizer"
        if "DERIVED" in kinds and not self.derived and "AXIAL" not in kinds:
            return "its images are derived, originals are needed"
        return ""

    def _plane(self, series: SeriesFacts) -> str:
        if not self.planes or series.plane in self.planes:
            return ""
        wanted = " or ".join(sorted(self.planes))
        return f"its plane is {series.plane or 'unknown'}, {wanted} is needed"

    def _contrast(self, series: SeriesFacts) -> str:
        if self.contrast is None or series.contrast is None or series.contrast == self.contrast:
            return ""
        return f"it is {'with' if series.contrast else 'without'} contrast agent"


_CODE = re.compile(r"[A-Z0-9]{2,8}")
"""A defined term of Modality; whatever else stands there is not repeated in a reason."""


def _at_least(what: str, have: int, need: int) -> str:
    return f"{have} {what}, at least {need} are needed" if have < need else ""


def _at_most(what: str, have_mm: float | None, limit_mm: float | None) -> str:
    if limit_mm is None or have_mm is None or have_mm <= limit_mm + 1e-3:
        return ""
    return f"{what} is {have_mm:g} mm, at most {limit_mm:g} mm is accepted"


# --- findings -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with a unit. ``name`` and ``unit`` are coded (UCUM for units).

    ``derivation`` says how the number was made from many (mean, maximum …). A ``value`` of nan is
    reported as "could not be measured"; infinity is none.
    """

    name: Code
    value: float
    unit: Code
    derivation: Code | None = None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The probability from which an answer is given, and what it reached on held-out patients."""

    threshold: float
    sensitivity: float
    specificity: float
    evaluated_on: str
    """The set and its size, in words."""


@dataclass(frozen=True, slots=True)
class Classification:
    """A coded answer to a coded question, with the analyzer's probability for it (0–1).

    ``reasons`` name what weighed most, in words, the heaviest first.
    """

    question: Code
    answer: Code
    probability: float | None = None
    operating_point: OperatingPoint | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A conclusion that a rule drew: what, from which rule, which values fired, on whose word."""

    conclusion: Code
    text: str
    rule: str
    because: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One structure of a segmentation.

    ``key`` is stable over versions of the analyzer ("left_lung"): tracking identifiers hang on it.
    ``number`` is the value of its voxels in ``Segmentation.labels``.
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


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Structures that do not overlap: ``labels`` is uint8 on the input grid, 0 is background.

    A segment without a voxel is a statement ("looked for, not found") and is reported as one.
    Structures that overlap go into several segmentations.
    """

    labels: NDArray[np.uint8]
    segments: tuple[Segment, ...]
    title: str = "Segmentation"


@dataclass(frozen=True, slots=True)
class Detection:
    """A box round something found: corner indices ``(slice, row, column)``, both inclusive."""

    key: str
    kind: Code
    category: Code
    first: tuple[int, int, int]
    last: tuple[int, int, int]
    score: float | None = None
    laterality: Code | None = None
    measurements: tuple[Measurement, ...] = ()
    classifications: tuple[Classification, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class DerivedImage:
    """A new image on the input grid, ``values`` in the units of the input after rescale.

    role: made from this companion, whose modality and units it has; empty: from the input.
    """

    values: NDArray[Any]
    title: str
    derivation: Code
    """From CID 7203 (Image Derivation)."""
    remarks: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ColorImage:
    """A colour image on the input grid: ``values`` is uint8 ``(slice, row, column, 3)``, sRGB."""

    values: NDArray[np.uint8]
    title: str
    derivation: Code
    remarks: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ParametricMap:
    """A computed quantity on the input grid: ``values`` is float32 in ``unit``."""

    values: NDArray[np.float32]
    title: str
    quantity: Code
    unit: Code


@dataclass(frozen=True, slots=True, eq=False)
class CompressedImage:
    """The stored pixels of the series in another encoding: one code stream per slice.

    transfer_syntax: its UID. ratio: bytes before over bytes after. method: defined term of
    (0028,2114) when lossy (ISO_15444_1, ISO_14495_1 …), empty when the pixels are unchanged.
    """

    frames: tuple[bytes, ...]
    transfer_syntax: str
    ratio: float
    method: str
    title: str
    remarks: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """Where a companion lies: ``matrix`` (4×4 float64, rigid) maps its LPS mm to the input's."""

    role: str
    matrix: NDArray[np.float64]
    title: str


@dataclass(frozen=True, slots=True)
class Shades:
    """Values shown as the lowest and the highest shade, in the units of the image."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Blending:
    """How a companion is shown over the input: the derived image of its ``role``, in colour.

    palette: uint8 ``(256, 3)``, of each channel at least one value above 127. opacity: share of the
    colour, 0–1. under, above: the shades of the input and of the companion.
    """

    role: str
    palette: NDArray[np.uint8]
    opacity: float
    under: Shades
    above: Shades
    title: str


@dataclass(frozen=True, slots=True)
class WindowPreset:
    """A way to show the whole series, its pixels unchanged; ``shades`` in its units."""

    title: str
    shades: Shades


Finding = (
    Segmentation
    | Detection
    | DerivedImage
    | ColorImage
    | ParametricMap
    | CompressedImage
    | Registration
    | Blending
    | WindowPreset
    | Measurement
    | Classification
    | Statement
)


@dataclass(frozen=True, slots=True)
class Findings:
    """All that one analysis says. ``remarks`` are sentences for the report."""

    items: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()


# --- the analyzer ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may take before it is stopped."""

    time_s: float = 600.0
    memory_mb: int = 8192


@dataclass(frozen=True, slots=True)
class NoParameters:
    """The parameters of an analyzer that has none."""


@runtime_checkable
class Analyzer(Protocol):
    """One algorithm. Built once per worker with a device, then called once per series.

    ``analyze`` must be deterministic for the same volume and parameters, must not write to
    ``volume.stored``, and raises ``NotApplicable`` when it has nothing to say.
    """

    name: ClassVar[str]
    """Stable identifier: lower case, digits and underscores."""
    version: ClassVar[str]
    """Changes whenever a result may change."""
    title: ClassVar[str]
    """What a person calls it, at most 64 characters (DICOM LO)."""
    inputs: ClassVar[InputContract]
    limits: ClassVar[Limits]
    parameters: ClassVar[type[Any]]
    """A frozen dataclass whose fields all have defaults."""
    # Optional: companions: ClassVar[Mapping[str, InputContract]], the series of the study that are
    # wanted beside this one, by role; after: ClassVar[tuple[str, ...]], the analyzers whose
    # findings of the same study are wanted; family: ClassVar[Code], what kind of algorithm it is
    # (CID 7162; Artificial Intelligence where it is absent).

    def __init__(self, device: str) -> None: ...

    def analyze(self, volume: Volume, parameters: Any) -> Findings: ...


ParameterValues = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AnalyzerInfo:
    """What the registry knows about an installed analyzer."""

    name: str
    version: str
    title: str
    inputs: InputContract
    limits: Limits
    defaults: ParameterValues = field(default_factory=dict)
    companions: Mapping[str, InputContract] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    family: Code | None = None
