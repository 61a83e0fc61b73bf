"""Networks for the 28×28 images of MedMNIST (Yang et al. 2023, DOI 10.1038/s41597-022-01721-8).

They are models to train, evaluate and compare, not analyzers: no modality sends such images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from analyzers.classification.residual import Residual

SIDE = 28
WIDTH = 24
AT_ONCE = 256


class SmallImageNetwork(nn.Sequential):
    """A stem and three residual blocks; one logit."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__(
            nn.Conv2d(1, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            Residual(width, width, 1),
            Residual(width, width * 2, 2),
            Residual(width * 2, width * 4, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(width * 4, 1),
        )


def standardised(images: NDArray[np.uint8]) -> torch.Tensor:
    """Images ``(n, 28, 28)`` → ``(n, 1, 28, 28)``, each of mean 0 and spread 1."""
    x = torch.from_numpy(images.astype(np.float32) / 255)[:, None]
    return (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1e-3)


def logits(networks: Sequence[SmallImageNetwork], images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The mean logit of all networks over each image ``(n, 28, 28)`` and its mirror image."""
    x = standardised(images)
    total = torch.zeros(len(x))
    with torch.inference_mode():
        for network in networks:
            for start in range(0, len(x), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                both = network(x[part]) + network(x[part].flip(3))
                total[part] += both.ravel()
    return (total / (2 * len(networks))).double().numpy()
