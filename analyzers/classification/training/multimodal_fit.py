"""Fits fusion networks; inputs are hidden at random, so that missing ones are no news."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from analyzers.classification.multimodal_network import FusionNetwork, Inputs
from analyzers.models.training.progress import Tell, silent

STEPS = 400
RATE = 1e-2
PENALTY = 0.25
"""Of the squared weights, for a mean loss: that of a logistic regression with C = 0.01 on 200."""
KEPT_IMAGES = (0.85, 0.6)
"""Chance of the first and the second image to be shown, of those that are there."""
KEPT_VALUES = 0.7


def fit(
    cases: Inputs,
    truth: NDArray[np.int64],
    seed: int,
    steps: int = STEPS,
    penalty: float = PENALTY,
    tell: Tell = silent,
) -> FusionNetwork:
    """A network fitted to the cases; start and hidden inputs follow from ``seed``."""
    torch.manual_seed(seed)
    network = FusionNetwork(cases.images.shape[2], cases.values.shape[1])
    target = torch.from_numpy(truth).float()
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for step in range(steps):
        logit = network(hidden(cases))
        loss = functional.binary_cross_entropy_with_logits(logit, target)
        optimizer.zero_grad()
        whole = loss + penalty * network.penalty()
        whole.backward()  # type: ignore[no-untyped-call]  # torch has no hints here
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            tell(step + 1, steps, float(loss.detach()))
    network.forget(cases.known.any(0))
    return network.eval()


def hidden(cases: Inputs) -> Inputs:
    """The cases with some of their images and values hidden; no case is left without an image
    that it had."""
    chance = torch.tensor(KEPT_IMAGES).expand(len(cases), 2)
    shown = torch.bernoulli(chance).bool()
    blind = ~(cases.seen & shown).any(1, keepdim=True)
    kept = torch.full(cases.known.shape, KEPT_VALUES)
    return cases.without(shown | blind, torch.bernoulli(kept).bool())


def logits(networks: list[FusionNetwork], cases: Inputs) -> NDArray[np.float64]:
    """The mean logit of the networks for each case."""
    with torch.inference_mode():
        said = torch.stack([network(cases) for network in networks])
    return said.mean(0).double().numpy()
