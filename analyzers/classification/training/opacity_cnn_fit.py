"""Fits one OpacityNetwork: augmentation, loss, schedule. One thread, seeded, CPU or CUDA."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from analyzers.radiograph.opacity_network import PLACES, OpacityNetwork, network_input

EPOCHS = 30
BATCH = 16
RATE = 2e-3
DECAY = 3e-2
BOX_WEIGHT = 2.0
SMOOTHED = (0.05, 0.95)
"""Targets of the answer: a reading is an opinion, not a fact."""


def fit(
    framed: NDArray[np.float32],
    boxes: NDArray[np.float32],
    opacity: NDArray[np.int64],
    seed: int,
    epochs: int = EPOCHS,
    device: str = "cpu",
    tell: Callable[[int, float], None] = lambda epochs, loss: None,
) -> OpacityNetwork:
    """A network fitted to framed images ``(n, 240, 240)``, their boxes and readings.

    ``tell`` hears of every epoch and its last loss.
    """
    torch.manual_seed(seed)
    images, marks = network_input(framed), network_input(boxes)
    target = torch.from_numpy(np.where(opacity > 0, SMOOTHED[1], SMOOTHED[0])).float()
    network = OpacityNetwork().to(device)
    network.to(memory_format=torch.channels_last)
    steps = len(images) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), RATE / 2, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps * epochs)
    network.train()
    for epoch in range(epochs):
        order = torch.randperm(len(images))
        for step in range(steps):
            pick = order[step * BATCH : (step + 1) * BATCH]
            x, m = augmented(images[pick], marks[pick])
            loss = _loss(network, x.to(device), m.to(device), target[pick].to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no hints here
            optimizer.step()
            schedule.step()
        tell(epoch + 1, float(loss.detach()))
    network.to(memory_format=torch.contiguous_format)
    return network.eval().cpu()


def augmented(x: torch.Tensor, marks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Moved, turned, scaled, mirrored; another exposure, contrast and noise."""
    n = len(x)
    turn = torch.randn(n) * 0.08
    scale = torch.exp(torch.randn(n, 2) * 0.08)
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = scale[:, 0] * turn.cos() * mirror
    theta[:, 0, 1] = -scale[:, 1] * turn.sin()
    theta[:, 1, 0] = scale[:, 0] * turn.sin() * mirror
    theta[:, 1, 1] = scale[:, 1] * turn.cos()
    theta[:, :, 2] = torch.randn(n, 2) * 0.05
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    marks = functional.grid_sample(marks, grid, align_corners=False)
    x = x.clamp(0, 1) ** torch.exp(torch.randn(n, 1, 1, 1) * 0.25)
    x = x * (1 + torch.randn(n, 1, 1, 1) * 0.1) + torch.randn(n, 1, 1, 1) * 0.05
    return x + torch.randn_like(x) * 0.04 * torch.rand(n, 1, 1, 1), marks


def _loss(
    network: OpacityNetwork, x: torch.Tensor, marks: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    answer = network(x)
    wanted = functional.interpolate(marks, (PLACES, PLACES), mode="area")
    whole = functional.binary_cross_entropy_with_logits(answer.logit, target)
    places = functional.binary_cross_entropy_with_logits(
        answer.places, wanted, pos_weight=torch.tensor(2.0, device=x.device)
    )
    return whole + BOX_WEIGHT * places
