"""Small 3-D segmentation networks: a U-Net and a feature pyramid network.

They take ``(n, 1, z, y, x)`` float32 with sides divisible by ``MULTIPLE`` and return logits
``(n, classes, z, y, x)``. They know nothing of files, spacing or anatomy.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

MULTIPLE = 8
"""Every side of the input must be a multiple of it: three halvings."""
WIDTHS = (8, 24, 48, 96)
"""Channels at full size, a half, a quarter, an eighth."""
PYRAMID = 24
"""Channels of every level of the feature pyramid."""


class Block(nn.Module):
    """Convolution, instance normalisation, leaky ReLU (10.1038/s41592-020-01008-z)."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(into, out, 3, stride, 1, bias=False)
        self.norm = nn.InstanceNorm3d(out, affine=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)), 0.01)


class Encoder(nn.Module):
    """Features at four sizes, the finest first."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = Block(1, widths[0])
        pairs = pairwise(widths)
        self.downs = nn.ModuleList(
            nn.Sequential(Block(fine, coarse, 2), Block(coarse, coarse)) for fine, coarse in pairs
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        features = [self.stem(x)]
        for down in self.downs:
            features.append(down(features[-1]))
        return features


class UNet(nn.Module):
    """A 3-D U-Net (Çiçek et al. 2016, 10.1007/978-3-319-46723-8_49)."""

    def __init__(self, classes: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.encoder = Encoder(widths)
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.ups = nn.ModuleList(nn.ConvTranspose3d(coarse, fine, 2, 2) for coarse, fine in pairs)
        self.joins = nn.ModuleList(Block(2 * fine, fine) for _, fine in pairs)
        self.out = nn.Conv3d(widths[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *skips, x = self.encoder(x)
        for up, join, skip in zip(self.ups, self.joins, reversed(skips), strict=True):
            x = join(torch.cat([up(x), skip], 1))
        logits: torch.Tensor = self.out(x)
        return logits


class FeaturePyramid(nn.Module):
    """A feature pyramid network for segmentation, in 3-D.

    The pyramid (Lin et al. 2017, 10.1109/CVPR.2017.106) gives every size features of the same
    meaning; the head sums them at full size (Kirillov et al. 2019, 10.1109/CVPR.2019.00656).
    """

    def __init__(self, classes: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.encoder = Encoder(widths)
        self.laterals = nn.ModuleList(nn.Conv3d(width, PYRAMID, 1) for width in widths)
        self.levels = nn.ModuleList(Block(PYRAMID, PYRAMID) for _ in widths)
        self.out = nn.Conv3d(PYRAMID, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.encoder(x)
        size = features[0].shape[2:]
        above = self.laterals[-1](features[-1])
        total = _enlarged(self.levels[-1](above), size)
        finer = zip(self.laterals[:-1], self.levels[:-1], features[:-1], strict=True)
        for lateral, level, feature in reversed(list(finer)):
            above = lateral(feature) + _enlarged(above, feature.shape[2:])
            total = total + _enlarged(level(above), size)
        logits: torch.Tensor = self.out(total)
        return logits


def _enlarged(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    if x.shape[2:] == size:
        return x
    return functional.interpolate(x, size=size, mode="trilinear", align_corners=False)
