"""A whole body on FDG-PET, drawn by sizes and uptake that are published, not by any rule.

Organ sizes: ICRP 89 (adults). Uptake (SUVbw): Wang et al., DOI 10.1007/s11307-007-0082-4;
Zincirkeser et al., DOI 10.1177/147323000703500318. Blur of 6 mm, noise that grows with uptake and
is correlated as after the usual filter. A stature stretches everything; arms lie up or down.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Volume
from tests.analyzers.segmentation import bodies

Mask = NDArray[np.bool_]
STEP_MM = 4.0
BLUR_MM = 6.0
TOP_MM, BOTTOM_MM = 640.0, -420.0
"""Of the vertex and of mid-thigh, from the dome of the liver's plane less 20 cm."""


@dataclass(eq=False)
class WholeBody:
    """SUV with the truth on its grid; z rises to the head, x to the patient's left."""

    suv: NDArray[np.float32]
    lesions: dict[str, Mask] = field(default_factory=dict)
    organs: dict[str, Mask] = field(default_factory=dict)
    bottom_mm: float = BOTTOM_MM

    def volume(self) -> Volume:
        stored = np.rint(self.suv * 1000).astype(np.int32)
        return bodies.as_volume(stored, (STEP_MM,) * 3, "PT", 0.001)

    def cut(self, low_mm: float, high_mm: float) -> WholeBody:
        """Only what lies between these heights."""
        part = slice(
            max(round((low_mm - self.bottom_mm) / STEP_MM), 0),
            round((high_mm - self.bottom_mm) / STEP_MM),
        )
        lesions = {name: one[part] for name, one in self.lesions.items() if one[part].any()}
        organs = {name: one[part] for name, one in self.organs.items()}
        return WholeBody(np.ascontiguousarray(self.suv[part]), lesions, organs, low_mm)


class _Canvas:
    """Ellipsoids and tubes in mm of a person of usual stature, drawn larger or smaller."""

    def __init__(self, scale: float, top_mm: float, bottom_mm: float) -> None:
        self.scale = scale
        count = round((top_mm - bottom_mm) / STEP_MM)
        self.z = (bottom_mm + (np.arange(count) + 0.5) * STEP_MM)[:, None, None] / scale
        self.y = ((np.arange(76) - 37.5) * STEP_MM)[None, :, None] / scale
        self.x = ((np.arange(130) - 64.5) * STEP_MM)[None, None, :] / scale
        self.suv = np.zeros((count, 76, 130), np.float32)

    def ball(self, at: tuple[float, float, float], half: tuple[float, float, float]) -> Mask:
        (z, y, x), (c, b, a) = at, half
        found: Mask = (
            ((self.z - z) / c) ** 2 + ((self.y - y) / b) ** 2 + ((self.x - x) / a) ** 2
        ) <= 1
        return found

    def tube(
        self, low: float, high: float, at: tuple[float, float], half: tuple[float, float]
    ) -> Mask:
        (y, x), (b, a) = at, half
        inside = ((self.y - y) / b) ** 2 + ((self.x - x) / a) ** 2 <= 1
        found: Mask = inside & (self.z >= low) & (self.z < high)
        return found


def whole_body(
    seed: int, lesions: bool = True, arms_up: bool = False, heart: bool = True
) -> WholeBody:
    """One person; size, places and uptake vary with the seed as they do between people."""
    rng = np.random.default_rng(seed)
    scale = float(rng.normal(1.0, 0.05))
    canvas = _Canvas(scale, TOP_MM * scale, BOTTOM_MM * scale)
    _tissue(canvas, rng, arms_up)
    organs = _organs(canvas, rng, heart)
    found = _lesions(canvas, rng) if lesions else {}
    return WholeBody(_scanned(canvas.suv, rng), found, organs, BOTTOM_MM * scale)


def _tissue(canvas: _Canvas, rng: np.random.Generator, arms_up: bool) -> None:
    """Outline with fat under the skin, muscle, lungs, spine and legs that part below the pelvis."""
    fat, muscle = rng.uniform(0.22, 0.35), rng.uniform(0.55, 0.8)
    for shrink, level in ((1.0, fat), (0.87, muscle)):
        trunk = canvas.tube(-220, 350, (0, 0), (112 * shrink, 170 * shrink))
        neck = canvas.tube(350, 430, (0, 0), (58 * shrink, 60 * shrink))
        head = canvas.ball((520, -5, 0), (118 * shrink, 98 * shrink, 78 * shrink))
        legs = [
            canvas.tube(-420, -220, (0, side * 88), (85 * shrink, 84 * shrink)) for side in (-1, 1)
        ]
        for part in (trunk, neck, head, *legs):
            canvas.suv[part] = level
        for side in (-1, 1):
            if arms_up:
                arm = canvas.tube(330, 630, (10, side * 130), (38 * shrink, 38 * shrink))
            else:
                arm = canvas.tube(-230, 300, (20, side * 205), (38 * shrink, 34 * shrink))
            canvas.suv[arm] = level
    for side in (-1, 1):
        lung = canvas.ball((200, 0, side * 78), (135, 84, 62)) & (canvas.z > 170)
        canvas.suv[lung] = rng.uniform(0.35, 0.55)
    canvas.suv[canvas.tube(-180, 430, (60, 0), (16, 18))] = rng.uniform(1.1, 1.7)  # marrow
    canvas.suv[canvas.tube(120, 330, (15, 5), (14, 14))] = rng.uniform(1.4, 2.0)  # aorta


def _organs(canvas: _Canvas, rng: np.random.Generator, heart: bool) -> dict[str, Mask]:
    def near(*at: float) -> tuple[float, float, float]:
        z, y, x = (one + rng.normal(0, 5) for one in at)
        return z, y, x

    organs: dict[str, Mask] = {}

    def put(name: str, mask: Mask, level: float) -> None:
        canvas.suv[mask] = level
        organs[name] = organs.get(name, np.zeros_like(mask)) | mask

    put("liver", _liver(canvas), rng.uniform(1.8, 2.9))
    canvas.suv[canvas.ball(near(125, 45, 105), (52, 32, 24))] = rng.uniform(1.5, 2.2)  # spleen
    brain = near(530, -5, 0)
    put("brain", canvas.ball(brain, (62, 80, 66)), rng.uniform(6, 11))
    canvas.suv[canvas.ball(brain, (36, 52, 40))] *= 0.55  # white matter
    at = near(215, -28, 42)
    if heart:
        put("heart", canvas.ball(at, (40, 36, 36)), rng.uniform(4, 10))
        canvas.suv[canvas.ball((at[0], at[1] - 5, at[2] - 5), (27, 24, 24))] = 1.8  # blood
    else:
        canvas.suv[canvas.ball(at, (42, 38, 42))] = rng.uniform(1.6, 2.1)
    for side, height in ((-1, 28.0), (1, 40.0)):
        z, y, x = near(height, 48, side * 62)
        put("kidneys", canvas.ball((z, y, x), (54, 26, 27)), rng.uniform(2.8, 5.5))
        canvas.suv[canvas.ball((z, y, x - side * 10), (20, 9, 9))] = rng.uniform(8, 25)  # pelvis
    radius = rng.uniform(26, 42)
    put("bladder", canvas.ball(near(-150, -22, 0), (radius, radius, radius)), rng.uniform(8, 40))
    _bowel(canvas, rng, put)
    return organs


def _liver(canvas: _Canvas) -> Mask:
    """A wedge of 1.6 L under the right half of the diaphragm, over the midline to the left."""
    dome = canvas.ball((110, -8, -75), (92, 88, 80))
    return dome & (canvas.x < 55 - 0.5 * (110 - canvas.z)) & (canvas.z > 20)


def _bowel(canvas: _Canvas, rng: np.random.Generator, put: object) -> None:
    """A loop of colon: up on the right, across, down on the left."""
    level = rng.uniform(1.5, 3.8)
    half = rng.uniform(12, 17)
    for low, high, x in ((-110, 0, -105), (-110, 20, 115)):
        put("bowel", canvas.tube(low, high, (-30, x), (half, half)), level)  # type: ignore[operator]
    across = (canvas.z + 5) ** 2 + (canvas.y + 62) ** 2 <= half**2
    put("bowel", across & (np.abs(canvas.x) < 105), level)  # type: ignore[operator]


PLACES = {
    "cervical node": (385, 0, 38),
    "mediastinal node": (280, 0, -12),
    "lung, beside the heart": (225, 10, 100),
    "lung, right": (250, 30, -80),
    "liver": (110, -20, -85),
    "left adrenal": (98, 35, 42),
    "nodes between the kidneys": (25, 25, 10),
    "spine": (-60, 60, 0),
    "iliac node": (-120, 10, 62),
    "sacrum": (-125, 70, 12),
    "thigh": (-300, 10, -90),
}


def _lesions(canvas: _Canvas, rng: np.random.Generator) -> dict[str, Mask]:
    found = {}
    for name, place in PLACES.items():
        z, y, x = (one + rng.normal(0, 3) for one in place)
        half = rng.uniform(8, 18, 3) if name not in ("left adrenal", "sacrum") else (12, 11, 11)
        mask = canvas.ball((z, y, x), (half[0], half[1], half[2]))
        canvas.suv[mask] = rng.uniform(5, 14)
        found[name] = mask
    return found


def _scanned(suv: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    from scipy import ndimage

    sigma = BLUR_MM / 2.355 / STEP_MM
    blurred = ndimage.gaussian_filter(suv, sigma)
    noise = ndimage.gaussian_filter(rng.normal(0, 1, suv.shape), 0.6)
    noise /= noise.std()
    noisy = blurred + 0.10 * noise * np.sqrt(blurred + 0.02)
    return np.maximum(noisy, 0).astype(np.float32)
