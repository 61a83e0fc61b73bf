"""Trains a hippocampus network, judges it on cases it never saw, stores it with its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from analyzers.classification import weights
from analyzers.models import hippocampus_networks as networks
from analyzers.models.hippocampus_input import PATCH, STEP_MM
from analyzers.models.training import hippocampus_card as card
from analyzers.models.training.hippocampus_data import HippocampusSet, read
from analyzers.models.training.hippocampus_evaluation import (
    Evaluation,
    judge,
    mean_shape,
    network_segmenter,
)
from analyzers.models.training.volumetric_fit import Progress, Schedule, fit

SEED = 20261123
EPOCHS = 60
METHODS = {
    "hippocampus_unet": "a 3-D U-Net (10.1007/978-3-319-46723-8_49)",
    "hippocampus_fpn": (
        "a 3-D feature pyramid network (10.1109/CVPR.2017.106) whose levels are summed at full"
        " size (10.1109/CVPR.2019.00656)"
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
    epochs: int = EPOCHS
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
    schedule = Schedule(options.epochs, options.seed, networks.CLASSES, PATCH, stop=options.stop)
    fit(network, data.train, schedule, options.checkpoint, options.device, progress)
    segment = network_segmenter(network, options.device)
    evaluation = Evaluation(judge(data.test, segment), judge(data.test, mean_shape(data.train)))
    arrays = {key: value.cpu().numpy() for key, value in network.state_dict().items()}
    facts = card.Card(
        name=name,
        method=METHODS[name],
        data=data,
        evaluation=evaluation,
        validation=judge(data.validation, segment),
        seed=options.seed,
        epochs=schedule.end,
        planned=options.epochs,
        parameters=sum(value.size for value in arrays.values()),
    )
    home = weights.save(name, arrays, _sections(facts, options, data), options.out)
    card.write(home, facts, segment)
    return home


def _sections(
    facts: card.Card, options: Options, data: HippocampusSet
) -> dict[str, dict[str, weights.Plain]]:
    return {
        "model": {"name": facts.name, "parameters": facts.parameters},
        "input": {
            "modality": "MR",
            "field": "crops of 20 to 80 mm a side round one hippocampus",
            "axes": "z to the head, y to the back, x to the left",
            "step_mm": STEP_MM,
            "patch_z": PATCH[0],
            "patch_y": PATCH[1],
            "patch_x": PATCH[2],
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
