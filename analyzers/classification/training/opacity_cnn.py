"""Trains and evaluates the networks of opacity_cnn: ``NETWORKS`` per fold, which together are the
ensemble.

Each network never saw the patients of its own fold, so the answers there of those that share a fold
are honest; they calibrate the probability and give the figures of the card.
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
NETWORKS = 3
"""Of each fold, alike but for their seed: how good one becomes is luck."""
SEEDS_APART = 1000
METHOD = (
    f"{NETWORKS * FOLDS} residual networks of 96×96 pixels that learn the boxes and the reading, "
    f"{NETWORKS} per fold, alike but for their seed; together they answer with their mean logit "
    f"over the image and its mirror image. The figures are those of the {NETWORKS} that did not "
    "see the image's patient"
)


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """networks: those of the first seed by fold, then those of the next; single: the logit of each
    image by the network of each seed that never saw its patient, ``(n, NETWORKS)``."""

    networks: tuple[OpacityNetwork, ...]
    single: NDArray[np.float64]

    @property
    def scores(self) -> NDArray[np.float64]:
        """What those that never saw an image's patient say together, ``(n,)``."""
        mean: NDArray[np.float64] = self.single.mean(1)
        return mean


def cross_fit(
    data: OpacitySet,
    checkpoints: Path,
    seed: int = SEED,
    device: str = "cpu",
    epochs: int = EPOCHS,
    tell: Tell = silent,
) -> CrossFit:
    """Fit the networks of every fold.

    One that lies finished in ``checkpoints`` is not trained again; ``tell`` hears of every epoch.
    """
    checkpoints.mkdir(parents=True, exist_ok=True)
    single = np.zeros((len(data.opacity), NETWORKS))
    networks = []
    for number in range(NETWORKS):
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
                    tell=after(len(networks) * epochs, NETWORKS * FOLDS * epochs, tell),
                )
                save_file(network.state_dict(), kept)
            single[test, number] = logits_of(network, data.framed[test])
            networks.append(network)
    return CrossFit(tuple(networks), single)


def logits_of(network: OpacityNetwork, framed: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean logit of each framed image and its mirror image."""
    x = network_input(framed)
    with torch.inference_mode():
        both = network(x).logit + network(x.flip(3)).logit
    return np.asarray((both / 2).numpy(), np.float64)
