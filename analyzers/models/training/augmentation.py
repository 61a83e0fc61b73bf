"""Random changes of volumetric training images; drawn from torch's generator only."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

TURN_RAD = 0.2
SCALE = 0.1
SHIFT = 0.06
"""Standard deviations; the shift in halves of the patch's side."""
BEND = 0.04
"""Standard deviation of the elastic displacement at 5×5×5 knots, in halves of the side."""


def placed(
    image: NDArray[np.float32], labels: NDArray[np.uint8], patch: tuple[int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Image and labels in a window of ``patch`` voxels at a random place, padded with 0."""
    corner = [
        int(torch.randint(min(0, want - have), max(0, want - have) + 1, ()))
        for have, want in zip(image.shape, patch, strict=True)
    ]
    return _window(image, corner, patch), _window(labels, corner, patch).astype(np.int64)


def _window(array: NDArray[Any], corner: list[int], patch: tuple[int, int, int]) -> NDArray[Any]:
    out = np.zeros(patch, array.dtype)
    to, of = [], []
    for at, have, want in zip(corner, array.shape, patch, strict=True):
        first, last = max(at, 0), min(at + have, want)
        to.append(slice(first, last))
        of.append(slice(first - at, last - at))
    out[tuple(to)] = array[tuple(of)]
    return out


def augmented(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Turned, scaled, shifted, bent, mirrored left to right; another contrast and noise.

    images: float32 ``(n, 1, z, y, x)``; labels: int64 of the same shape. Mirroring is right here
    because a hippocampus of the other side is the mirror image and has the same labels.
    """
    grid = _places(images.shape).to(images.device)
    moved = functional.grid_sample(images, grid, align_corners=False)
    marks = functional.grid_sample(labels.float(), grid, mode="nearest", align_corners=False)
    return _recoloured(moved), marks.long()


def _places(shape: torch.Size) -> torch.Tensor:
    count = shape[0]
    angles = torch.randn(count, 3) * TURN_RAD
    matrix = torch.eye(3).repeat(count, 1, 1)
    for axis, (one, other) in enumerate(((1, 2), (0, 2), (0, 1))):
        turn = torch.eye(3).repeat(count, 1, 1)
        turn[:, one, one] = turn[:, other, other] = angles[:, axis].cos()
        turn[:, one, other] = -angles[:, axis].sin()
        turn[:, other, one] = angles[:, axis].sin()
        matrix = matrix @ turn
    half = torch.tensor([shape[4], shape[3], shape[2]]) / 2.0
    matrix = half[:, None] ** -1 * matrix * half  # angles hold in voxels, not in sides
    mirror = torch.where(torch.rand(count, 1) < 0.5, -1.0, 1.0)
    stretch = torch.exp(torch.randn(count, 3) * SCALE)
    stretch[:, :1] *= mirror
    theta = torch.cat([matrix * stretch[:, None, :], torch.randn(count, 3, 1) * SHIFT], 2)
    grid = functional.affine_grid(theta, [count, 1, *shape[2:]], align_corners=False)
    knots = torch.randn(count, 3, 5, 5, 5) * BEND * torch.rand(count, 1, 1, 1, 1)
    bend = functional.interpolate(knots, shape[2:], mode="trilinear", align_corners=True)
    return grid + bend.movedim(1, -1)


def _recoloured(images: torch.Tensor) -> torch.Tensor:
    def per_image(deviation: float) -> torch.Tensor:
        drawn = torch.randn(len(images), 1, 1, 1, 1) * deviation
        return drawn.to(images.device)

    contrast = torch.exp(per_image(0.15))
    bent = images.sign() * images.abs() ** torch.exp(per_image(0.1))
    noise = torch.randn(images.shape).to(images.device) * per_image(0.1).abs()
    return bent * contrast + per_image(0.15) + noise
