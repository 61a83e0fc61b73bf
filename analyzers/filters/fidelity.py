"""How far an image is from its source: largest error, PSNR, SSIM.

SSIM after Wang et al., IEEE Trans. Image Processing 13 (2004) 600, DOI 10.1109/TIP.2003.819861,
with Gaussian weights (1.5 pixels, cut at 3.5 sigma, reflected edge), as skimage's
``structural_similarity(gaussian_weights=True, use_sample_covariance=False)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
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
    comparison = Comparison(source, valid)
    for_each(lambda z: comparison.add(z, other[z]), range(len(source)))
    return comparison.found


class Comparison:
    """As ``compared``, of slices that come one at a time, in any order and from any thread."""

    def __init__(self, source: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> None:
        self._source, self._valid = source, valid
        self._largest, self._squares, self._ssims = ([0.0] * len(source) for _ in range(3))

    def add(self, z: int, other: NDArray[Any]) -> None:
        """other: what has become of the slice."""
        valid = None if self._valid is None else self._valid[z]
        source = self._source[z]
        if np.array_equal(source, other):
            self._ssims[z] = 1.0 if valid is None or valid.any() else math.nan
            return
        seen = slice(None) if valid is None else valid
        one, two = source.astype(np.float64), other.astype(np.float64)
        error = one - two
        self._largest[z] = float(np.abs(error[seen]).max(initial=0.0))
        self._squares[z] = float(np.square(error[seen]).sum())
        self._ssims[z] = ssim(one, two, self._span, valid)

    @property
    def found(self) -> Fidelity:
        """When every slice has come."""
        total = float(np.sum(self._squares))
        if not total:
            return Fidelity(0.0, None, 1.0)
        count = self._source.size if self._valid is None else np.count_nonzero(self._valid)
        decibels = 10 * math.log10(self._span**2 / (total / count))
        return Fidelity(max(self._largest), decibels, float(np.nanmean(self._ssims)))

    @cached_property
    def _span(self) -> float:
        """Of the values that were measured; 1 where they are all the same."""
        source, valid = self._source, True if self._valid is None else self._valid
        highest = source.max(where=valid, initial=source.min())
        lowest = source.min(where=valid, initial=source.max())
        return float(highest) - float(lowest) or 1.0


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
