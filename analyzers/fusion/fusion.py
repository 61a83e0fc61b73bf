"""Fusion: a second series of the patient, laid on the first, in colour over grey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families
from analyzers.contract import (
    About,
    Blending,
    Code,
    ColorImage,
    DerivedImage,
    Findings,
    InputContract,
    InvalidParameters,
    Limits,
    Measurement,
    NotApplicable,
    Parameter,
    Parameters,
    Registration,
    Shades,
    Volume,
)
from analyzers.fusion import picture
from analyzers.grid.whole_values import Gathered, has_whole_values

if TYPE_CHECKING:
    from analyzers.fusion.registration import Alignment
    from analyzers.fusion.rigid import Matrix
    from analyzers.fusion.scan import Scan
    from analyzers.fusion.verdict import Verdict


BLENDED = Code("113062", "DCM", "Pixel by pixel addition")
"""CID 7203 Image Derivation."""
OVERLAP = Code("FUSOVERLAP", codes.PRIVATE_SCHEME, "Share of the smaller series in both")
BEFORE = Code("FUSMIBEFORE", codes.PRIVATE_SCHEME, "Mutual information as the headers say (nats)")
AFTER = Code("FUSMIAFTER", codes.PRIVATE_SCHEME, "Mutual information as fused (nats)")
UNCERTAIN = Code("FUSUNCERTAIN", codes.PRIVATE_SCHEME, "Uncertainty of the alignment")
SHIFTS = tuple(
    Code(f"FUSSHIFT{axis}", codes.PRIVATE_SCHEME, f"Shift of the second series to the {side}")
    for axis, side in zip("XYZ", ("left", "back", "head"), strict=True)
)
TURNS = tuple(
    Code(f"FUSTURN{axis}", codes.PRIVATE_SCHEME, f"Rotation of the second series about {axis}")
    for axis in "xyz"
)

ROLES: Mapping[str, str] = {"pet": "PET", "mr": "MR", "ct": "CT"}
"""In the order in which a companion is chosen."""
LEAST_EXTENT_MM = 30.0
LEAST_OVERLAP = 0.1
LEAST_INFORMATION = 0.02
"""Nats: less means that the series tell nothing of each other."""
NOT_REGISTERED = "Not registered: laid as the headers say."
REGISTRATIONS = ("auto", "always", "never")


@dataclass(frozen=True, slots=True)
class FusionParameters(Parameters):
    """Which series, how it is aligned, and how it is shown."""

    moving: Annotated[
        str,
        Parameter(
            'the series that is laid on this one; "auto": PET, MR or CT, the first that is there',
            choices=("auto", *ROLES),
        ),
    ] = "auto"
    registration: Annotated[
        str,
        Parameter(
            '"never": as the headers say; "auto": where both share a frame of reference, only if'
            " several measures refute the headers",
            choices=REGISTRATIONS,
        ),
    ] = "auto"
    palette: Annotated[str, Parameter("colours", choices=picture.PALETTES)] = "hot_iron"
    opacity: Annotated[float, Parameter("of the colour", least=0, most=1)] = 0.4
    shades: Annotated[
        tuple[float, ...],
        Parameter("lowest and highest value shown of this series; empty: usual ones"),
    ] = ()
    moving_shades: Annotated[
        tuple[float, ...],
        Parameter("lowest and highest value shown of the other series; empty: usual ones"),
    ] = ()

    def check(self) -> None:
        for name, pair in (("shades", self.shades), ("moving_shades", self.moving_shades)):
            if pair and (len(pair) != 2 or not pair[0] < pair[1]):
                raise InvalidParameters(f"{name} is {pair}, a lower and a higher value are needed")


class Fusion:
    """Aligns PET, MR or CT with a CT or MR of the same study and shows it in colour above it.

    One rigid movement for the whole series: breathing, bowel and another position of the limbs are
    not undone. Of several series of a kind the one with the thinnest slices is taken. PET is not
    corrected for attenuation at its new place.
    """

    name: ClassVar[str] = "fusion"
    version: ClassVar[str] = "2.1.0"
    title: ClassVar[str] = "Fusion"
    about: ClassVar[About] = About(
        purpose="Lays PET, MR or CT of the study on this series.",
        gives=(
            "the second series on the grid of this one",
            "both as one colour series",
            "a registration and a blending state",
            "shift, rotation, overlap, mutual information, uncertainty",
        ),
        evidence="Rigid. In a common frame of reference the headers are kept until refuted.",
    )
    family: ClassVar[Code] = families.HISTOGRAM_ANALYSIS
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT", "MR"}), min_slices=4, derived=True
    )
    companions: ClassVar[Mapping[str, InputContract]] = MappingProxyType(
        {
            role: InputContract(modalities=frozenset({modality}), min_slices=4, derived=True)
            for role, modality in (("pet", "PT"), ("mr", "MR"), ("ct", "CT"))
        }
    )
    limits: ClassVar[Limits] = Limits(time_s=600.0, memory_mb=8192)
    parameters: ClassVar[type[FusionParameters]] = FusionParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: FusionParameters) -> Findings:
        """The second series on the grid of the first, both in colour, and how it was moved.

        Raises
        ------
        NotApplicable
            There is no second series, it is the same images, or the two share no place or content.
        """
        from analyzers.fusion.resampling import background
        from analyzers.grid.patient_grid import require_extent

        require_extent(volume, LEAST_EXTENT_MM)
        role, moving = _companion(volume, parameters)
        found, judged = _aligned(volume, moving, parameters, self.device)
        sentences = judged.sentences if judged else (NOT_REGISTERED,)
        how = _blending(volume, moving, role, parameters)
        values, colours = _laid(moving, volume, found.matrix, how, self.device)
        named = f"{ROLES[role]} over {volume.modality}"
        remarks = " ".join(sentences)
        return Findings(
            (
                ColorImage(colours, named, BLENDED, remarks),
                DerivedImage(
                    values,
                    f"{ROLES[role]} on the grid of the {volume.modality}",
                    codes.SPATIAL_RESAMPLING,
                    f"{remarks} Linear interpolation; {background(moving):g} where there is none.",
                    role,
                ),
                Registration(role, found.matrix, f"{ROLES[role]} to {volume.modality}"),
                how,
                *_measurements(volume, found, judged),
            ),
            (*sentences, _shown(how, role)),
        )


def _companion(volume: Volume, parameters: FusionParameters) -> tuple[str, Volume]:
    from analyzers.grid.patient_grid import require_extent

    roles = tuple(ROLES) if parameters.moving == "auto" else (parameters.moving,)
    present = [role for role in roles if role in volume.companions]
    if not present:
        wanted = " or ".join(ROLES[role] for role in roles)
        raise NotApplicable(f"Fusion needs a second series of the study, {wanted}; there is none.")
    other = [role for role in present if not _same(volume, volume.companions[role])]
    if not other:
        raise NotApplicable("The second series holds the same images as the first.")
    moving = volume.companions[other[0]]
    require_extent(moving, LEAST_EXTENT_MM)
    return other[0], moving


def _same(one: Volume, other: Volume) -> bool:
    return (
        one.modality == other.modality
        and one.shape == other.shape
        and np.array_equal(one.stored, other.stored)
    )


# --- alignment ------------------------------------------------------------------------------------


def _aligned(
    volume: Volume, moving: Volume, parameters: FusionParameters, device: str
) -> tuple[Alignment, Verdict | None]:
    """Where the second series goes, and what is known of it; none where that was not asked."""
    from analyzers.fusion.registration import measure
    from analyzers.fusion.scan import scan

    scans = scan(volume, device), scan(moving, device)
    as_given = measure(*scans)
    if parameters.registration == "never":
        found, judged = as_given, None
    elif _in_common(volume, moving) and as_given.overlap < LEAST_OVERLAP:
        raise NotApplicable(_apart(as_given))
    else:
        found, judged = _registered(volume, moving, scans, parameters)
    if found.overlap < LEAST_OVERLAP:
        raise NotApplicable(_apart(found))
    if found.after < LEAST_INFORMATION:
        raise NotApplicable(
            "The two series share no structure by which one could be laid on the other "
            f"(mutual information {found.after:.3f} nats)."
        )
    return found, judged


def _in_common(volume: Volume, moving: Volume) -> bool:
    return bool(volume.frame_of_reference) and (
        volume.frame_of_reference == moving.frame_of_reference
    )


def _apart(found: Alignment) -> str:
    return f"The two series do not show the same part of the body (overlap {found.overlap:.0%})."


def _registered(
    volume: Volume, moving: Volume, scans: tuple[Scan, Scan], parameters: FusionParameters
) -> tuple[Alignment, Verdict]:
    """What was found, or the headers' place where it does not refute them."""
    from analyzers.fusion.evidence import evidence
    from analyzers.fusion.registration import measure, register
    from analyzers.fusion.verdict import apart, verdict

    same = _in_common(volume, moving)
    found = register(*scans, same_frame=same)
    told = evidence(*scans, found, same_frame=same)
    modalities = volume.modality, moving.modality
    if not same:
        return found, apart(found.before, found.after, told, modalities)
    always = parameters.registration == "always"
    judged = verdict(modalities, found.before, found.after, told, always=always)
    return (found if judged.accepted else measure(*scans)), judged


def _laid(
    moving: Volume, volume: Volume, matrix: Matrix, how: Blending, device: str
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """The second series on the grid of the first, and both in colour; of neither more is held."""
    from analyzers.fusion.resampling import planes

    out = Gathered(moving, volume.shape)
    colours = np.empty((*volume.shape, 3), np.uint8)
    for index, (values, covered) in enumerate(planes(moving, volume, matrix, device)):
        out.put(slice(index, index + 1), values[None])
        if has_whole_values(moving):
            np.rint(values, out=values)
        colours[index] = picture.blended(volume, index, values, covered, how)
    return out.values, colours


# --- what is reported -----------------------------------------------------------------------------


def _blending(volume: Volume, moving: Volume, role: str, parameters: FusionParameters) -> Blending:
    return Blending(
        role=role,
        palette=picture.palette(parameters.palette),
        opacity=parameters.opacity,
        under=_chosen(parameters.shades) or picture.usual_shades(volume),
        above=_chosen(parameters.moving_shades) or picture.usual_shades(moving),
        title=f"{ROLES[role]} over {volume.modality}",
    )


def _chosen(pair: tuple[float, ...]) -> Shades | None:
    return Shades(float(pair[0]), float(pair[1])) if pair else None


def _measurements(
    volume: Volume, found: Alignment, judged: Verdict | None
) -> tuple[Measurement, ...]:
    from analyzers.fusion.rigid import angles_deg, corners, moved

    centre = corners(volume.shape, volume.affine).mean(axis=0)
    shift = moved(found.matrix, centre[None])[0] - centre
    named = zip(SHIFTS, shift, strict=True)
    turned = zip(TURNS, angles_deg(found.matrix), strict=True)
    return (
        *(Measurement(name, float(value), codes.MILLIMETER) for name, value in named),
        *(Measurement(name, float(value), codes.DEGREE) for name, value in turned),
        Measurement(BEFORE, found.before, codes.NO_UNIT),
        Measurement(AFTER, found.after, codes.NO_UNIT),
        Measurement(OVERLAP, 100 * found.overlap, codes.PERCENT),
        *([Measurement(UNCERTAIN, judged.uncertain_mm, codes.MILLIMETER)] if judged else []),
    )


def _shown(how: Blending, role: str) -> str:
    return (
        f"Shown: {ROLES[role]} from {how.above.low:.4g} to {how.above.high:.4g} in colour, "
        f"{how.opacity:.0%} opaque, over grey from {how.under.low:.4g} to {how.under.high:.4g}."
    )
