"""Foci of raised uptake on FDG-PET: metabolic volume, glycolysis and SUV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import families
from analyzers.contract import (
    About,
    Code,
    Findings,
    InputContract,
    Limits,
    NotApplicable,
    Parameter,
    Parameters,
    Volume,
    counting,
    no_suv,
)
from analyzers.segmentation import pet_foci, pet_physiology, pet_tracer
from analyzers.segmentation.pet_foci import Focus, Method, Start, delineate
from analyzers.segmentation.pet_physiology import Named
from analyzers.segmentation.pet_report import Picture, findings, rows_of

if TYPE_CHECKING:
    from analyzers.grid.balls import Mask
    from analyzers.grid.patient_grid import PatientGrid
    from analyzers.segmentation.pet_reference import ReferenceUptake


LEAST_EXTENT_MM = 20.0
SEED_REACH_MM = 10.0
LEVELS = {Method.ABSOLUTE_2_5: 2.5, Method.ABSOLUTE_4: 4.0}
SENTENCES = {
    Method.FIXED: "41 % of the SUVmax of each focus",
    Method.ABSOLUTE_2_5: "SUV 2.5",
    Method.ABSOLUTE_4: "SUV 4.0",
    Method.ADAPTIVE: "15 % of the mean of the hot core above the local background",
    Method.PERCIST: "1.5 times the mean of the liver plus two standard deviations",
}
LEAST_YEARS = 15.0
"""The organs that are placed are those of adults."""


class Naming(StrEnum):
    """Whether organs were told from other uptake, or why not."""

    DONE = "done"
    NO_LIVER = "no liver"
    NO_PLACE = "no place"
    CHILD = "child"
    OTHER_TRACER = "other tracer"
    SEEDED = "seeded"


ALL_UPTAKE = (
    "Metabolic volume and total lesion glycolysis are those of all uptake, not of disease: brain, "
    "heart, kidneys, bladder, liver and bowel are not told apart from it."
)
TOTALS = (
    "Uptake that is likely physiologic has rows of its own and is left out of metabolic volume and "
    "total lesion glycolysis; what is called possible, and every other focus, is in them. A lesion "
    "inside such uptake is not told apart."
)
NAMING = {
    Naming.DONE: (TOTALS,),
    Naming.NO_LIVER: (
        "No liver was found: heart, kidneys, liver and bowel are not named, and their uptake is in"
        " the totals.",
        TOTALS,
    ),
    Naming.NO_PLACE: (ALL_UPTAKE,),
    Naming.CHILD: (ALL_UPTAKE,),
    Naming.OTHER_TRACER: (ALL_UPTAKE,),
    Naming.SEEDED: (),
}
CAUTIONS = {
    Naming.NO_PLACE: (
        "Which part of the body the images show could not be told: no uptake is named physiologic."
    ),
    Naming.CHILD: "The organs of children are not known here: no uptake is named physiologic.",
}


@dataclass(frozen=True, slots=True)
class PetTumourParameters(Parameters):
    """How foci are found and cut."""

    method: Annotated[str, Parameter("how a focus is cut", choices=tuple(Method))] = (
        Method.ADAPTIVE.value
    )
    seed_mm: Annotated[
        tuple[float, ...],
        Parameter(
            "x, y, z of a point (patient LPS): only the focus there is reported; empty: all", "mm"
        ),
    ] = ()
    start_suv: Annotated[
        float,
        Parameter(
            "where a focus is looked for; methods with an absolute level start at that level",
            "g/mL",
            least=0.5,
            most=50,
        ),
    ] = 2.5
    least_ml: Annotated[
        float,
        Parameter("volume of a focus above the starting level", "mL", least=0, most=1000),
    ] = 1.0
    max_foci: Annotated[int, Parameter("the hottest candidates are kept", least=1, most=240)] = 50
    reference_mm: Annotated[
        tuple[float, ...],
        Parameter(
            'x, y, z of the centre of the 3 cm sphere in the liver, for "percist"; empty: it is'
            " looked for",
            "mm",
        ),
    ] = ()

    def check(self) -> None:
        from analyzers.grid.places import require_point

        require_point("seed_mm", self.seed_mm)
        require_point("reference_mm", self.reference_mm)


class PetTumour:
    """Delineates foci of raised uptake by fixed, absolute, adaptive or liver-based thresholds.

    What is hot is not therefore tumour: brown fat, muscle and inflammation take up FDG too and are
    reported like any other focus; a person sorts them out, or gives the point of the tumour as
    ``seed_mm``. Brain, heart, kidneys, bladder, liver and bowel of adults are named by place and
    shape, likely or possible, with rows of their own (``pet_physiology``). Foci that touch above
    the starting level are parted where the uptake between them falls below 70 % of the lower one's
    maximum. SUV is as good as the header: without dose, time and weight there is none.
    """

    name: ClassVar[str] = "pet_tumour"
    version: ClassVar[str] = "1.3.1"
    title: ClassVar[str] = "Foci of uptake on PET"
    about: ClassVar[About] = About(
        purpose="Finds foci of uptake on PET and cuts them out by a threshold.",
        gives=(
            "a segment for each focus, and for organs that take up FDG, likely or possible",
            "metabolic volume, total lesion glycolysis, SUV",
        ),
        evidence="Organs are told by place and shape on phantoms; foci compared with contours in "
        "docs/pet_tumour.md.",
    )
    family: ClassVar[Code] = families.HISTOGRAM_ANALYSIS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"PT"}), min_slices=3, max_spacing_mm=10.0, derived=True
    )
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[PetTumourParameters]] = PetTumourParameters

    def __init__(self, device: str) -> None:
        """device: accepted for the contract's sake; the work is done on the CPU."""
        self.device = device

    def analyze(self, volume: Volume, parameters: PetTumourParameters) -> Findings:
        """One segment for each focus, hottest first, then organs, and the totals.

        Raises
        ------
        NotApplicable
            The header allows no SUV, the method is not for its tracer, nothing is taken up, or
            there is no reference for "percist".
        """
        from analyzers.grid.patient_grid import measured_here, patient_grid, require_extent
        from analyzers.grid.places import index_of

        require_extent(volume, LEAST_EXTENT_MM)
        one_more = counting(4)
        if volume.suv_factor is None:
            raise NotApplicable(no_suv(volume))
        pet_tracer.require_fdg(volume.tracer, Method(parameters.method))
        grid = patient_grid(volume)
        suv = _suv(volume, grid)
        reference = _reference(volume, grid, suv, parameters)
        one_more()
        valid = measured_here(volume, grid)
        foci = _foci(suv, valid, grid, parameters, reference)
        one_more()
        of = Picture(suv, valid, grid, volume.voxel_ml)
        if parameters.seed_mm:
            foci = _at_seed(foci, index_of(volume, grid, parameters.seed_mm), grid)
        naming, named = _named(of, foci, volume, bool(parameters.seed_mm))
        one_more()
        remarks = _remarks(len(foci) - len(named), parameters, reference, naming)
        rows = rows_of(foci, named, parameters.max_foci)
        found = findings(rows, of, remarks)
        one_more()
        doubts = (pet_tracer.caution(volume.tracer), CAUTIONS.get(naming, ""))
        return replace(found, cautions=tuple(one for one in doubts if one))


def _suv(volume: Volume, grid: PatientGrid) -> NDArray[np.float32]:
    factor = np.float32(volume.suv_factor or 0.0)
    values = np.ascontiguousarray(grid.view(volume.values(np.float32)))
    np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    values *= factor
    return values


def _reference(
    volume: Volume, grid: PatientGrid, suv: NDArray[np.float32], parameters: PetTumourParameters
) -> ReferenceUptake | None:
    from analyzers.grid.places import index_of
    from analyzers.segmentation.pet_reference import find_liver, reference_at

    if parameters.method != Method.PERCIST:
        return None
    if parameters.reference_mm:
        centre = index_of(volume, grid, parameters.reference_mm)
        found = reference_at(suv, centre, grid.spacing_mm)
    else:
        found = find_liver(suv, grid.spacing_mm)
    if found is None:
        raise NotApplicable(
            "The images show no even, liver-like uptake to serve as the reference of PERCIST: "
            "it must be of liver size, on the right, above the uptake of the body round it, and "
            "with lungs above it in view."
        )
    return found


def _foci(
    suv: NDArray[np.float32],
    valid: Mask | None,
    grid: PatientGrid,
    parameters: PetTumourParameters,
    reference: ReferenceUptake | None,
) -> list[Focus]:
    method = Method(parameters.method)
    level = reference.threshold if reference else LEVELS.get(method)
    if level is not None:
        start = Start(level, parameters.least_ml)
        return delineate(suv, grid.spacing_mm, start, pet_foci.constant(level), valid)
    rule = pet_foci.fixed_share if method is Method.FIXED else pet_foci.adaptive
    start = Start(parameters.start_suv, parameters.least_ml)
    return delineate(suv, grid.spacing_mm, start, rule, valid)


def _at_seed(foci: list[Focus], seed: tuple[int, int, int], grid: PatientGrid) -> list[Focus]:
    """The focus nearest to the seed, at most 10 mm away."""
    best: tuple[float, Focus] | None = None
    for focus in foci:
        places = np.argwhere(focus.mask) + [part.start for part in focus.window]
        away = (places - np.array(seed)) * np.array(grid.spacing_mm)
        distance = float(np.sqrt((away**2).sum(axis=1).min()))
        if distance <= SEED_REACH_MM and (best is None or distance < best[0]):
            best = (distance, focus)
    if best is None:
        raise NotApplicable("There is no focus of raised uptake at the point given.")
    return [best[1]]


# --- what is reported -----------------------------------------------------------------------------


def _named(
    of: Picture, foci: list[Focus], volume: Volume, seeded: bool
) -> tuple[Naming, list[Named]]:
    """What organs take up, where the tracer is FDG, the person grown, and the place in the body
    told."""
    age = volume.subject.age_years
    if seeded:
        return Naming.SEEDED, []
    if not volume.tracer.is_fdg:
        return Naming.OTHER_TRACER, []
    if age is not None and age < LEAST_YEARS:
        return Naming.CHILD, []
    from analyzers.segmentation.pet_body import body_of

    body = body_of(of.suv, of.grid.spacing_mm)
    found = pet_physiology.named(of.suv, foci, body)
    if body.liver is None and body.parting is None and not found:
        return Naming.NO_PLACE, []
    return (Naming.DONE if body.liver else Naming.NO_LIVER), found


def _remarks(
    candidates: int,
    parameters: PetTumourParameters,
    reference: ReferenceUptake | None,
    naming: Naming,
) -> tuple[str, ...]:
    method = Method(parameters.method)
    said = [*NAMING[naming]]
    said.append(f"Border of the foci: {SENTENCES[method]}.")
    if reference:
        said.append(
            f"Reference: mean SUV {reference.mean:.2f}, standard deviation "
            f"{reference.deviation:.2f}; threshold SUV {reference.threshold:.2f}."
        )
    if not parameters.seed_mm and candidates > parameters.max_foci:
        said.append(
            f"{candidates} foci were found; the {parameters.max_foci} hottest are shown and "
            "totalled."
        )
    return tuple(said)
