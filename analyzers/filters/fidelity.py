"""How far an image is from its source: largest error, PSNR, SSIM.

SSIM after Wang et al., IEEE Trans. Image Processing 13 (2004) 600, DOI 10.1109/TIP.2003.819861,
with Gaussian weights (1.5 pixels, cut at 3.5 sigma, reflected edge), as skimage's
``structural_similarity(gaussian_weights=True, use_sample_covariance=False)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.threads import for_each

RADIUS = 5
K1, K2 = 0.01, 0.03


@dataclass(frozen=True, slots=True)
class Fidelity:
    """psnr_db: over the range of the source; None when nothing changed. ssim: mean over slices."""

    largest_error: float
    psnr_db: float | None
    ssim: float


def compared(
    source: NDArray[Any], other: NDArray[Any], valid: NDArray[np.bool_] | None = None
) -> Fidelity:
    """Both ``(slice, row, column)`` of one shape and dtype. valid: what was measured; None: all."""
    if np.array_equal(source, other):
        return Fidelity(0.0, None, 1.0)
    counted = source if valid is None else source[valid]
    span = float(counted.max()) - float(counted.min()) or 1.0
    seen = [slice(None) if valid is None else valid[index] for index in range(len(source))]
    largest, squares, ssims = ([0.0] * len(source) for _ in range(3))

    def plane(index: int) -> None:
        one, two = source[index].astype(np.float64), other[index].astype(np.float64)
        error = one - two
        largest[index] = float(np.abs(error[seen[index]]).max(initial=0.0))
        squares[index] = float(np.square(error[seen[index]]).sum())
        ssims[index] = ssim(one, two, span, None if valid is None else valid[index])

    for_each(plane, range(len(source)))
    mean_square = float(np.sum(squares)) / counted.size
    if not mean_square:
        return Fidelity(0.0, None, 1.0)
    return Fidelity(max(largest), 10 * math.log10(span**2 / mean_square), float(np.nanmean(ssims)))


def ssim(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    span: float,
    valid: NDArray[np.bool_] | None = None,
) -> float:
    """Mean structural similarity of two slices whose values span a range.

    The border of 5 pixels is left out where the slice has more than that; padding (where ``valid``
    is False) is left out, NaN where all is.
    """

    def local(values: NDArray[np.float64]) -> Any:
        size = 2 * RADIUS + 1
        return cv2.GaussianBlur(values, (size, size), 1.5, borderType=cv2.BORDER_REFLECT)

    mean_1, mean_2 = local(one), local(other)
    product = mean_1 * mean_2
    squares = mean_1**2 + mean_2**2
    covariance = local(one * other) - product
    variances = local(one**2 + other**2) - squares
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    index = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    if min(index.shape) > 2 * RADIUS:
        index = index[RADIUS:-RADIUS, RADIUS:-RADIUS]
        valid = valid if valid is None else valid[RADIUS:-RADIUS, RADIUS:-RADIUS]
    if valid is None:
        return float(index.mean())
    return float(index[valid].mean()) if valid.any() else math.nan
