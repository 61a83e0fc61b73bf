"""The loss of a Mask R-CNN on slices drawn from a volume, and what each slice has to find."""

from __future__ import annotations

import torch
from torch import nn

from analyzers.models.slice_instances import MULTIPLE, ZOOM, Targets, enlarged

SLICES = 8
"""Drawn from each volume."""
BEYOND = 2
"""Slices on either side of the structure from which empty ones may be drawn."""
LEAST_VOXELS = 4
"""A part with fewer in a slice is not asked for."""
PARTS = (1, 2)


def slice_loss(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum of torchvision's losses (proposals, boxes, classes, masks) over drawn slices."""
    shown: list[torch.Tensor] = []
    wanted: Targets = []
    for image, marks in zip(images[:, 0], labels[:, 0], strict=True):
        columns = _drawn(marks)
        shown += list(enlarged(image, columns.to(image.device)))
        wanted += [targets(marks[:, :, column]) for column in columns.tolist()]
    losses: dict[str, torch.Tensor] = network(shown, wanted)
    return torch.stack(list(losses.values())).sum()


def _drawn(marks: torch.Tensor) -> torch.Tensor:
    """Sagittal slices that show the structure, or lie next to it."""
    full = torch.nonzero((marks > 0).flatten(0, 1).any(0))[:, 0].cpu()
    first = max(int(full.min()) - BEYOND, 0) if len(full) else 0
    last = min(int(full.max()) + BEYOND if len(full) else SLICES, marks.shape[2] - 1)
    return torch.randperm(last - first + 1)[:SLICES] + first


def targets(marks: torch.Tensor) -> dict[str, torch.Tensor]:
    """Boxes, parts and masks of a slice of labels ``(z, y)``, in the network's pixels."""
    height, width = (-(-side * ZOOM // MULTIPLE) * MULTIPLE for side in marks.shape)
    parts = [part for part in PARTS if (marks == part).sum() >= LEAST_VOXELS]
    masks = torch.zeros((len(parts), height, width), dtype=torch.uint8, device=marks.device)
    boxes = torch.zeros((len(parts), 4), device=marks.device)
    for index, part in enumerate(parts):
        mask = (marks == part).repeat_interleave(ZOOM, 0).repeat_interleave(ZOOM, 1)
        masks[index, : mask.shape[0], : mask.shape[1]] = mask
        rows, columns = torch.nonzero(mask, as_tuple=True)
        corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        boxes[index] = torch.stack(corners).float()
    return {"boxes": boxes, "labels": torch.tensor(parts).long().to(marks.device), "masks": masks}
