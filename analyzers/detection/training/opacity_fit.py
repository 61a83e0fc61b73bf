"""Fits one detector of opacities: start, augmentation, schedule. Seeded, one thread or CUDA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torchvision.models.detection import FasterRCNN

from analyzers.detection.opacity_detector import detector
from analyzers.detection.opacity_window import SIDE, channels
from analyzers.models.boxes import Boxes

EPOCHS = 16
BATCH = 8
RATE = 1.5e-3
DECAY = 3e-2
MEMORY = 0.99
"""How much of the mean weights each step keeps: they follow the last hundred steps."""
LEAST_LEFT = 0.4
"""Share of a box that must stay in the moved view."""

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """One training: the detector of its last step, and the one of the mean weights of its last
    steps (Polyak & Juditsky 1992, DOI 10.1137/0330046)."""

    last: FasterRCNN
    mean: FasterRCNN


def fit(
    views: NDArray[np.float32],
    boxes: Sequence[Boxes],
    seed: int,
    start: Arrays,
    epochs: int = EPOCHS,
    device: str = "cpu",
    tell: Callable[[int, float], None] = lambda epochs, loss: None,
) -> Fitted:
    """Detectors fitted to views ``(n, 256, 256)`` and their boxes; the trunk begins at ``start``.

    ``tell`` hears of every epoch and its mean loss.
    """
    torch.manual_seed(seed)
    x = torch.from_numpy(np.stack([channels(view) for view in views]))
    wanted = [torch.from_numpy(one).float() for one in boxes]
    network = detector()
    begin_at(network, start)
    network.to(device, memory_format=torch.channels_last).train()
    mean = deepcopy(network)
    steps = len(x) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), RATE / 2, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps * epochs)
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(x))
        for step in range(steps):
            pick = order[step * BATCH : (step + 1) * BATCH]
            batch, targets = augmented(x[pick], [wanted[i] for i in pick.tolist()])
            loss = sum(
                network(
                    list(batch.to(device, memory_format=torch.channels_last)),
                    _targets(targets, device),
                ).values()
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            _follow(mean, network)
            total += float(loss.detach())
        tell(epoch + 1, total / steps)
    last, mean = (
        one.to("cpu", memory_format=torch.contiguous_format).eval() for one in (network, mean)
    )
    return Fitted(last, mean)


def _follow(mean: FasterRCNN, network: FasterRCNN) -> None:
    """Bring the mean weights one step on; counts are those of the network."""
    with torch.no_grad():
        for kept, new in zip(
            mean.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - MEMORY)
            else:
                kept.copy_(new)


def begin_at(network: FasterRCNN, start: Arrays) -> None:
    """Copy the arrays of a network of opacity_cnn that the trunk has too."""
    own = network.backbone.state_dict()
    own.update({key: torch.from_numpy(np.array(start[key])) for key in own if key in start})
    network.backbone.load_state_dict(own)


def augmented(
    x: torch.Tensor, boxes: list[torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Moved, scaled, mirrored; another exposure, contrast and noise. Boxes go with the pixels."""
    n = len(x)
    scale = torch.exp(torch.randn(n, 2) * 0.1)
    shift = torch.randn(n, 2) * 0.06
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = scale[:, 0] * mirror
    theta[:, 1, 1] = scale[:, 1]
    theta[:, :, 2] = shift
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    x = x * torch.exp(torch.randn(n, 2, 1, 1) * 0.12) + torch.randn(n, 2, 1, 1) * 0.12
    x = x + torch.randn_like(x) * 0.12 * torch.rand(n, 1, 1, 1)
    return x, [_moved(one, part) for one, part in zip(boxes, theta, strict=True)]


def _moved(boxes: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """``theta`` maps places of the new view to the old one; boxes go the other way."""
    factor, offset = theta.diagonal(), theta[:, 2]
    corners = (boxes.reshape(-1, 2, 2) * 2 / SIDE - 1 - offset) / factor
    corners = ((corners + 1) * SIDE / 2).sort(1).values
    whole = (corners[:, 1] - corners[:, 0]).prod(1)
    cut = corners.clamp(0, SIDE)
    left = (cut[:, 1] - cut[:, 0]).prod(1)
    return cut[left >= LEAST_LEFT * whole].reshape(-1, 4)


def _targets(boxes: list[torch.Tensor], device: str) -> list[dict[str, torch.Tensor]]:
    return [
        {"boxes": one.to(device), "labels": torch.ones(len(one), dtype=torch.int64, device=device)}
        for one in boxes
    ]
