"""Which phase after contrast agent a CT of the trunk shows, by blood in the aorta and liver.

Limits lie between the values of Bae, Radiology 2010;256:32-61 (DOI 10.1148/radiol.10090908): blood
without agent 30 to 60 HU; aorta above 200 HU while the liver is hardly brighter than without agent
(arterial); liver 50 HU brighter, aorta near 150 HU (portal venous); both alike and fading (late).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from analyzers import codes
from analyzers.anatomy.body_region import Region, cross_sections, said_regions, shares
from analyzers.anatomy.trunk import Sampled, sample
from analyzers.contract import Classification, Code, Volume
from analyzers.grid.patient_grid import hounsfield, patient_grid

PHASE = Code("CONTRASTPHASE", codes.PRIVATE_SCHEME, "Contrast phase")
NONE = Code("PHASE-NONE", codes.PRIVATE_SCHEME, "Without contrast agent")
ARTERIAL = Code("PHASE-ARTERIAL", codes.PRIVATE_SCHEME, "Arterial phase")
PORTAL = Code("PHASE-PORTAL", codes.PRIVATE_SCHEME, "Portal venous phase")
LATE = Code("PHASE-LATE", codes.PRIVATE_SCHEME, "Late phase")
UNTOLD = Code("PHASE-UNTOLD", codes.PRIVATE_SCHEME, "Cannot be told")

ENHANCED_HU, FADED_HU, ARTERIAL_HU, ARTERIAL_ALONE_HU = 75.0, 110.0, 180.0, 220.0
LIVER_ENHANCED_HU = 85.0
BODY_HU, LEAST_WIDTH_MM = -300, 220.0
ARTERIAL_STEP_HU = 90.0
"""From here on the aorta is so much brighter than the liver as in the arterial phase only."""


def contrast_phase(volume: Volume) -> Classification:
    """The phase, or that it cannot be told, with what was measured."""
    sampled = _sampled(volume)
    answer = judged(sampled)
    said = volume.facts.contrast if volume.facts else None
    if sampled.aorta_hu is None and said is False:
        return Classification(PHASE, NONE, reasons=("the header says so; no aorta was found",))
    return Classification(PHASE, answer, reasons=_reasons(sampled, said))


def judged(sampled: Sampled) -> Code:
    """The phase by the values of aorta and liver (HU)."""
    aorta, liver = sampled.aorta_hu, sampled.liver_hu
    if aorta is None:
        return UNTOLD
    if aorta < ENHANCED_HU:
        return NONE
    if liver is None:
        return ARTERIAL if aorta >= ARTERIAL_ALONE_HU else UNTOLD
    if aorta >= ARTERIAL_HU and aorta - liver >= ARTERIAL_STEP_HU:
        return ARTERIAL
    if aorta < FADED_HU:
        return LATE
    return PORTAL if liver >= LIVER_ENHANCED_HU else UNTOLD


def _sampled(volume: Volume) -> Sampled:
    """Nothing but on CT of a whole chest or abdomen: elsewhere other things look alike."""
    if said_regions(volume.facts) == [Region.LIMB]:
        return Sampled(None, None)
    grid = patient_grid(volume)
    hu = hounsfield(volume, grid)
    axial = dataclasses.replace(
        volume,
        stored=hu,
        affine=np.diag((*grid.spacing_mm, 1.0))[[2, 1, 0, 3]],
        slope=np.ones(len(hu)),
        intercept=np.zeros(len(hu)),
        valid=None,
    )
    columns = np.logical_or.reduce([(plane > BODY_HU).any(axis=0) for plane in hu])
    width_mm = np.count_nonzero(columns) * grid.spacing_mm[2]
    told = set(shares(cross_sections(axial)))
    if width_mm < LEAST_WIDTH_MM or not told & {Region.CHEST, Region.ABDOMEN}:
        return Sampled(None, None)
    return sample(hu, grid.spacing_mm)


def _reasons(sampled: Sampled, said: bool | None) -> tuple[str, ...]:
    parts = (("aorta", sampled.aorta_hu), ("liver", sampled.liver_hu))
    seen = [f"{name} {hu:.0f} HU" if hu is not None else f"no {name} found" for name, hu in parts]
    if said is not None:
        seen.append(f"the header says {'with' if said else 'without'} contrast agent")
    return tuple(seen)
