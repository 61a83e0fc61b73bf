"""Trains and evaluates the ensembles for PneumoniaMNIST and BreastMNIST; writes their cards.

The validation part serves for figures and calibration only: nothing is chosen by it.
``python -m analyzers.classification.training.medmnist pneumoniamnist FOLDER``
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.ensemble import RandomForestClassifier
from torch.nn import functional

from analyzers.classification import weights
from analyzers.classification.small_images import SmallImageNetwork, logits, standardised
from analyzers.classification.training.figures import Interval, auc_interval, calibrate

SEED = 20261123
BATCH = 64
RATE = 4e-3
DECAY = 1e-2
SMOOTHED = 0.05


@dataclass(frozen=True, slots=True)
class Recipe:
    """What differs between the sets. answer: the class of label 1."""

    networks: int
    epochs: int
    question: str
    answer: str


RECIPES = {
    "pneumoniamnist": Recipe(2, 12, "Pneumonia in a child's chest radiograph", "pneumonia"),
    "breastmnist": Recipe(4, 60, "Breast tumour on ultrasound", "normal or benign"),
}


@dataclass(frozen=True, slots=True, eq=False)
class SmallSet:
    """Images ``(n, 28, 28)`` uint8 and labels 0 or 1 of the training and validation part."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    held_images: NDArray[np.uint8]
    held_labels: NDArray[np.int64]


def read(path: Path) -> SmallSet:
    """A MedMNIST archive (``.npz``; no pickle is read)."""
    with np.load(path, allow_pickle=False) as archive:
        return SmallSet(
            archive["train_images"],
            archive["train_labels"].ravel().astype(np.int64),
            archive["val_images"],
            archive["val_labels"].ravel().astype(np.int64),
        )


def train(
    name: str,
    data: Path,
    out: Path = weights.SHIPPED,
    seed: int = SEED,
    checkpoints: Path | None = None,
    tell: Callable[[str], None] = print,
) -> Path:
    """Fit the ensemble to ``data/<name>_dev.npz`` and store it with its card in ``out/<name>``.

    Networks that lie finished in ``checkpoints`` are not trained again.
    """
    recipe, small = RECIPES[name], read(data / f"{name}_dev.npz")
    networks = []
    for number in range(recipe.networks):
        kept = checkpoints / f"{name}_{number}.safetensors" if checkpoints else None
        if kept and kept.exists():
            network = SmallImageNetwork()
            network.load_state_dict(load_file(kept))
        else:
            tell(f"{name}: network {number + 1} of {recipe.networks}")
            network = fit(small, recipe.epochs, seed + number)
            if kept:
                kept.parent.mkdir(parents=True, exist_ok=True)
                save_file(network.state_dict(), kept)
        networks.append(network.eval())
    arrays = {
        f"{number}.{key}": value.numpy()
        for number, network in enumerate(networks)
        for key, value in network.state_dict().items()
    }
    score = logits(networks, small.held_images)
    reached = _interval(small.held_labels, score)
    calibration = calibrate(small.held_labels, score)
    home = weights.save(
        name,
        arrays,
        {
            "model": {
                "name": name,
                "question": recipe.question,
                "answer": recipe.answer,
                "networks": recipe.networks,
            },
            "training": {"seed": seed, "epochs": recipe.epochs, "images": len(small.labels)},
            "calibration": {"slope": calibration.slope, "offset": calibration.offset},
            "figures": {"auc": reached.value, "auc_95": [reached.low, reached.high]},
        },
        out,
    )
    (home / "CARD.md").write_text(card(name, small, reached), encoding="utf-8")
    return home


def evaluate(name: str, data: Path, folder: Path = weights.SHIPPED) -> Interval:
    """AUC of the stored ensemble on the validation part, with 95 % interval over images."""
    small = read(data / f"{name}_dev.npz")
    return _interval(small.held_labels, logits(load(name, folder), small.held_images))


def load(name: str, folder: Path = weights.SHIPPED) -> list[SmallImageNetwork]:
    """The networks of a stored ensemble."""
    stored = weights.load(name, folder)
    networks = []
    for number in range(int(stored.number("model", "networks"))):
        start = f"{number}."
        network = SmallImageNetwork()
        network.load_state_dict(
            {
                key.removeprefix(start): torch.from_numpy(np.array(value))
                for key, value in stored.arrays.items()
                if key.startswith(start)
            }
        )
        networks.append(network.eval())
    return networks


def fit(small: SmallSet, epochs: int, seed: int) -> SmallImageNetwork:
    """One network; random start, order and augmentation follow from ``seed``."""
    torch.manual_seed(seed)
    network = SmallImageNetwork()
    x = standardised(small.images)
    target = torch.from_numpy(small.labels).float() * (1 - 2 * SMOOTHED) + SMOOTHED
    steps = max(1, len(x) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), RATE / 2, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps * epochs)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for step in range(steps):
            pick = order[step * BATCH : (step + 1) * BATCH]
            said = network(augmented(x[pick])).ravel()
            loss = functional.binary_cross_entropy_with_logits(said, target[pick])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no hints here
            optimizer.step()
            schedule.step()
    return network


def augmented(x: torch.Tensor) -> torch.Tensor:
    """Moved, turned, scaled, mirrored; another contrast and noise."""
    n = len(x)
    turn = (torch.rand(n) - 0.5) * 0.5
    scale = 1 + (torch.rand(n) - 0.5) * 0.3
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = scale * turn.cos() * mirror
    theta[:, 0, 1] = -scale * turn.sin()
    theta[:, 1, 0] = scale * turn.sin() * mirror
    theta[:, 1, 1] = scale * turn.cos()
    theta[:, :, 2] = (torch.rand(n, 2) - 0.5) * 0.25
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    x = x.sign() * x.abs() ** (torch.rand(n, 1, 1, 1) * 0.6 + 0.7)
    return x + torch.randn_like(x) * 0.1 * torch.rand(n, 1, 1, 1)


def card(name: str, small: SmallSet, reached: Interval) -> str:
    """The model card, with a random forest on the pixels beside the ensemble."""
    recipe = RECIPES[name]
    plain = RandomForestClassifier(200, random_state=SEED)
    plain.fit(small.images.reshape(len(small.images), -1), small.labels)
    score = plain.predict_proba(small.held_images.reshape(len(small.held_images), -1))[:, 1]
    return f"""# {name}

**Question:** {recipe.question} (label 1: {recipe.answer}). Images of 28×28 pixels.

**Intended use:** comparing methods, testing the training and the storage of models. Not for
patients, and not an analyzer: no modality sends images of 28×28 pixels.

**Model:** {recipe.networks} small residual networks, mean logit over the image and its mirror
image; probability by Platt's sigmoid, fitted to the validation part.

**Data:** MedMNIST v2 (Yang et al. 2023, DOI 10.1038/s41597-022-01721-8), CC BY 4.0; the official
training part ({len(small.labels)} images) for fitting, the official validation part
({len(small.held_labels)} images) for the figures and the calibration. The sets do not tell which
images belong to one patient; the split is the publishers'.

| on the validation part | AUC (95 % by bootstrap over images) |
|---|---|
| this ensemble | {reached} |
| random forest on the pixels | {_interval(small.held_labels, score)} |

**Limits:** the validation part is drawn like the training part; on the official test part AUC
is to be expected lower (not measured here).

Made by `python -m analyzers.classification.training.medmnist {name} FOLDER`, seed {SEED}.
"""


def _interval(truth: NDArray[np.int64], score: NDArray[np.float64]) -> Interval:
    return auc_interval(truth, score, np.arange(len(truth)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = train(sys.argv[1], Path(sys.argv[2]), checkpoints=Path(sys.argv[2]) / "checkpoints")
    print(where, evaluate(sys.argv[1], Path(sys.argv[2]), where.parent))
