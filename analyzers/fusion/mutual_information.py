"""Mutual information of two sets of samples, with a gradient.

Mattes et al., IEEE Trans Med Imaging 2003, DOI 10.1109/TMI.2003.809072: the joint histogram is
smoothed by cubic B-splines along the values of the moving image, so that it changes smoothly with
them. Normalized as in Studholme et al., Pattern Recognition 1999, DOI
10.1016/S0031-3203(98)00091-0, which does not reward a small overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

BINS = 32
_PADDING = 2
"""Bins kept free at both ends for the width of the spline."""
_EMPTY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    """mutual: in nats. normalized: 1 (nothing in common) to 2 (each tells the other)."""

    mutual: torch.Tensor
    normalized: torch.Tensor


def information(fixed: torch.Tensor, moving: torch.Tensor, weight: torch.Tensor) -> Information:
    """What values of one image tell of the other.

    fixed: memberships ``(n, BINS)`` from ``memberships``. moving: values 0–1 ``(n,)``. weight: how
    much each sample counts, ``(n,)``.
    """
    joint = (fixed * weight[:, None]).T @ memberships(moving)
    joint = joint / joint.sum().clamp_min(_EMPTY)
    one, other, both = (_entropy(p) for p in (joint.sum(dim=1), joint.sum(dim=0), joint))
    return Information(one + other - both, (one + other) / both.clamp_min(1e-6))


def memberships(values: torch.Tensor) -> torch.Tensor:
    """How far each value from 0 to 1 belongs to each bin: cubic B-spline weights ``(n, BINS)``."""
    place = values * (BINS - 1 - 2 * _PADDING) + _PADDING
    first = place.floor().clamp(1, BINS - 3)
    part = (place - first)[:, None]
    rest = 1 - part
    weights = torch.cat(
        [
            rest**3,
            4 - 6 * part**2 + 3 * part**3,
            4 - 6 * rest**2 + 3 * rest**3,
            part**3,
        ],
        dim=1,
    )
    bins = first.long()[:, None] + torch.arange(-1, 3, device=values.device)
    empty = torch.zeros(len(values), BINS, dtype=values.dtype, device=values.device)
    return empty.scatter(1, bins, weights / 6)


def _entropy(shares: torch.Tensor) -> torch.Tensor:
    return -(shares * shares.clamp_min(_EMPTY).log()).sum()
