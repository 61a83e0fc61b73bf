"""The stored hippocampus networks by name, and how they are run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from analyzers.models import stored_model
from analyzers.models.engine import Run
from analyzers.models.hippocampus_input import LARGEST_WINDOW
from analyzers.models.slice_instances import mask_rcnn
from analyzers.models.volumetric import MULTIPLE, FeaturePyramid, UNet

CLASSES = 3
"""Background, anterior, posterior."""
LEAST_FOREGROUND = {"hippocampus_unet": 0.82, "hippocampus_fpn": 0.67}
"""Share of both parts from which a voxel is hippocampus; chosen on the validation crops, where the
mean volume is then that of the readers. At 0.5 the networks draw 0.16 to 0.34 mL too much."""
NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "hippocampus_unet": UNet,
    "hippocampus_fpn": FeaturePyramid,
    "hippocampus_mask_rcnn": mask_rcnn,
}


def calibrated(name: str, shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares ``(classes, z, y, x)`` whose background is shifted so that 0.5 is the limit.

    To be made on the networks' own grid: shares that a finer grid has smoothed shrink under any
    other limit.
    """
    part = 1 - shares[0]
    odds = (1 - LEAST_FOREGROUND[name]) / LEAST_FOREGROUND[name]
    shifted = part * odds / (part * odds + shares[0])
    scale = shifted / np.maximum(part, 1e-9)
    return np.concatenate([1 - shifted[None], shares[1:] * scale]).astype(np.float32)


def labelled(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The part of each voxel of calibrated shares, 0 outside the hippocampus."""
    part = 1 + shares[1:].argmax(0)
    return np.where(shares[0] <= 0.5, part, 0).astype(np.uint8)


def build(name: str) -> nn.Module:
    """An untrained network; its first weights follow torch's generator."""
    return NETWORKS[name](CLASSES)


def run_on(device: str) -> Run:
    """How the engine runs a hippocampus network."""
    return Run(LARGEST_WINDOW, CLASSES, MULTIPLE, device)


def restored(name: str, model: stored_model.StoredModel) -> nn.Module:
    """The trained network on the CPU.

    Raises
    ------
    stored_model.BrokenModel
        The stored arrays are those of another network.
    """
    network = build(name)
    arrays = {key: torch.from_numpy(np.array(value)) for key, value in model.arrays.items()}
    try:
        network.load_state_dict(arrays)
    except RuntimeError as error:
        raise stored_model.BrokenModel(f"the weights do not fit {name}: {error}") from error
    return network.eval()
