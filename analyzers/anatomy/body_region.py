"""Which region of the body a CT series shows, from what its slices are made of.

Rules after anatomy, not a trained model: aerated lung is chest, a wide soft cross-section with
little air is abdomen or pelvis, a small one with much bone is head, one without either is limb.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from analyzers import contract
from analyzers.contract import SeriesFacts, Volume

LOOKED_AT = 24
"""Slices spread evenly over the series."""
BODY_HU, AIR_HU, BONE_HU = -300, -500, 200
SOFT_HU = (0, 150)
FINEST_MM = 1.5
LEAST_BODY_CM2 = 20.0
LUNG_SHARE = 0.12
"""Of a cross-section: bowel gas stays below, aerated lung at any breath above."""
LUNG_TISSUE_HU = (-950, -500)
"""Lung: blood and air mixed. Gas in bowel and airways is below, but for its rim."""
LUNG_TISSUE_SHARE = 0.03
"""Of a cross-section: apices and bases of lungs, where they fill less than ``LUNG_SHARE``."""
BONY_SHARE = 0.12
WIDEST_HEAD_CM2 = 380.0
NARROWEST_TRUNK_CM2 = 320.0
"""Of an adult; thighs stay below one by one, children are not told from limbs."""

NARROWEST_CHEST_CM2 = 100.0
"""Of a small child; so much lung is in no head and no limb."""


class Region(StrEnum):
    """Regions that the rules can tell."""

    HEAD = "head"
    CHEST = "chest"
    ABDOMEN = "abdomen or pelvis"
    LIMB = "limb"


WORDS = {
    Region.HEAD: ("HEAD", "BRAIN", "SKULL", "CRANI", "NEURO"),
    Region.CHEST: ("CHEST", "THORAX", "LUNG", "BREAST", "RIB", "STERNUM"),
    Region.ABDOMEN: ("ABD", "PELV", "LIVER", "KIDNEY", "PROSTATE", "UTERUS", "BLADDER"),
    Region.LIMB: ("LEG", "ARM", "KNEE", "FOOT", "HAND", "THIGH", "EXTREM", "ANKLE", "WRIST"),
}


@dataclass(frozen=True, slots=True)
class CrossSection:
    """A slice through the body: its area and the shares of air, bone and soft tissue in it."""

    area_cm2: float
    air: float
    bone: float
    soft: float
    lung: float = 0.0
    """Of the values of lung, not counting rims two pixels wide."""

    def region(self) -> Region | None:
        """None: nothing can be told from this slice."""
        if self.area_cm2 < LEAST_BODY_CM2:
            return None
        aerated = self.air >= LUNG_SHARE or self.lung >= LUNG_TISSUE_SHARE
        if aerated and self.area_cm2 >= NARROWEST_TRUNK_CM2:
            return Region.CHEST
        if self.lung >= LUNG_SHARE and self.area_cm2 >= NARROWEST_CHEST_CM2:
            return Region.CHEST
        if self.bone >= BONY_SHARE and self.area_cm2 <= WIDEST_HEAD_CM2:
            return Region.HEAD
        return Region.ABDOMEN if self.area_cm2 >= NARROWEST_TRUNK_CM2 else Region.LIMB


def cross_sections(volume: Volume) -> list[CrossSection]:
    """Up to 24 slices of an axial CT series, looked at on a grid of about 1.5 mm."""
    _, down, across = volume.spacing_mm
    step = max(1, round(FINEST_MM / float(down)))
    pixel_cm2 = float(down * across) * step * step / 100
    chosen = np.unique(np.linspace(0, volume.shape[0] - 1, LOOKED_AT).astype(int))
    found = []
    for index in chosen:
        part = volume.stored[index, ::step, ::step].astype(np.float32)
        hu = part * volume.slope[index] + volume.intercept[index]
        if volume.valid is not None:
            hu[~volume.valid[index, ::step, ::step]] = contract.AIR_HU
        found.append(_measured(hu, pixel_cm2))
    return found


def shares(sections: list[CrossSection]) -> dict[Region, float]:
    """The share of the telling slices that each region has, the largest first."""
    told = [region for section in sections if (region := section.region())]
    if not told:
        return {}
    counts = {region: told.count(region) / len(told) for region in Region if region in told}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def said_regions(facts: SeriesFacts | None) -> list[Region]:
    """The regions that the body part and the description of the header name."""
    if facts is None:
        return []
    text = f"{facts.body_part} {facts.description}".upper()
    return [region for region, words in WORDS.items() if any(word in text for word in words)]


def unknown_part(facts: SeriesFacts | None) -> bool:
    """Whether the header gives a body part that names no region that the rules can tell."""
    if facts is None or not facts.body_part:
        return False
    return not said_regions(replace(facts, description=""))


def _measured(hu: NDArray[np.float32], pixel_cm2: float) -> CrossSection:
    from scipy import ndimage

    from analyzers.grid.binary import filled_plane, opened_plane

    opened = opened_plane(hu > BODY_HU, 2)
    labels, count = ndimage.label(opened)
    if count == 0:
        return CrossSection(0.0, 0.0, 0.0, 0.0)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    body = filled_plane(labels == largest)
    inside = hu[body]
    lowest, highest = LUNG_TISSUE_HU
    lung = opened_plane(body & (hu > lowest) & (hu < highest), 2)
    low, high = SOFT_HU
    return CrossSection(
        area_cm2=inside.size * pixel_cm2,
        air=float((inside < AIR_HU).mean()),
        bone=float((inside > BONE_HU).mean()),
        soft=float(((inside > low) & (inside < high)).mean()),
        lung=float(lung.sum() / inside.size),
    )
