"""A network that joins two images and values of the header, any of which may be missing.

Knows nothing of analyzers, files or training; images come as feature vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

HIDDEN = 8


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of each case; what is missing is 0 where it stands, and False beside it.

    images: ``(n, 2, features)``; seen: ``(n, 2)``; values: ``(n, values)``; known: ``(n, values)``.
    """

    images: torch.Tensor
    seen: torch.Tensor
    values: torch.Tensor
    known: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def only(self, which: torch.Tensor) -> Inputs:
        """The cases of a mask or of indices."""
        return Inputs(self.images[which], self.seen[which], self.values[which], self.known[which])

    def without(self, seen: torch.Tensor, known: torch.Tensor) -> Inputs:
        """The same cases with only those images and values left that both masks allow."""
        left, told = self.seen & seen, self.known & known
        return Inputs(self.images * left[..., None], left, self.values * told, told)


class FusionNetwork(nn.Module):
    """A straight way (every input weighs by itself) and a crossed way (inputs change each other).

    Whether an input is there is an input too. Both images go through the same encoder.
    """

    def __init__(self, features: int, values: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        flags = 2 + values
        self.straight_images = nn.Linear(features, 2, bias=False)
        self.straight_values = nn.Linear(values + flags, 1)
        self.encoder = nn.Linear(features, hidden)
        self.crossed = nn.Linear(2 * hidden + values + flags, hidden)
        self.answer = nn.Linear(hidden, 1)
        nn.init.zeros_(self.straight_images.weight)
        nn.init.zeros_(self.straight_values.weight)

    def forward(self, x: Inputs) -> torch.Tensor:
        """The logit of each case, ``(n,)``."""
        flags = torch.cat([x.seen, x.known], 1).float()
        told = torch.cat([x.values, flags], 1)
        weighed = torch.diagonal(self.straight_images(x.images), dim1=1, dim2=2)
        straight = weighed.sum(1) + self.straight_values(told)[:, 0]
        encoded = functional.relu(self.encoder(x.images)) * x.seen[..., None]
        joined = functional.relu(self.crossed(torch.cat([encoded.flatten(1), told], 1)))
        logit: torch.Tensor = straight + self.answer(joined)[:, 0]
        return logit

    def penalty(self) -> torch.Tensor:
        """Sum of the squared weights, biases apart."""
        total = torch.zeros(())
        for name, weight in self.named_parameters():
            if name.endswith("weight"):
                total = total + weight.square().sum()
        return total

    def forget(self, values: torch.Tensor) -> None:
        """Give the values ``(values,)`` that are False here, never seen in training, no weight."""
        with torch.no_grad():
            count = len(values)
            unseen = torch.nonzero(~values)[:, 0]
            for layer, start in ((self.straight_values, 0), (self.crossed, self._before)):
                layer.weight[:, start + unseen] = 0
                layer.weight[:, start + count + 2 + unseen] = 0

    @property
    def _before(self) -> int:
        return 2 * self.encoder.out_features
