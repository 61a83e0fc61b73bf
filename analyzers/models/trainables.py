"""The models that can be trained and judged by name: ``wetread train``, ``wetread evaluate``.

A new one is a line of ``TRAINABLES`` that names a class with the two methods of ``Trainable``.
Nothing is imported until it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from analyzers.contract import Volume

Tell = Callable[[int, int, float], None]
"""Called with the steps done, the steps in all, the loss (0 where there is none)."""
ReadVolumes = Callable[[Path], Sequence["FoundVolume"]]


@dataclass(frozen=True, slots=True, eq=False)
class FoundVolume:
    """A volume and the folder its files lie in."""

    volume: Volume
    folder: Path


@dataclass(frozen=True, slots=True)
class Run:
    """How to train.

    out: where models are stored. checkpoints: folder that an interrupted run goes on from. seed,
    epochs: None for the model's own. stop: epochs after which the run ends before its schedule
    does, 0: with it. volumes: reads the CT series below a folder, for models that learn from DICOM.
    """

    out: Path
    checkpoints: Path
    volumes: ReadVolumes
    seed: int | None = None
    epochs: int | None = None
    stop: int = 0
    device: str = "cpu"


class CannotTrain(ValueError):
    """The model is not known, or cannot be trained the way that was asked for."""


class Trainable(Protocol):
    """Trains and judges the models of a kind."""

    def train(self, name: str, data: Path, run: Run, tell: Tell) -> Path:
        """The folder of the stored model, with its card."""
        ...

    def evaluate(self, name: str, data: Path, models: Path | None, run: Run) -> Sequence[str]:
        """Lines to print: figures with their intervals. models: None for those that ship."""
        ...


_HIPPOCAMPUS = "analyzers.models.training.hippocampus_trainable:Hippocampus"
_OPACITY = "analyzers.classification.training.trainables:Opacity"
_SMALL = "analyzers.classification.training.trainables:SmallImages"

TRAINABLES: Mapping[str, str] = {
    "hippocampus_unet": _HIPPOCAMPUS,
    "hippocampus_fpn": _HIPPOCAMPUS,
    "hippocampus_mask_rcnn": _HIPPOCAMPUS,
    "opacity_svm": _OPACITY,
    "opacity_random_forest": _OPACITY,
    "opacity_cnn": _OPACITY,
    "opacity_ensemble": _OPACITY,
    "pneumoniamnist": _SMALL,
    "breastmnist": _SMALL,
    "multimodal_classifier": "analyzers.classification.training.trainables:Multimodal",
    "opacity_faster_rcnn": "analyzers.detection.training.trainable:OpacityBoxes",
    "radiograph_fitness": "analyzers.radiograph.training.trainable:Fitness",
    "lung_nodule": "analyzers.detection.nodule_trainable:Nodules",
}
"""Name → ``module:class``."""


def trainable(name: str) -> Trainable:
    """What trains a model.

    Raises
    ------
    CannotTrain
        There is no such model; the message names those that there are.
    """
    if name not in TRAINABLES:
        raise CannotTrain(f"{name!r} cannot be trained; there are: {', '.join(TRAINABLES)}")
    module, _, kind = TRAINABLES[name].partition(":")
    found: Trainable = getattr(import_module(module), kind)()
    return found


def refuse(name: str, run: Run, *, stop: bool = False, epochs: bool = False) -> None:
    """For models that have no epochs or cannot end early.

    Raises
    ------
    CannotTrain
        The run asks for what is True here.
    """
    if stop and run.stop:
        raise CannotTrain(f"{name} has no --stop; interrupt it, and a second run goes on")
    if epochs and run.epochs is not None:
        raise CannotTrain(f"{name} has no --epochs")
