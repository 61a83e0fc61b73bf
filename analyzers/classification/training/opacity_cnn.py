"""Trains and evaluates the networks of opacity_cnn: one per fold, which together are the ensemble.

Each network never saw the patients of its own fold, so their answers there are honest; they
calibrate the probability and give the figures of the card.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from analyzers.classification.training.opacity_cnn_fit import EPOCHS, fit
from analyzers.models.training.progress import Tell, after, silent
from analyzers.radiograph.opacity_network import OpacityNetwork, network_input
from analyzers.radiograph.training.opacity_data import OpacitySet

SEED = 20261123


def cross_fit(
    data: OpacitySet,
    checkpoints: Path,
    seed: int = SEED,
    device: str = "cpu",
    epochs: int = EPOCHS,
    tell: Tell = silent,
) -> tuple[list[OpacityNetwork], NDArray[np.float64]]:
    """One network per fold and the logit of each image by the network that never saw its patient.

    A fold that lies finished in ``checkpoints`` is not trained again; ``tell`` hears of every
    epoch.
    """
    checkpoints.mkdir(parents=True, exist_ok=True)
    logits = np.zeros(len(data.opacity))
    networks = []
    folds = data.folds(seed)
    for number, (train, test) in enumerate(folds):
        kept = checkpoints / f"fold_{number}.safetensors"
        if kept.exists():
            network = OpacityNetwork()
            network.load_state_dict(load_file(kept))
            network.eval()
        else:
            network = fit(
                data.framed[train],
                data.boxes[train],
                data.opacity[train],
                seed=seed + number,
                epochs=epochs,
                device=device,
                tell=after(number * epochs, len(folds) * epochs, tell),
            )
            save_file(network.state_dict(), kept)
        logits[test] = logits_of(network, data.framed[test])
        networks.append(network)
    return networks, logits


def logits_of(network: OpacityNetwork, framed: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean logit of each framed image and its mirror image."""
    x = network_input(framed)
    with torch.inference_mode():
        both = network(x).logit + network(x.flip(3)).logit
    return np.asarray((both / 2).numpy(), np.float64)
