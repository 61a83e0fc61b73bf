"""Fits a volumetric network: augmentation, loss, schedule, averaged weights, checkpoints.

Every epoch draws from its own seed, so a run that goes on from a checkpoint gives what a run in
one go gives. Checkpoints are safetensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from analyzers.models.training.augmentation import augmented, placed
from analyzers.models.training.hippocampus_data import Case

Progress = Callable[[int, int, float], None]
"""Called with epochs done, epochs in all, mean loss."""
Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""Of a network, images float32 ``(n, 1, z, y, x)`` and labels int64 of the same shape."""


def voxel_loss(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Of a network that gives logits for every voxel."""
    with torch.autocast(images.device.type, torch.bfloat16):
        logits = network(images)
    return overlap_and_entropy(logits.float(), labels[:, 0], logits.shape[1])


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast.

    epochs: what the learning rate is planned for; it is highest (``rate``) after a tenth of them.
    stop: epochs after which the run ends, at most ``epochs``; 0: all.
    """

    epochs: int
    seed: int
    patch: tuple[int, int, int]
    batch: int = 2
    rate: float = 4e-3
    decay: float = 1e-2
    averaging: float = 0.99
    stop: int = 0

    @property
    def end(self) -> int:
        return min(self.stop or self.epochs, self.epochs)


def fit(
    network: nn.Module,
    cases: Sequence[Case],
    schedule: Schedule,
    checkpoint: Path,
    device: str = "cpu",
    progress: Progress = lambda done, total, loss: None,
    loss_of: Loss = voxel_loss,
) -> nn.Module:
    """The network with averaged weights, on the CPU, ready to be used.

    checkpoint: written after each epoch; a run goes on from it where it is there.

    Raises
    ------
    ValueError
        The checkpoint is further than the run is to go.
    """
    network.to(device).train()
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), schedule.rate, weight_decay=schedule.decay)
    first = _resume(checkpoint, network, average, optimizer) if checkpoint.exists() else 0
    if first > schedule.end:
        raise ValueError(f"{checkpoint} has {first} epochs, more than {schedule.end}")
    for epoch in range(first, schedule.end):
        torch.manual_seed(schedule.seed * 1000 + epoch)
        loss = _epoch(network, average, optimizer, cases, schedule, epoch, loss_of)
        _save(checkpoint, network, average, optimizer, epoch + 1)
        progress(epoch + 1, schedule.epochs, loss)
    network.load_state_dict(average)
    return network.cpu().eval()


def _epoch(
    network: nn.Module,
    average: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    cases: Sequence[Case],
    schedule: Schedule,
    epoch: int,
    loss_of: Loss,
) -> float:
    device = next(network.parameters()).device
    steps = len(cases) // schedule.batch
    order = torch.randperm(len(cases)).tolist()
    total = 0.0
    for step in range(steps):
        done = epoch * steps + step
        _set_rate(optimizer, schedule.rate * warm_cosine(done / (schedule.epochs * steps)))
        picked = [cases[i] for i in order[step * schedule.batch : (step + 1) * schedule.batch]]
        pairs = [placed(case.image, case.labels, schedule.patch) for case in picked]
        images = torch.from_numpy(np.stack([image for image, _ in pairs]))[:, None]
        labels = torch.from_numpy(np.stack([marks for _, marks in pairs]))[:, None]
        images, labels = augmented(images.to(device), labels.to(device))
        loss = loss_of(network, images, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        _follow(average, network, min(schedule.averaging, (done + 1) / (done + 10)))
        total += float(loss.detach())
    return total / max(steps, 1)


def overlap_and_entropy(logits: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Cross-entropy plus 1 − mean soft Dice of the structures over the batch (0: background)."""
    target = functional.one_hot(labels, classes).movedim(-1, 1).float()
    share = logits.softmax(1)
    axes = (0, 2, 3, 4)
    both, size = (share * target).sum(axes), share.sum(axes) + target.sum(axes)
    dice = (2 * both[1:] + 1) / (size[1:] + 1)
    return functional.cross_entropy(logits, labels) + 1 - dice.mean()


def warm_cosine(share: float) -> float:
    """Factor of the learning rate when ``share`` (0–1) of all steps is done."""
    if share < 0.1:
        return max(share / 0.1, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (share - 0.1) / 0.9))


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


@torch.no_grad()
def _follow(average: dict[str, torch.Tensor], network: nn.Module, keep: float) -> None:
    for name, value in network.state_dict().items():
        average[name].mul_(keep).add_(value, alpha=1 - keep)


def _save(
    path: Path,
    network: nn.Module,
    average: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    epoch: int,
) -> None:
    arrays = {f"network.{name}": value for name, value in network.state_dict().items()}
    arrays |= {f"average.{name}": value for name, value in average.items()}
    for number, state in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{number}.{key}": value for key, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    whole = {name: value.detach().cpu().contiguous() for name, value in arrays.items()}
    save_file(whole, aside, {"epoch": str(epoch)})
    aside.replace(path)


def _resume(
    path: Path,
    network: nn.Module,
    average: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> int:
    with safe_open(path, "pt") as stored:
        arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        epoch = int(stored.metadata()["epoch"])
    network.load_state_dict({name: arrays[f"network.{name}"] for name in network.state_dict()})
    for name, value in average.items():
        value.copy_(arrays[f"average.{name}"])
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in arrays.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            number, _, key = rest.partition(".")
            state.setdefault(int(number), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return epoch
