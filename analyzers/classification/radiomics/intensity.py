"""First-order features: intensity statistics, histogram, volume histogram and local peaks.

IBSI sections 3.2 – 3.5. Variances are those of the population; kurtosis is the excess.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.classification.radiomics.cooccurrence import entropy
from analyzers.classification.radiomics.grid import Features, Levels

PEAK_RADIUS_MM = (3 / (4 * np.pi)) ** (1 / 3) * 10
"""Radius of a sphere of 1 cm³ (IBSI VJGA)."""


def statistics(values: NDArray[np.floating], mask: NDArray[np.bool_]) -> Features:
    """The 18 intensity statistics of a region, in the units of the image (IBSI UHIW)."""
    x = values[mask].astype(np.float64)
    return _moments(x) | {"energy": float((x**2).sum()), "rms": float(np.sqrt((x**2).mean()))}


def histogram(levels: Levels) -> Features:
    """The 23 features of the histogram of grey levels (IBSI ZVCW)."""
    x = levels[levels > 0].astype(np.float64)
    counts = np.bincount(levels[levels > 0])[1:].astype(np.float64)
    p = counts / counts.sum()
    slope = np.gradient(counts) if counts.size > 1 else np.zeros(1)
    return _moments(x) | {
        "mode": float(np.argmax(counts) + 1),
        "entropy": entropy(p),
        "uniformity": float((p**2).sum()),
        "max_grad": float(slope.max()),
        "max_grad_g": float(np.argmax(slope) + 1),
        "min_grad": float(slope.min()),
        "min_grad_g": float(np.argmin(slope) + 1),
    }


def volume_histogram(levels: Levels) -> Features:
    """The share of the region at or above a level, at 10 and 90 % (IBSI P88C)."""
    counts = np.bincount(levels[levels > 0])[1:].astype(np.float64)
    first = int(np.flatnonzero(counts)[0])
    counts = counts[first:]
    share = 1 - np.r_[0, np.cumsum(counts)[:-1]] / counts.sum()
    along = np.linspace(0, 1, counts.size) if counts.size > 1 else np.ones(1)
    v10, v90 = (float(share[np.flatnonzero(along >= part - 1e-9)[0]]) for part in (0.1, 0.9))
    i10, i90 = (_level_at(share, first, part) for part in (0.1, 0.9))
    return {
        "v10": v10,
        "v90": v90,
        "i10": i10,
        "i90": i90,
        "diff_v10_v90": v10 - v90,
        "diff_i10_i90": i10 - i90,
    }


def peaks(
    values: NDArray[np.floating], mask: NDArray[np.bool_], spacing_mm: NDArray[np.float64]
) -> Features:
    """Mean over 1 cm³ round the region's maximum, and the largest such mean (IBSI VJGA, 0F91)."""
    reach = np.floor(PEAK_RADIUS_MM / spacing_mm + 1e-9).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), -1)
    ball = (np.linalg.norm(offsets * spacing_mm, axis=-1) <= PEAK_RADIUS_MM).astype(np.float64)
    image = values.astype(np.float64)
    summed = ndimage.convolve(image, ball, mode="constant")
    inside = ndimage.convolve(np.ones_like(image), ball, mode="constant")
    mean = summed / inside
    brightest = mask & (image == image[mask].max())
    return {"local": float(mean[brightest].max()), "global": float(mean[mask].max())}


def _moments(x: NDArray[np.float64]) -> Features:
    mean, variance = float(x.mean()), float(x.var())
    apart = x - mean
    flat = variance == 0
    p10, p25, p50, p75, p90 = (float(part) for part in np.percentile(x, (10, 25, 50, 75, 90)))
    robust = x[(x >= p10) & (x <= p90)]
    return {
        "mean": mean,
        "var": variance,
        "skew": 0.0 if flat else float((apart**3).mean() / variance**1.5),
        "kurt": 0.0 if flat else float((apart**4).mean() / variance**2 - 3),
        "median": p50,
        "min": float(x.min()),
        "p10": p10,
        "p90": p90,
        "max": float(x.max()),
        "iqr": p75 - p25,
        "range": float(np.ptp(x)),
        "mad": float(np.abs(apart).mean()),
        "rmad": float(np.abs(robust - robust.mean()).mean()),
        "medad": float(np.abs(x - p50).mean()),
        "cov": float(np.sqrt(variance) / mean) if mean else 0.0,
        "qcod": (p75 - p25) / (p75 + p25) if p75 + p25 else 0.0,
    }


def _level_at(share: NDArray[np.float64], first: int, part: float) -> float:
    """The lowest level that no more than ``part`` of the region reaches."""
    under = np.flatnonzero(share <= part + 1e-9)
    last = share.size
    return float(first + 1 + (int(under[0]) if under.size else last))
