"""Fits one detector of opacities: start, augmentation, schedule. Seeded, one thread or CUDA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

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
JOINED = 0.35
"""Share of the images that get the right half of another one."""
MIDDLE = SIDE // 2
SEAM = 16
"""Pixels over which one half goes over into the other."""
CROSSED = 12
"""Pixels that a box reaches over the middle before it counts as lying across."""
LEAST_LEFT = 0.4
"""Share of a box that must stay in the moved view."""

Arrays = Mapping[str, NDArray[np.generic]]


def fit(
    views: NDArray[np.float32],
    boxes: Sequence[Boxes],
    seed: int,
    start: Arrays,
    epochs: int = EPOCHS,
    device: str = "cpu",
    tell: Callable[[int, float], None] = lambda epochs, loss: None,
) -> tuple[FasterRCNN, FasterRCNN]:
    """Two detectors of one training on views ``(n, 256, 256)`` and their boxes: that of the last
    step, and that of the mean weights of the last steps (Polyak & Juditsky 1992, DOI
    10.1137/0330046). Their trunk begins at ``start``.

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
    return last, mean


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
    """Halves of two chests joined; moved, turned, scaled, mirrored; another exposure, contrast and
    noise. Boxes go with the pixels and stay upright."""
    x, boxes = joined_halves(x, boxes)
    n = len(x)
    turn = torch.randn(n) * 0.05
    scale = torch.exp(torch.randn(n, 2) * 0.07 + torch.randn(n, 1) * 0.1)
    shift = torch.randn(n, 2) * 0.07
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    turned = torch.zeros(n, 2, 2)
    turned[:, 0, 0] = scale[:, 0] * turn.cos() * mirror
    turned[:, 0, 1] = -scale[:, 1] * turn.sin()
    turned[:, 1, 0] = scale[:, 0] * turn.sin() * mirror
    turned[:, 1, 1] = scale[:, 1] * turn.cos()
    theta = torch.cat([turned, shift[:, :, None]], 2)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    shade = (x[:, :1] * 0.25 + 0.5).clamp(0, 1) ** torch.exp(torch.randn(n, 1, 1, 1) * 0.25)
    x = torch.cat([(shade - 0.5) / 0.25, x[:, 1:]], 1)
    x = x * torch.exp(torch.randn(n, 2, 1, 1) * 0.15) + torch.randn(n, 2, 1, 1) * 0.12
    x = x + torch.randn_like(x) * 0.12 * torch.rand(n, 1, 1, 1)
    moves = zip(boxes, theta, scale, strict=True)
    return x, [_moved(one, part, factor) for one, part, factor in moves]


def joined_halves(
    x: torch.Tensor, boxes: list[torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Of some of the images only the left half, the right one from another image of the batch.

    Windows lie on the mean chest, so halves fit. An image with a box across the middle stays whole.
    """
    ramp = torch.clamp((torch.arange(SIDE) - MIDDLE) / SEAM + 0.5, 0, 1)
    whole = [
        bool(((b[:, 0] < MIDDLE - CROSSED) & (b[:, 2] > MIDDLE + CROSSED)).any()) for b in boxes
    ]
    mixed, both = x.clone(), list(boxes)
    for left, right in enumerate(torch.randperm(len(x)).tolist()):
        if left == right or torch.rand(1) > JOINED or whole[left] or whole[right]:
            continue
        mixed[left] = x[left] * (1 - ramp) + x[right] * ramp
        sides = [(one[:, 0] + one[:, 2]) / 2 < MIDDLE for one in (boxes[left], boxes[right])]
        both[left] = torch.cat([boxes[left][sides[0]], boxes[right][~sides[1]]])
    return mixed, both


def _moved(boxes: torch.Tensor, theta: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """``theta`` maps places of the new view to the old one; boxes go the other way."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 * 2 / SIDE - 1 - theta[:, 2]
    middle = (middle @ torch.linalg.inv(theta[:, :2]).T + 1) * SIDE / 2
    size = (boxes[:, 2:] - boxes[:, :2]) / scale
    cut = torch.cat([middle - size / 2, middle + size / 2], 1).clamp(0, SIDE)
    left = (cut[:, 2:] - cut[:, :2]).prod(1)
    return cut[left >= LEAST_LEFT * size.prod(1)]


def _targets(boxes: list[torch.Tensor], device: str) -> list[dict[str, torch.Tensor]]:
    return [
        {"boxes": one.to(device), "labels": torch.ones(len(one), dtype=torch.int64, device=device)}
        for one in boxes
    ]
