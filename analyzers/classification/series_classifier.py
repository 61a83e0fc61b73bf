"""Body part, plane, contrast agent and localizer of a series, from pixels and geometry first.

The header's words are used where pixels cannot tell, and named where they disagree: tags are
missing or wrong often enough that routing needs a second opinion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from analyzers import families
from analyzers.anatomy.body_region import Region, cross_sections, said_regions, shares, unknown_part
from analyzers.classification import concepts
from analyzers.contract import (
    About,
    Classification,
    Code,
    Findings,
    InputContract,
    Limits,
    NoParameters,
    NotApplicable,
    Plane,
    Volume,
)

if TYPE_CHECKING:
    from analyzers.anatomy.soft_region import Seen

REGION_CODES = {
    Region.HEAD: Code("69536005", "SCT", "Head"),
    Region.CHEST: Code("816094009", "SCT", "Chest"),
    Region.ABDOMEN: Code("818982008", "SCT", "Abdomen and Pelvis"),
    Region.LIMB: Code("66019005", "SCT", "Extremity"),
}
PLANE_CODES = {
    Plane.AXIAL: Code("24422004", "SCT", "Axial"),
    Plane.CORONAL: Code("81654009", "SCT", "Coronal"),
    Plane.SAGITTAL: Code("30730003", "SCT", "Sagittal"),
}
OBLIQUE = 0.8
"""Below this part of the slice normal along one axis the plane is called oblique in the reason."""
FEW_SLICES = 3
SCOUT_MM = 8.0
"""Slices of a localizer lie at least this far apart."""
VESSEL_ML = 10.0
"""An aorta, a heart or a kidney of this size shows; smaller uniform bright spots may be bone."""
WHOLE_BODY = Code("38266002", "SCT", "Entire body")
NOT_JUDGED = (
    "The body part is not known from the pixels; what the header says is repeated unproved."
)
SECOND_REGION = 0.2
"""From this share of the slices on a further region is named as well."""


@dataclass(frozen=True, slots=True)
class _Opinion:
    """An answer, how sure, and why."""

    answer: Code
    probability: float | None
    reason: str


class SeriesClassifier:
    """Answers what a router asks of a series. Probabilities of rules are shares of the slices
    that agree, not calibrated; where nothing can be told, nothing is answered."""

    name: ClassVar[str] = "series_classifier"
    version: ClassVar[str] = "1.2.0"
    title: ClassVar[str] = "Series classifier"
    about: ClassVar[About] = About(
        purpose="Answers what a router asks of a series, from pixels where the header is silent.",
        gives=("body part, plane, localizer, contrast agent",),
        evidence="By rules after anatomy; its shares are not calibrated probabilities.",
    )
    family: ClassVar[Code] = families.ARTIFICIAL_INTELLIGENCE
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT", "MR", "PT"}), derived=True
    )
    limits: ClassVar[Limits] = Limits(time_s=120.0, memory_mb=4096)
    parameters: ClassVar[type[NoParameters]] = NoParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        """Up to four kinds of answers.

        Raises
        ------
        NotApplicable
            The series holds no image, or only projections.
        """
        from analyzers.anatomy.soft_region import seen_region

        if volume.stored.size == 0 or volume.projection:
            raise NotApplicable("The series holds no slices.")
        plane = plane_of(volume)
        seen = None if _readable_ct(volume) else seen_region(volume)
        answers = [
            _told(concepts.IMAGE_PLANE, plane),
            *(_told(concepts.BODY_PART, one) for one in body_parts(volume, seen)),
            *(_told(concepts.IS_LOCALIZER, one) for one in localizer(volume)),
            *(_told(concepts.CONTRAST_AGENT, one) for one in contrast_agent(volume)),
        ]
        remarks: tuple[str, ...] = ()
        if disagreement := header_disagreement(volume, seen):
            remarks = (disagreement,)
        return Findings(items=tuple(answers), remarks=remarks)


def plane_of(volume: Volume) -> _Opinion:
    """The plane by the direction of the slice normal; its part along that axis as certainty."""
    across, down = (volume.affine[:3, axis] for axis in (2, 1))
    normal = np.abs(np.cross(across, down))
    normal /= np.linalg.norm(normal)
    axis = int(np.argmax(normal))
    plane = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[axis]
    part = float(normal[axis])
    how = "oblique" if part < OBLIQUE else "straight"
    return _Opinion(
        PLANE_CODES[plane], part**2, f"the slices lie {how} ({part:.2f} along the axis)"
    )


def body_parts(volume: Volume, seen: Seen | None) -> list[_Opinion]:
    """The regions in an axial CT by its slices, in PET and MR by outline and uptake; where these do
    not tell, what the header's words say."""
    if _readable_ct(volume):
        found = shares(cross_sections(volume))
        return [
            _Opinion(REGION_CODES[region], share, f"{share:.0%} of the slices look like {region}")
            for index, (region, share) in enumerate(found.items())
            if index == 0 or share >= SECOND_REGION
        ]
    if seen is not None:
        return [_Opinion(one, seen.certainty, seen.reason) for one in _codes(seen)]
    return [
        _Opinion(REGION_CODES[region], None, "the header says so; the pixels do not tell")
        for region in said_regions(volume.facts)
    ]


def _codes(seen: Seen) -> list[Code]:
    return [WHOLE_BODY] if seen.whole_body else [REGION_CODES[one] for one in seen.regions]


def localizer(volume: Volume) -> list[_Opinion]:
    """By image type where it says so, else by how few and how far apart the slices are."""
    facts, slices = volume.facts, volume.shape[0]
    if facts is not None and "LOCALIZER" in {part.upper() for part in facts.image_type}:
        return [_Opinion(concepts.YES, None, "the image type says so")]
    if slices == 1:
        return []
    apart = float(volume.spacing_mm[0])
    if slices <= FEW_SLICES and apart >= SCOUT_MM:
        return [_Opinion(concepts.YES, None, f"only {slices} slices, {apart:.0f} mm apart")]
    return [_Opinion(concepts.NO, None, f"{slices} parallel slices, {apart:.1f} mm apart")]


def contrast_agent(volume: Volume) -> list[_Opinion]:
    """On axial CT of the trunk by uniform bright structures; else by the header, if it tells."""
    from analyzers.anatomy.body import contrast_ml, foreground
    from analyzers.grid.value_planes import ValuePlanes

    said = volume.facts.contrast if volume.facts else None
    trunk = {Region.CHEST, Region.ABDOMEN}
    if _readable_ct(volume) and trunk & set(shares(cross_sections(volume))):
        values = ValuePlanes(volume)
        seen = contrast_ml(values, foreground(values, "CT", volume.valid), volume.voxel_ml)
        answer = concepts.YES if seen > VESSEL_ML else concepts.NO
        return [_Opinion(answer, None, f"the largest uniform bright structure has {seen:.0f} mL")]
    if said is None:
        return []
    return [_Opinion(concepts.YES if said else concepts.NO, None, "the header says so")]


def header_disagreement(volume: Volume, seen: Seen | None) -> str:
    """A sentence where the header's body part is not what the slices show, or none that is known;
    where the pixels do not tell, a sentence that says so. Else empty."""
    if not _readable_ct(volume):
        return _soft_disagreement(volume, seen)
    regions = [
        one for one, share in shares(cross_sections(volume)).items() if share >= SECOND_REGION
    ]
    said = said_regions(volume.facts)
    if not regions or set(said) & set(regions):
        return ""
    if said:
        return f"The header says {' and '.join(said)}, the slices look like {regions[0]}."
    if unknown_part(volume.facts):
        return f"The header's body part names no known region, the slices look like {regions[0]}."
    return ""


def _soft_disagreement(volume: Volume, seen: Seen | None) -> str:
    """The same of PET and MR. A part that the header names is wrong for a whole body too."""
    if seen is None:
        return NOT_JUDGED
    said = said_regions(volume.facts)
    looks = "a whole body" if seen.whole_body else " and ".join(seen.regions)
    if said and not set(said) & set(seen.regions):
        return f"The header says {' and '.join(said)}, the images look like {looks}."
    if unknown_part(volume.facts) and not (seen.whole_body and _says_whole(volume)):
        return f"The header's body part names no known region, the images look like {looks}."
    return ""


def _says_whole(volume: Volume) -> bool:
    part = volume.facts.body_part.upper() if volume.facts else ""
    return "WHOLE" in part or "BODY" in part


def _readable_ct(volume: Volume) -> bool:
    return volume.modality == "CT" and plane_of(volume).answer == PLANE_CODES[Plane.AXIAL]


def _told(question: Code, opinion: _Opinion) -> Classification:
    return Classification(
        question=question,
        answer=opinion.answer,
        probability=opinion.probability,
        reasons=(opinion.reason,),
    )
