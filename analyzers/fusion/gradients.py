"""How far the edges of two images run alike, whatever their brightness: normalized gradient fields.

Haber & Modersitzki, MICCAI 2006, DOI 10.1007/11866763_89. It tells nothing that mutual information
is told: that looks at values alone, this at the direction in which they change alone. Edges that
are much weaker than the mean edge count little, so that noise has no direction.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from analyzers.fusion.registration import Task
from analyzers.fusion.scan import Scan, at

_EMPTY = 1e-12


class Edges:
    """Mean squared cosine between the edges of both series, at the points of a task."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._moving = _slopes(task.moving)
        self._noise = _mean_length(self._moving)
        fixed = _slopes(task.fixed)
        there = _at(fixed, task.index)
        self._fixed = there / (there.square().sum(0) + _mean_length(fixed) ** 2).sqrt()

    def measured(self, pose: torch.Tensor) -> torch.Tensor:
        """0: no edge in common; 1: all. Of all points: where the series part, none is alike."""
        index, matrix = self._task.onto(pose)
        slopes = matrix[:3, :3].T.to(self._moving.dtype) @ _at(self._moving, index)
        alike = (self._fixed * slopes).sum(0).square()
        alike = alike / (slopes.square().sum(0) + self._noise**2)
        _, weight = at(self._task.moving.image, index)
        return (alike * weight.to(alike.dtype)).mean()

    def score(self, pose: torch.Tensor) -> float:
        """The same, without a gradient."""
        with torch.no_grad():
            return float(self.measured(pose))


def _slopes(of: Scan) -> torch.Tensor:
    """Change per mm along the patient's x, y, z, ``(3, z, y, x)``, of means over 3 × 3 × 3."""
    calm = functional.avg_pool3d(
        of.image[None, None], 3, stride=1, padding=1, count_include_pad=False
    )[0, 0]
    per_index = torch.stack(torch.gradient(calm))
    back = torch.linalg.inv(torch.from_numpy(of.affine[:3, :3])).to(calm)
    return torch.einsum("ij,izyx->jzyx", back, per_index)


def _mean_length(slopes: torch.Tensor) -> float:
    return max(float(slopes.norm(dim=0).mean()), _EMPTY)


def _at(slopes: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return torch.stack([at(part, index)[0] for part in slopes])
