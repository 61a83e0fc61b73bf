"""Trains and evaluates the networks of opacity_cnn: one per fold, which together are the ensemble.

Each network never saw the patients of its own fold, so their answers there are honest; they
calibrate the probability and give the figures of the card. As many are trained again from other
seeds, to tell how much of a figure is luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from analyzers.classification.training.opacity_cnn_fit import EPOCHS, fit
from analyzers.models.training.progress import Tell, after, silent
from analyzers.radiograph.opacity_network import OpacityNetwork, network_input
from analyzers.radiograph.training.opacity_data import FOLDS, OpacitySet

SEED = 20261123
TRAININGS = 3
"""Alike but for their seed. The networks of the first are kept: joined with those of the others
they answer no better."""
SEEDS_APART = 1000


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """networks: of the first training, by fold; logits: of each image by the network of each
    training that never saw its patient, ``(n, TRAININGS)``."""

    networks: tuple[OpacityNetwork, ...]
    logits: NDArray[np.float64]


def cross_fit(
    data: OpacitySet,
    checkpoints: Path,
    seed: int = SEED,
    device: str = "cpu",
    epochs: int = EPOCHS,
    tell: Tell = silent,
) -> CrossFit:
    """Fit a network to every fold, in every training.

    One that lies finished in ``checkpoints`` is not trained again; ``tell`` hears of every epoch.
    """
    checkpoints.mkdir(parents=True, exist_ok=True)
    logits = np.zeros((len(data.opacity), TRAININGS))
    networks: list[OpacityNetwork] = []
    for number in range(TRAININGS):
        for fold, (train, test) in enumerate(data.folds(seed)):
            kept = checkpoints / f"{number}_fold_{fold}.safetensors"
            if kept.exists():
                network = OpacityNetwork()
                network.load_state_dict(load_file(kept))
                network.eval()
            else:
                network = fit(
                    data.framed[train],
                    data.boxes[train],
                    data.opacity[train],
                    seed=seed + SEEDS_APART * number + fold,
                    epochs=epochs,
                    device=device,
                    tell=after(len(networks) * epochs, TRAININGS * FOLDS * epochs, tell),
                )
                save_file(network.state_dict(), kept)
            logits[test, number] = logits_of(network, data.framed[test])
            networks.append(network)
    return CrossFit(tuple(networks[:FOLDS]), logits)


def logits_of(network: OpacityNetwork, framed: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean logit of each framed image and its mirror image."""
    x = network_input(framed)
    with torch.inference_mode():
        both = network(x).logit + network(x.flip(3)).logit
    return np.asarray((both / 2).numpy(), np.float64)
