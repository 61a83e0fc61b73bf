"""Trains a hippocampus network, judges it on cases it never saw, stores it with its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from analyzers.models import hippocampus_networks as networks
from analyzers.models import stored_model
from analyzers.models.hippocampus_input import PATCH, STEP_MM
from analyzers.models.training import hippocampus_card as card
from analyzers.models.training.hippocampus_data import HippocampusSet, read
from analyzers.models.training.hippocampus_evaluation import (
    evaluated,
    judge,
    segmenter,
)
from analyzers.models.training.slice_fit import slice_loss
from analyzers.models.training.volumetric_fit import Loss, Progress, Schedule, fit, voxel_loss

SEED = 20261123


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one of the networks is trained, and what its card says of that.

    shown: what the network is shown, in training and in use. epochs, patch, batch, rate: as in
    ``Schedule``.
    """

    method: str
    shown: str
    losses: str
    epochs: int
    patch: tuple[int, int, int] = PATCH
    batch: int = 2
    rate: float = 4e-3
    loss_of: Loss = voxel_loss


_VOLUMES = """Trained on windows of
32×48×32 voxels of 1 mm; a crop is seen whole; mean over four variants
of the image (mirrored, other contrast)"""
_VOXEL_LOSSES = "Cross-entropy and soft Dice"
RECIPES = {
    "hippocampus_unet": Recipe(
        "a 3-D U-Net (10.1007/978-3-319-46723-8_49)", _VOLUMES, _VOXEL_LOSSES, 60
    ),
    "hippocampus_fpn": Recipe(
        "a 3-D feature pyramid network (10.1109/CVPR.2017.106) whose levels are summed at full"
        " size (10.1109/CVPR.2019.00656)",
        _VOLUMES,
        _VOXEL_LOSSES,
        60,
    ),
    "hippocampus_mask_rcnn": Recipe(
        "a Mask R-CNN (10.1109/ICCV.2017.322) on sagittal slices, its backbone a small feature"
        " pyramid without pretraining",
        """Trained on slices
of crops of 1 mm voxels, enlarged three times, each with its two neighbours; in use every slice of
the crop and of its mirror image is read, and what is marked is stacked and averaged over slices
(over how many, and from which share on a voxel counts, was chosen on the validation crops)""",
        "torchvision's losses of proposals, boxes, classes and masks",
        30,
        (48, 64, 48),
        1,
        1.5e-3,
        slice_loss,
    ),
}


@dataclass(frozen=True, slots=True)
class Options:
    """How to train.

    out: where models are stored. checkpoint: a file that a run goes on from. stop: epochs after
    which the run ends before its schedule does; 0: with it.
    """

    out: Path
    checkpoint: Path
    seed: int = SEED
    epochs: int | None = None
    """None: as many as the recipe says."""
    stop: int = 0
    device: str = "cpu"


def train(
    name: str, folder: Path, options: Options, progress: Progress = lambda done, total, loss: None
) -> Path:
    """Fit a network to the set in ``folder``; the folder of the stored model and its card.

    Raises
    ------
    UnreadableSet
        The folder is not the hippocampus set.
    """
    data = read(folder)
    torch.manual_seed(options.seed)
    network = networks.build(name)
    recipe = RECIPES[name]
    schedule = Schedule(
        options.epochs or recipe.epochs,
        options.seed,
        recipe.patch,
        recipe.batch,
        recipe.rate,
        stop=options.stop,
    )
    fit(
        network,
        data.train,
        schedule,
        options.checkpoint,
        options.device,
        progress,
        recipe.loss_of,
    )
    return stored(name, network, data, options)


def stored(name: str, network: nn.Module, data: HippocampusSet, options: Options) -> Path:
    """A network judged and stored with its card; the folder."""
    recipe = RECIPES[name]
    epochs = options.epochs or recipe.epochs
    segment = segmenter(name, network, options.device)
    evaluation = evaluated(name, network, data, options.device)
    arrays = {key: value.cpu().numpy() for key, value in network.state_dict().items()}
    facts = card.Card(
        name=name,
        method=recipe.method,
        shown=recipe.shown,
        losses=recipe.losses,
        data=data,
        evaluation=evaluation,
        validation=judge(data.validation, segment),
        seed=options.seed,
        epochs=min(options.stop or epochs, epochs),
        planned=epochs,
        parameters=sum(value.size for value in arrays.values()),
    )
    home = stored_model.save(name, arrays, _sections(facts, options, data), options.out)
    card.write(home, facts, segment)
    return home


def _sections(
    facts: card.Card, options: Options, data: HippocampusSet
) -> dict[str, dict[str, stored_model.Plain]]:
    recipe = RECIPES[facts.name]
    return {
        "model": {"name": facts.name, "parameters": facts.parameters},
        "input": {
            "modality": "MR",
            "field": "crops of 20 to 80 mm a side round one hippocampus",
            "axes": "z to the head, y to the back, x to the left",
            "step_mm": STEP_MM,
            "patch_z": recipe.patch[0],
            "patch_y": recipe.patch[1],
            "patch_x": recipe.patch[2],
            "values": "clipped to percentiles 0.5 and 99.5; mean 0, deviation 1",
        },
        "output": {
            "label_1": "SCT 5366008 Hippocampus: anterior",
            "label_2": "SCT 5366008 Hippocampus: posterior",
        },
        "use": {"intended": card.INTENDED, "licence": "CC-BY-SA-4.0"},
        "training": {
            "set": "Medical Segmentation Decathlon, Task 04 Hippocampus",
            "seed": options.seed,
            "epochs": facts.epochs,
            "epochs_planned": facts.planned,
            "device": options.device,
            "torch": str(torch.__version__),
            "train": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
        },
        "figures": dict(card.facts_table(facts.evaluation)),
    }
