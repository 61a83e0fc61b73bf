"""Solid lung nodules on CT: where, how large, how sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families, structures
from analyzers.contract import (
    About,
    Classification,
    Code,
    Findings,
    InputContract,
    Limits,
    Measurement,
    NotApplicable,
    OperatingPoint,
    Parameter,
    Parameters,
    Segment,
    Segmentation,
    Volume,
)

if TYPE_CHECKING:
    from analyzers.detection.nodule_candidates import LungGrid
    from analyzers.detection.nodule_shape import Piece
    from analyzers.grid.balls import Mask
    from analyzers.grid.hounsfield import Hounsfield


LEAST_EXTENT_MM = 40.0
LEAST_LUNG_ML = 20.0
MOST_NODULES = 50
REGROWTH_SHARE, MOST_REGROWTH_MM = 0.3, 2.0

IS_NODULE = Code("NODULE", codes.PRIVATE_SCHEME, "Solid lung nodule")
POSSIBLE = Code("371930009", "SCT", "Possible")
MOST_CERTAIN = 0.9
"""No mark is given more: how often marks on real patients are right has not been measured."""
HILAR_MM, MOST_CERTAIN_AT_HILUM = 30.0, 0.5
"""Branches of vessels and lymph nodes look like nodules this near to a hilum."""
LONG_AXIS = Code("103339001", "SCT", "Long Axis")
SHORT_AXIS = Code("103340004", "SCT", "Short Axis")


@dataclass(frozen=True, slots=True)
class NoduleParameters(Parameters):
    """Which nodules are reported."""

    threshold: Annotated[
        float,
        Parameter("least probability; 0: the model's own operating point", least=0, below=1),
    ] = 0.0
    least_diameter_mm: Annotated[
        float, Parameter("smaller nodules are not reported", "mm", least=4, most=30)
    ] = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    window: tuple[slice, ...]
    """Of the (z, y, x) grid of the volume."""
    mask: Mask
    """Fills the window."""
    probability: float
    left: bool
    hilar: bool
    """It lies where vessels leave the lung."""


class LungNodule:
    """Finds blobs in the lungs, cuts them from vessels, keeps those that are shaped like nodules.

    For solid nodules of 5–30 mm on slices of at most 2.5 mm. Ground glass, nodules wider than the
    lung mask's closing at the chest wall, and those inside consolidations are not found; large
    dense regions in the outline of a lung are named, not marked.
    """

    name: ClassVar[str] = "lung_nodule"
    version: ClassVar[str] = "1.3.0"
    title: ClassVar[str] = "Lung nodules"
    about: ClassVar[About] = About(
        purpose="Finds solid nodules in the lungs.",
        gives=(
            "a box for each nodule",
            "volume, axes and probability",
        ),
        evidence="Trained on nodules drawn into the lungs of one chest CT; not measured on others.",
        card="models/weights/lung_nodule/CARD.md",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    models: ClassVar[tuple[str, ...]] = ("models/weights/lung_nodule/model.toml",)
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT"}), min_slices=20, max_spacing_mm=2.5, youngest_years=18
    )
    limits: ClassVar[Limits] = Limits(time_s=600.0, memory_mb=8192)
    parameters: ClassVar[type[NoduleParameters]] = NoduleParameters

    def __init__(self, device: str) -> None:
        """device: where the blob filters run; shape is measured on the CPU."""
        from analyzers.detection import nodule_model

        self.device = device
        self.model = nodule_model.load()

    def analyze(self, volume: Volume, parameters: NoduleParameters) -> Findings:
        """One segment a nodule, the largest first, with volume, axes, attenuation, probability.

        Raises
        ------
        NotApplicable
            The images show no, or next to no, aerated lung.
        """
        from analyzers.anatomy.little_lung import little_lung
        from analyzers.anatomy.lung_masks import lung_masks
        from analyzers.detection import nodule_fitness
        from analyzers.detection.nodule_candidates import lung_grid
        from analyzers.detection.nodule_masses import masses
        from analyzers.grid.hounsfield import hounsfield_planes
        from analyzers.grid.patient_grid import (
            clear_padding,
            measured_here,
            patient_grid,
            require_extent,
        )

        require_extent(volume, LEAST_EXTENT_MM)
        patient = patient_grid(volume)
        hu = hounsfield_planes(volume, patient)
        lungs = lung_masks(hu, patient.spacing_mm)
        clear_padding(volume, patient, lungs)
        lungs_ml = float(np.count_nonzero(lungs)) * volume.voxel_ml
        if lungs_ml < LEAST_LUNG_ML:
            raise NotApplicable("The images show no aerated lung.")
        grid = lung_grid(hu, lungs, patient.spacing_mm)
        doubts = (*little_lung(lungs_ml), *nodule_fitness.cautions(hu, lungs, patient.spacing_mm))
        large = tuple(one.words() for one in masses(grid, hu, lungs, patient.spacing_mm))
        found = self._nodules(hu, lungs, grid, patient.spacing_mm, parameters)
        labels = np.zeros(hu.shape, np.uint8)
        valid = measured_here(volume, patient)
        for number, one in enumerate(found, 1):
            if valid is not None:
                one.mask[~valid[one.window]] = False
            part = labels[one.window]
            part[one.mask & (part == 0)] = number
        segments = [
            _segment(number, one, hu, patient.spacing_mm, self._point(parameters))
            for number, one in enumerate(found, 1)
        ] or [_nothing()]
        marks = Segmentation(patient.restore(labels), tuple(segments), title="Lung nodules")
        remarks = (*(() if found else (_none_found(parameters),)), _not_looked_for())
        return Findings((marks,), remarks, (*doubts, *large))

    def _point(self, parameters: NoduleParameters) -> OperatingPoint | None:
        return None if parameters.threshold else self.model.operating_point

    def _nodules(
        self,
        hu: Hounsfield,
        lungs: NDArray[np.uint8],
        grid: LungGrid,
        spacing_mm: tuple[float, float, float],
        parameters: NoduleParameters,
    ) -> list[_Found]:
        from analyzers.anatomy.lung_sides import LEFT_LABEL
        from analyzers.detection.nodule_candidates import candidates
        from analyzers.detection.nodule_shape import cut_out

        threshold = parameters.threshold or self.model.operating_point.threshold
        least_mm = 0.8 * parameters.least_diameter_mm
        pieces = [cut_out(grid, one, least_mm) for one in candidates(grid, self.device)]
        likely = [
            (self.model.probability(piece.shape), piece) for piece in pieces if piece is not None
        ]
        likely = [one for one in likely if one[0] >= threshold]
        taken = np.zeros(hu.shape, np.bool_)
        found: list[_Found] = []
        for probability, piece in sorted(likely, key=lambda one: -one[0]):
            window, mask = _on_fine_grid(piece, grid, hu, spacing_mm)
            if np.count_nonzero(mask & taken[window]) > 0.2 * np.count_nonzero(mask):
                continue
            if _diameter_mm(mask, spacing_mm) < parameters.least_diameter_mm:
                continue
            taken[window] |= mask
            left = float(np.mean(lungs[window][mask] == LEFT_LABEL)) > 0.5
            hilar = piece.shape.hilum <= HILAR_MM
            found.append(_Found(window, mask, probability, left, hilar))
        found.sort(key=lambda one: -np.count_nonzero(one.mask))
        return found[:MOST_NODULES]


def _on_fine_grid(
    piece: Piece,
    grid: LungGrid,
    hu: Hounsfield,
    spacing_mm: tuple[float, float, float],
) -> tuple[tuple[slice, ...], Mask]:
    """Where the piece lies on the volume's grid, and its voxels there.

    Its border is decided on the volume's own voxels, and what the cut rounded off its corners is
    given back.
    """
    from scipy import ndimage

    from analyzers.detection.nodule_candidates import STEP_MM

    given_back = float(np.clip(REGROWTH_SHARE * piece.shape.diameter / 2, 1.0, MOST_REGROWTH_MM))
    margin = int(np.ceil(MOST_REGROWTH_MM / STEP_MM)) + 1
    outside = ndimage.distance_transform_edt(~np.pad(piece.mask, margin)) * STEP_MM
    near = outside <= given_back
    corner = [part.start - margin for part in piece.window]
    size = [part.stop - part.start + 2 * margin for part in piece.window]
    places, windows = [], []
    for axis in range(3):
        step, first = spacing_mm[axis], grid.window[axis].start
        low = max(first + int(corner[axis] * STEP_MM / step), 0)
        high = min(
            first + int(np.ceil((corner[axis] + size[axis]) * STEP_MM / step)), hu.shape[axis]
        )
        fine = np.arange(low, high)
        coarse = np.rint((fine - first + 0.5) * step / STEP_MM - 0.5).astype(int) - corner[axis]
        places.append(np.clip(coarse, 0, size[axis] - 1))
        windows.append(slice(low, high))
    window = tuple(windows)
    mask = near[np.ix_(*places)] & (hu[window] > piece.threshold_hu)
    labels, count = ndimage.label(mask)
    if count > 1:
        largest = int(np.argmax(np.bincount(labels.ravel())[1:])) + 1
        mask = labels == largest
    return window, mask


def _diameter_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> float:
    volume = float(np.count_nonzero(mask)) * float(np.prod(spacing_mm))
    return float(2 * (3 * volume / 4 / np.pi) ** (1 / 3))


def _segment(
    number: int,
    found: _Found,
    hu: Hounsfield,
    spacing_mm: tuple[float, float, float],
    point: OperatingPoint | None,
) -> Segment:
    volume = float(np.count_nonzero(found.mask)) * float(np.prod(spacing_mm))
    long_mm, short_mm = _axes_mm(found.mask, spacing_mm)
    return structures.of("nodule").segment(
        number,
        side=codes.LEFT if found.left else codes.RIGHT,
        measurements=(
            Measurement(codes.VOLUME, round(volume, 1), codes.CUBIC_MILLIMETER),
            Measurement(LONG_AXIS, round(long_mm, 1), codes.MILLIMETER),
            Measurement(SHORT_AXIS, round(short_mm, 1), codes.MILLIMETER),
            Measurement(
                codes.ATTENUATION_COEFFICIENT,
                round(float(np.mean(hu[found.window][found.mask])), 1),
                codes.HOUNSFIELD_UNIT,
                codes.MEAN,
            ),
        ),
        classifications=(_possible(found, point),),
    )


def _possible(found: _Found, point: OperatingPoint | None) -> Classification:
    """A mark to look at, no diagnosis: the model knows drawn nodules only."""
    limits = [
        "A mark to look at: the model has learned from nodules drawn into the lungs of one patient,"
        " and how often it is right in others has not been measured. No certainty above"
        f" {100 * MOST_CERTAIN:.0f} % is given."
    ]
    if found.hilar:
        limits.append(
            f"Within {HILAR_MM:.0f} mm of a hilum, where branches of vessels and lymph nodes look"
            f" alike: no certainty above {100 * MOST_CERTAIN_AT_HILUM:.0f} % is given."
        )
    if point is not None:
        limits.append(f"It found {100 * point.sensitivity:.0f} % of {point.evaluated_on}.")
    most = MOST_CERTAIN_AT_HILUM if found.hilar else MOST_CERTAIN
    certainty = min(round(found.probability, 3), most)
    return Classification(IS_NODULE, POSSIBLE, certainty, None, tuple(limits))


def _axes_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> tuple[float, float]:
    """Sides in mm of the smallest rectangle round the nodule on its largest axial plane."""
    import cv2

    plane = mask[int(np.argmax(np.count_nonzero(mask, axis=(1, 2))))]
    rows, columns = np.nonzero(plane)
    corners = np.concatenate(
        [
            np.stack([(columns + dx) * spacing_mm[2], (rows + dy) * spacing_mm[1]], axis=1)
            for dx in (-0.5, 0.5)
            for dy in (-0.5, 0.5)
        ]
    )
    _, (width, height), _ = cv2.minAreaRect(corners.astype(np.float32))
    return max(width, height), min(width, height)


def _nothing() -> Segment:
    return structures.of("nodule").missing()


def _none_found(parameters: NoduleParameters) -> str:
    return (
        f"No solid nodule of {parameters.least_diameter_mm:g} mm or more was found; ground glass"
        " and nodules inside consolidated lung are not looked for."
    )


def _not_looked_for() -> str:
    return (
        "Masses wider than 30 mm, those at mediastinum or diaphragm above all, ground glass and"
        " nodules inside consolidated lung are not looked for: no mark does not mean no tumour."
    )
