"""Runs a volumetric network over a volume of any size: windows, blending, precision, memory.

Gives the same result for the same input on the same device. Knows nothing of anatomy or files.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from analyzers.contract import reached
from analyzers.transfers import fetched

Patch = tuple[int, int, int]

OVERLAP = 0.5
"""Share of a window that it has in common with the next."""
SIGMA = 0.125
"""Standard deviation of the blending weight, in sides of the window (nnU-Net,
10.1038/s41592-020-01008-z)."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to show the same image: mirrored along the last axis, contrast multiplied."""

    mirrored: bool = False
    contrast: float = 1.0


VARIANTS = (Variant(), Variant(True), Variant(False, 0.85), Variant(True, 1.15))
"""What test-time augmentation averages over; how far they differ is the uncertainty."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a network is run.

    patch: voxels (z, y, x) of the largest window; a smaller image is one window of its own size.
    multiple: what every side of a window is a multiple of.
    """

    patch: Patch
    classes: int
    multiple: int
    device: str = "cpu"
    mixed_precision: bool = False
    """bfloat16 on CUDA, where networks as small as these gain nothing by it; never on the CPU."""
    at_once: int = 8
    """On CUDA: so many windows go through the network together; the CPU takes one at a time."""

    @property
    def on_cuda(self) -> bool:
        return self.device.startswith("cuda")


def probabilities(
    network: nn.Module, image: NDArray[np.float32], run: Run, variant: Variant = Variant()
) -> NDArray[np.float32]:
    """Softmax shares ``(classes, z, y, x)`` of an image ``(z, y, x)``.

    A device without the memory for a window is given windows of half the side, down to
    ``run.multiple``; the last failure is raised.
    """
    patch = _fitted(run, image.shape)
    while True:
        try:
            return _blended(network, image, run, patch, variant)
        except torch.OutOfMemoryError:
            smaller = _halved(patch, run.multiple)
            if smaller == patch:
                raise
            patch = smaller
            torch.cuda.empty_cache()


def _fitted(run: Run, shape: tuple[int, ...]) -> Patch:
    z, y, x = (
        min(most, -(-size // run.multiple) * run.multiple)
        for most, size in zip(run.patch, shape, strict=True)
    )
    return z, y, x


def _halved(patch: Patch, multiple: int) -> Patch:
    z, y, x = (max(multiple, side // 2 // multiple * multiple) for side in patch)
    return z, y, x


def _blended(
    network: nn.Module, image: NDArray[np.float32], run: Run, patch: Patch, variant: Variant
) -> NDArray[np.float32]:
    padded, inside = _padded(image, patch)
    if variant.mirrored:
        padded = np.ascontiguousarray(padded[..., ::-1])
    pixels = torch.from_numpy(padded * np.float32(variant.contrast)).to(run.device)
    weight = torch.from_numpy(blending_weight(patch)).to(run.device)
    total = torch.zeros((run.classes, *padded.shape), device=run.device)
    weights = torch.zeros(padded.shape, device=run.device)
    forward = _forward(network.to(run.device), run)
    for together in _groups(windows(padded.shape, patch), run.at_once if run.on_cuda else 1):
        answers = forward(torch.stack([pixels[window] for window in together]))
        for window, answer in zip(together, answers, strict=True):
            total[(slice(None), *window)] += answer * weight
            weights[window] += weight
    shares: NDArray[np.float32] = fetched(total / weights)
    if variant.mirrored:
        shares = shares[..., ::-1]
    return np.ascontiguousarray(shares[(slice(None), *inside)])


def _forward(network: nn.Module, run: Run) -> Callable[[torch.Tensor], torch.Tensor]:
    """From windows ``(n, z, y, x)`` to their shares ``(n, classes, z, y, x)``."""

    def forward(windows: torch.Tensor) -> torch.Tensor:
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
            torch.autocast("cuda", torch.bfloat16, enabled=run.on_cuda and run.mixed_precision),
        ):
            logits = network(windows[:, None])
            shares: torch.Tensor = logits.float().softmax(1)
            return shares

    return forward


def _groups(each: Iterator[tuple[slice, ...]], number: int) -> Iterator[list[tuple[slice, ...]]]:
    while together := list(itertools.islice(each, number)):
        yield together


def _padded(
    image: NDArray[np.float32], patch: Patch
) -> tuple[NDArray[np.float32], tuple[slice, ...]]:
    """The image with 0 around it where it is smaller than a window, and where it lies in that."""
    spare = [max(0, want - have) for have, want in zip(image.shape, patch, strict=True)]
    around = [(n // 2, n - n // 2) for n in spare]
    inside = tuple(
        slice(before, before + have) for (before, _), have in zip(around, image.shape, strict=True)
    )
    return np.pad(image, around), inside


def windows(shape: tuple[int, ...], patch: Patch) -> Iterator[tuple[slice, ...]]:
    """Windows of ``patch`` that cover a shape at least as large, evenly spread."""
    starts = []
    for size, side in zip(shape, patch, strict=True):
        count = 1 + int(np.ceil((size - side) / (side * OVERLAP)))
        starts.append([round(at) for at in np.linspace(0, size - side, count)])
    for corner in itertools.product(*starts):
        yield tuple(slice(at, at + side) for at, side in zip(corner, patch, strict=True))


def blending_weight(patch: Patch) -> NDArray[np.float32]:
    """A Gaussian over the window, 1 in the middle, nowhere below 1e-3."""
    weight = np.ones(patch, np.float64)
    for axis, side in enumerate(patch):
        away = (np.arange(side) - (side - 1) / 2) / (SIGMA * side)
        shape = [1, 1, 1]
        shape[axis] = side
        weight *= np.exp(-0.5 * away**2).reshape(shape)
    kept: NDArray[np.float32] = np.maximum(weight / weight.max(), 1e-3).astype(np.float32)
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Mean shares over ``VARIANTS``, and how much the variants agree.

    shares: float32 ``(classes, z, y, x)``. agreement: mean over the variants of the Dice overlap
    of the foreground of one with the mean's, 0–1; 1 where all find nothing.
    """

    shares: NDArray[np.float32]
    agreement: float


def averaged(network: nn.Module, image: NDArray[np.float32], run: Run) -> Ensemble:
    """The network's shares under test-time augmentation (10.1016/j.neucom.2019.01.103)."""
    each = []
    for done, variant in enumerate(VARIANTS):
        reached(done, len(VARIANTS))
        each.append(probabilities(network, image, run, variant))
    shares: NDArray[np.float32] = np.stack(each).mean(0, dtype=np.float32)
    joint = shares.argmax(0) > 0
    overlaps = [overlap(one.argmax(0) > 0, joint) for one in each]
    return Ensemble(shares, float(np.mean(overlaps)))


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Dice coefficient, 0–1; 1 where both are empty (Dice 1945, 10.2307/1932409)."""
    marked = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / marked if marked else 1.0
