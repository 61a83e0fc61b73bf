"""Whether a CT was reconstructed to show edges: by the name of its kernel, and by the images.

A sharp kernel overshoots: soft tissue beside air looks brighter than it is, and noise and edges
pass the 130 HU from which calcium is counted.
"""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.balls import Mask, Spacing

SHARP_WORDS = ("LUNG", "BONE", "EDGE", "DETAIL", "CHEST", "CHST", "ULTRA", "SHARP", "HIGHRES")
SHARP_LETTERS = frozenset({"C", "D", "E", "F", "G", "L", "YC", "YD", "YE"})
"""Philips; A and B, and their variants, are smooth and standard."""
SIEMENS = re.compile(r"[A-Z]{1,2}(\d{2})\d?[A-Z]?")
SHARP_FROM = 45
"""Siemens: the higher the number the sharper (B35, Qr36 for calcium; B45, B60, Br59, Bl57)."""
CANON = re.compile(r"FC(\d{2})")
SHARP_CANON = ((30, 39), (50, 59), (80, 99))

AIR_HU, EDGE_MM, DEEP_MM = -400, (2.0, 3.0), (5.0, 9.0)
SOFT_HU, REACH_MM, BLUR_MM = (20.0, 90.0), 5.0, 1.5
LEAST_PIXELS, APART_MM = 500, 6.0


def is_sharp(kernel: tuple[str, ...]) -> bool:
    """Whether the name of a kernel, as its maker writes it, is that of a sharp one."""
    name = kernel[0].strip().upper() if kernel else ""
    if any(word in name for word in SHARP_WORDS) or name in SHARP_LETTERS:
        return True
    if found := CANON.fullmatch(name):
        number = int(found[1])
        return any(low <= number <= high for low, high in SHARP_CANON)
    found = SIEMENS.fullmatch(name)
    return bool(found and int(found[1]) >= SHARP_FROM)


def overshoot_hu(hu: NDArray[np.int16], between: Mask, spacing_mm: Spacing) -> float | None:
    """How much brighter blood and muscle are 2 to 3 mm from air than farther from it.

    The median; with a smooth kernel it is below 0, because what lies at a border is mixed with air
    and fat. None: too little soft tissue lies beside air.
    """
    found = []
    step = max(1, round(APART_MM / spacing_mm[0]))
    for plane, inside in zip(hu[::step], between[::step], strict=True):
        if inside.any():
            found.append(_beside_air(plane, inside, spacing_mm[1:]))
    steps = np.concatenate(found) if found else np.empty(0, np.float32)
    return float(np.median(steps)) if steps.size >= LEAST_PIXELS else None


def _beside_air(
    plane: NDArray[np.int16], inside: Mask, pixel_mm: tuple[float, float]
) -> NDArray[np.float32]:
    """Values near air less the mean of the soft tissue behind them; not where fat lies there."""
    values = plane.astype(np.float32)
    away = ndimage.distance_transform_edt(plane > AIR_HU, sampling=pixel_mm)
    smooth = cv2.GaussianBlur(values, (0, 0), BLUR_MM / pixel_mm[1], sigmaY=BLUR_MM / pixel_mm[0])
    behind = inside & (away > DEEP_MM[0]) & (away < DEEP_MM[1])
    soft = behind & (smooth > SOFT_HU[0]) & (smooth < SOFT_HU[1])
    reach = max(1, round(REACH_MM / pixel_mm[1]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    kernel = disc.astype(np.float32)
    count = cv2.filter2D(soft.astype(np.float32), -1, kernel)
    total = cv2.filter2D(np.where(soft, values, 0).astype(np.float32), -1, kernel)
    other = cv2.filter2D((behind & ~soft).astype(np.float32), -1, kernel)
    here = inside & (away > EDGE_MM[0]) & (away <= EDGE_MM[1]) & (count > 0.5) & (other < 0.5)
    here &= count > kernel.sum() / 8
    excess: NDArray[np.float32] = values[here] - total[here] / count[here]
    return excess
