"""The stored hippocampus networks by name, and how they are run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from analyzers.models import stored_model
from analyzers.models.engine import Run
from analyzers.models.hippocampus_input import LARGEST_WINDOW
from analyzers.models.slice_instances import mask_rcnn
from analyzers.models.volumetric import MULTIPLE, FeaturePyramid, UNet

CLASSES = 3
"""Background, anterior, posterior."""
NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "hippocampus_unet": UNet,
    "hippocampus_fpn": FeaturePyramid,
    "hippocampus_mask_rcnn": mask_rcnn,
}


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
