"""Networks for the 28×28 images of MedMNIST (Yang et al. 2023, DOI 10.1038/s41597-022-01721-8).

They are models to train, evaluate and compare, not analyzers: no modality sends such images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from analyzers.models.learners import SupportVectors
from analyzers.models.residual import Residual
from analyzers.models.stored_model import StoredModel, part_of

SIDE = 28
WIDTH = 24
AT_ONCE = 256
MACHINE = "pixels."
"""Start of the names of the machine's arrays."""


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


def pixels(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The standardised pixels of images ``(n, 28, 28)``, a row each."""
    return standardised(images).flatten(1).double().numpy()


@dataclass(frozen=True, slots=True, eq=False)
class SmallImageEnsemble:
    """Networks and, beside them, perhaps a support vector machine on the pixels."""

    networks: Sequence[SmallImageNetwork]
    machine: SupportVectors | None = None

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The mean logit of the networks, plus the machine's decision value, for each image."""
        score = logits(self.networks, images)
        return score if self.machine is None else score + self.machine.decide(pixels(images))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        stored: dict[str, NDArray[np.generic]] = {
            f"{number}.{key}": value.numpy()
            for number, network in enumerate(self.networks)
            for key, value in network.state_dict().items()
        }
        if self.machine is not None:
            stored |= {f"{MACHINE}{key}": value for key, value in self.machine.arrays().items()}
        return stored

    @classmethod
    def of(cls, stored: StoredModel) -> SmallImageEnsemble:
        """The ensemble of a stored model."""
        machine = part_of(stored.arrays, MACHINE)
        numbers = range(int(stored.number("model", "networks")))
        return cls(
            [_network(stored, number) for number in numbers],
            SupportVectors.of(machine) if machine else None,
        )


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


def _network(stored: StoredModel, number: int) -> SmallImageNetwork:
    network = SmallImageNetwork()
    own = part_of(stored.arrays, f"{number}.")
    network.load_state_dict({key: torch.from_numpy(np.array(one)) for key, one in own.items()})
    return network.eval()
