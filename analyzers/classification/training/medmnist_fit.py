"""Fits one network for 28×28 images: augmentation, balanced draws, schedule. One thread, seeded."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from analyzers.classification.small_images import SmallImageNetwork, standardised
from analyzers.classification.training.medmnist_data import LabelledImages

BATCH = 64
RATE = 4e-3
DECAY = 1e-2
SMOOTHED = 0.05


def fit(
    learnt: LabelledImages,
    epochs: int,
    seed: int,
    tell: Callable[[int, float], None] = lambda epochs, loss: None,
) -> SmallImageNetwork:
    """One network; random start, draws and augmentation follow from ``seed``.

    Both labels are drawn equally often, however rare one is. ``tell`` hears of every epoch.
    """
    torch.manual_seed(seed)
    network = SmallImageNetwork()
    x, labels = standardised(learnt.images), torch.from_numpy(learnt.labels)
    target = labels.float() * (1 - 2 * SMOOTHED) + SMOOTHED
    chance = 1 / torch.bincount(labels, minlength=2)[labels].float()
    steps = max(1, len(x) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), RATE / 2, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps * epochs)
    network.train()
    for epoch in range(epochs):
        order = torch.multinomial(chance, steps * BATCH, replacement=True)
        total = 0.0
        for pick in order.view(steps, BATCH):
            said = network(augmented(x[pick])).ravel()
            loss = functional.binary_cross_entropy_with_logits(said, target[pick])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no hints here
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        tell(epoch + 1, total / steps)
    return network.eval()


def augmented(x: torch.Tensor) -> torch.Tensor:
    """Moved, turned, scaled, mirrored; another contrast, brightness, sharpness and noise."""
    n = len(x)
    turn = (torch.rand(n) - 0.5) * 0.5
    scale = 1 + (torch.rand(n) - 0.5) * 0.3
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = scale * turn.cos() * mirror
    theta[:, 0, 1] = -scale * turn.sin()
    theta[:, 1, 0] = scale * turn.sin() * mirror
    theta[:, 1, 1] = scale * turn.cos()
    theta[:, :, 2] = (torch.rand(n, 2) - 0.5) * 0.25
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    x = x.sign() * x.abs() ** (torch.rand(n, 1, 1, 1) * 0.6 + 0.7)
    x = x * (1 + 0.2 * torch.randn(n, 1, 1, 1)) + 0.2 * torch.randn(n, 1, 1, 1)
    smooth = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = x + (torch.rand(n, 1, 1, 1) * 0.8 - 0.4) * (x - smooth)
    return x + torch.randn_like(x) * 0.1 * torch.rand(n, 1, 1, 1)
