"""A small network that marks opacities on a framed chest radiograph and says whether there is one.

It learns from boxes as well as from the reading: a map of 12×12 places and one answer, from the
same features. Knows nothing of analyzers, files or training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from analyzers.models.residual import Residual

SIDE = 96
"""Pixels of the network's input."""
CROP = slice(20, 220)
"""Rows and columns of the framed image (240×240) that it sees: the lungs."""
PLACES = SIDE // 8
WIDTH = 16
REACH = 12
"""Pixels to each side that a pixel is compared with."""


@dataclass(frozen=True, slots=True)
class Answer:
    """logit: of the whole image ``(n,)``; places: logits of the map ``(n, 1, 12, 12)``."""

    logit: torch.Tensor
    places: torch.Tensor


class Trunk(nn.Module):
    """Two channels down to a 16th of the side, features of the last two stages joined."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(2, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.fine = nn.Sequential(Residual(width, width * 2, 2), Residual(width * 2, width * 4, 2))
        self.coarse = Residual(width * 4, width * 6, 2)
        self.from_fine = nn.Conv2d(width * 4, width * 4, 1)
        self.from_coarse = nn.Conv2d(width * 6, width * 4, 1)

    def joined(self, stem: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From the stem's answer: the joined map, half its side, and the coarse one, a quarter."""
        fine = self.fine(stem)
        coarse = self.coarse(fine)
        wide = functional.interpolate(
            self.from_coarse(coarse), scale_factor=2, mode="bilinear", align_corners=False
        )
        return functional.relu(self.from_fine(fine) + wide), coarse


class OpacityNetwork(Trunk):
    """A map of places and one answer, from the features of the trunk."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__(width)
        self.marker = nn.Sequential(
            nn.Conv2d(width * 4, width * 2, 3, 1, 1), nn.ReLU(), nn.Conv2d(width * 2, 1, 1)
        )
        self.drop = nn.Dropout(0.4)
        self.answer = nn.Linear(width * 10, 1)

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The joined map ``(n, 64, 12, 12)`` and the coarse one ``(n, 96, 6, 6)``."""
        return self.joined(self.stem(channels(x)))

    def judge(self, joined: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """The logit of the whole image from its features."""
        pooled = torch.cat([coarse.mean((2, 3)), joined.amax((2, 3))], 1)
        logit: torch.Tensor = self.answer(self.drop(pooled)).ravel()
        return logit

    def forward(self, x: torch.Tensor) -> Answer:
        """x: ``(n, 1, 96, 96)``, 0–1."""
        joined, coarse = self.features(x)
        return Answer(self.judge(joined, coarse), self.marker(joined))


def channels(x: torch.Tensor) -> torch.Tensor:
    """The image as it is and locally standardised: opacity is a matter of its surroundings."""
    window = torch.from_numpy(_window(x.shape[-1])).to(x.device)
    mean = window @ x @ window.T
    spread = (window @ (x - mean) ** 2 @ window.T + 1e-3).sqrt()
    return torch.cat([(x - 0.5) / 0.25, (x - mean) / spread], 1)


@cache
def _window(side: int) -> NDArray[np.float32]:
    """A row a pixel: what it and those within ``REACH`` weigh in their mean, mirrored at the edge.

    A product with this matrix is many times faster than pooling over so wide a window.
    """
    mirrored = np.pad(np.arange(side), REACH, mode="reflect")
    near = np.lib.stride_tricks.sliding_window_view(mirrored, 2 * REACH + 1)
    return np.asarray(np.eye(side)[near].mean(1), np.float32)


def network_input(framed: NDArray[np.float32]) -> torch.Tensor:
    """Framed images ``(n, 240, 240)`` → ``(n, 1, 96, 96)``."""
    inner = torch.from_numpy(np.ascontiguousarray(framed[:, CROP, CROP]))[:, None]
    return functional.interpolate(inner, (SIDE, SIDE), mode="area")
