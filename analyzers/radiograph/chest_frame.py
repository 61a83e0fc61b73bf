"""Lays a frontal chest radiograph on a mean chest, so that a place means the same in every image.

An affine transform is found by the enhanced correlation coefficient (Evangelidis & Psarakis 2008,
DOI 10.1109/TPAMI.2008.113) on locally standardised images of 64×64. Left stays left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

SIZE = 240
"""Side of a framed image in pixels."""
COARSE = 64
TRIM = 8 / 256
"""Share of the image cut off at each side: collimator edges and film borders."""
SCALES = (0.75, 1.0, 1.3)
SHIFTS = (-6, 0, 6)
ROUNDS = 3
FEWEST_PIXELS = 64


@dataclass(frozen=True, slots=True)
class ChestFrame:
    """matrix: 2×3, pixel (x, y) of the 64×64 mean chest → pixel of the 64×64 image.
    agreement: correlation with the mean chest, -1 to 1; -1: no fit was found.
    """

    matrix: NDArray[np.float32]
    agreement: float

    def lay(self, image: Image, size: int = SIZE) -> Image:
        """The square image resampled in the frame of the mean chest, ``(size, size)``."""
        return _warped(image, self.matrix, size)

    def lift(self, chart: Image, size: int = SIZE) -> Image:
        """A chart in the frame of the mean chest, back on the square image; 0 beyond the frame."""
        matrix = self.matrix.astype(np.float64).copy()
        matrix[:, 2] *= size / COARSE
        scaled = cv2.resize(chart, (size, size), interpolation=cv2.INTER_LINEAR)
        back = cv2.warpAffine(scaled, matrix, (size, size), flags=cv2.INTER_LINEAR)
        return np.asarray(back, np.float32)


def standardised(values: NDArray[np.floating]) -> Image:
    """A radiograph ``(row, column)`` as ``(240, 240)``: squared, trimmed, 2–98 % stretched to 0–1.

    Raises
    ------
    ValueError
        It is smaller than 64 pixels a side.
    """
    if min(values.shape) < FEWEST_PIXELS:
        raise ValueError(f"{values.shape[0]}×{values.shape[1]} pixels are too few")
    square = _squared(values.astype(np.float32))
    side = round(SIZE / (1 - 2 * TRIM))
    small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    edge = (side - SIZE) // 2
    inner = small[edge : edge + SIZE, edge : edge + SIZE]
    low, high = np.percentile(inner, (2, 98))
    out: Image = np.clip((inner - low) / (high - low + 1e-6), 0, 1).astype(np.float32)
    return out


def unsquared(chart: Image, shape: tuple[int, int]) -> Image:
    """A chart on the standardised image, back on the radiograph of ``shape`` (row, column)."""
    side = max(shape)
    edge = round(side * TRIM)
    inner = cv2.resize(chart, (side - 2 * edge, side - 2 * edge), interpolation=cv2.INTER_LINEAR)
    square = np.pad(inner, edge)
    top, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    return np.ascontiguousarray(square[top : top + shape[0], left : left + shape[1]])


def mean_chest(images: Sequence[Image]) -> Image:
    """The 64×64 mean of standardised images, each laid on the mean of the round before.

    It is made symmetric: a template must not prefer a side.
    """
    coarse = [_coarse(image) for image in images]
    mean = _symmetric(np.mean(coarse, axis=0))
    starts = [_start(scale, scale, 0) for scale in (0.8, 1.0, 1.25)]
    for _ in range(ROUNDS):
        frames = [_best(mean, image, starts) for image in coarse]
        laid = [
            _warped(image, frame.matrix, COARSE)
            for image, frame in zip(coarse, frames, strict=True)
        ]
        mean = _symmetric(np.mean(laid, axis=0))
    return mean


def register(image: Image, mean: Image) -> ChestFrame:
    """The best of 27 starts; the identity with agreement -1 where none ends in a plausible fit."""
    starts = [_start(x, y, shift) for x in SCALES for y in SCALES for shift in SHIFTS]
    return _best(mean, _coarse(image), starts)


def locally_standardised(image: Image, width: float) -> Image:
    """Each pixel less its neighbourhood's mean, over its spread (Gaussian, ``width`` pixels)."""
    mean = cv2.GaussianBlur(image, (0, 0), width)
    spread = np.sqrt(cv2.GaussianBlur((image - mean) ** 2, (0, 0), width)) + 0.03
    return np.asarray((image - mean) / spread, np.float32)


def _coarse(image: Image) -> Image:
    small = cv2.resize(image, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    return locally_standardised(np.asarray(cv2.GaussianBlur(small, (0, 0), 1.5), np.float32), 12)


def _symmetric(image: NDArray[np.floating]) -> Image:
    return ((image + image[:, ::-1]) / 2).astype(np.float32)


def _start(across: float, down: float, shift: float) -> NDArray[np.float32]:
    half = COARSE / 2
    return np.array(
        [[across, 0, half * (1 - across)], [0, down, half * (1 - down) + shift]], np.float32
    )


def _best(mean: Image, image: Image, starts: Sequence[NDArray[np.float32]]) -> ChestFrame:
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    best = ChestFrame(_start(1, 1, 0), -1.0)
    everywhere = np.ones(image.shape, np.uint8)
    for start in starts:
        try:
            agreement, found = cv2.findTransformECC(
                mean, image, start.copy(), cv2.MOTION_AFFINE, criteria, everywhere, 5
            )
        except cv2.error:  # this start leads nowhere: the images lost their overlap
            continue
        matrix = np.asarray(found, np.float32)
        if agreement > best.agreement and _plausible(matrix):
            best = ChestFrame(matrix, float(agreement))
    return best


def _plausible(matrix: NDArray[np.float32]) -> bool:
    """Chests differ in size, place and tilt; they are not folded or laid on their side."""
    widest, narrowest = np.linalg.svd(matrix[:, :2], compute_uv=False)
    tilt = np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1]))
    middle = matrix @ np.array([COARSE / 2, COARSE / 2, 1.0])
    return bool(
        widest < 1.9
        and narrowest > 0.35
        and widest / narrowest < 2
        and abs(tilt) < 25
        and np.abs(middle - COARSE / 2).max() < 22
    )


def _warped(image: Image, matrix: NDArray[np.float32], size: int) -> Image:
    scaled = matrix.astype(np.float64).copy()
    scaled[:, 2] *= size / COARSE
    source = image if image.shape == (size, size) else cv2.resize(image, (size, size))
    out = cv2.warpAffine(
        source,
        scaled,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(out, np.float32)


def _squared(values: Image) -> Image:
    rows, columns = values.shape
    side = max(rows, columns)
    top, left = (side - rows) // 2, (side - columns) // 2
    around = ((top, side - rows - top), (left, side - columns - left))
    return np.pad(values, around, mode="edge")
