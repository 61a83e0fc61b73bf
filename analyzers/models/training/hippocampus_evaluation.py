"""Judges hippocampus segmentations: Dice with its interval, the mean shape beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torchvision.models.detection import MaskRCNN

from analyzers.models import hippocampus_networks as networks
from analyzers.models import stored_model
from analyzers.models.engine import averaged, overlap
from analyzers.models.hippocampus_input import STEP_MM
from analyzers.models.slice_instances import labelled, marked
from analyzers.models.training.figures import Interval
from analyzers.models.training.hippocampus_data import Case, HippocampusSet, read
from analyzers.models.training.slice_precision import slice_precision

DRAWS = 2000
LIMITS = 1.96
"""Standard deviations from the bias to a limit of agreement."""
SMALL = 1 / 3
STRUCTURES = ("whole", "anterior", "posterior")
CANVAS = (64, 80, 64)
"""Voxels on which the mean shape is drawn; every case lies in its middle."""

Segment = Callable[[Case], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Found less drawn volume in mL (Bland and Altman 1986, 10.1016/S0140-6736(86)90837-8).

    low, high: limits of agreement. small: mean of the third of the hippocampi drawn smallest.
    """

    bias: float
    low: float
    high: float
    small: float

    def __str__(self) -> str:
        return (
            f"bias {self.bias:+.2f} mL, limits of agreement {self.low:+.2f} to {self.high:+.2f} mL;"
            f" bias of the smallest third {self.small:+.2f} mL"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Dice of every case: name → values in the order of ``STRUCTURES``; volumes: found, drawn."""

    dice: dict[str, tuple[float, ...]]
    volumes_ml: dict[str, tuple[float, float]]

    def interval(self, structure: str) -> Interval:
        """Mean Dice with 95 % interval by bootstrap over the cases."""
        column = np.array([one[STRUCTURES.index(structure)] for one in self.dice.values()])
        drawn = np.random.default_rng(0).choice(column, (DRAWS, len(column))).mean(1)
        low, high = np.percentile(drawn, (2.5, 97.5))
        return Interval(float(column.mean()), float(low), float(high))

    def agreement(self) -> Agreement:
        """Of the volumes with those drawn."""
        found, drawn = np.array(list(self.volumes_ml.values())).T
        error = found - drawn
        spread = LIMITS * float(error.std(ddof=1)) if len(error) > 1 else 0.0
        small = error[drawn <= np.quantile(drawn, SMALL)]
        bias = float(error.mean())
        return Agreement(bias, bias - spread, bias + spread, float(small.mean()))

    def worst(self, count: int) -> list[str]:
        """Names of the cases whose whole hippocampus overlaps least, worst first."""
        return sorted(self.dice, key=lambda name: self.dice[name][0])[:count]


def judge(cases: Sequence[Case], segment: Segment) -> Judged:
    """The Dice overlaps of ``segment``'s labels with the cases' own."""
    found = {case.name: (segment(case), case.labels) for case in cases}
    return Judged(
        {name: _dice(*pair) for name, pair in found.items()},
        {name: (_whole_ml(pair[0]), _whole_ml(pair[1])) for name, pair in found.items()},
    )


def _whole_ml(labels: NDArray[np.uint8]) -> float:
    return np.count_nonzero(labels) * STEP_MM**3 / 1000


def _dice(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> tuple[float, ...]:
    parts = (overlap(found == number, truth == number) for number in (1, 2))
    return (overlap(found > 0, truth > 0), *parts)


def segmenter(name: str, network: nn.Module, device: str) -> Segment:
    """Labels as the analyzer makes them, test-time augmentation included."""
    if isinstance(network, MaskRCNN):
        return lambda case: labelled(marked(network, case.image, networks.CLASSES, device).fields)
    run = networks.run_on(device)

    def segment(case: Case) -> NDArray[np.uint8]:
        shares = averaged(network, case.image, run).shares
        return networks.labelled(networks.calibrated(name, shares))

    return segment


def mean_shape(cases: Sequence[Case]) -> Segment:
    """The trivial answer: the commonest label at each place of the crop, its middle fixed."""
    votes = np.zeros((networks.CLASSES, *CANVAS), np.float32)
    for case in cases:
        window = _middle(case.labels.shape)
        for number in range(networks.CLASSES):
            votes[number][window] += case.labels == number
    hippocampus = votes[1:].sum(0) > len(cases) / 2
    shape = np.where(hippocampus, 1 + votes[1:].argmax(0), 0).astype(np.uint8)
    return lambda case: shape[_middle(case.labels.shape)]


def _middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    corner = [(side - size) // 2 for side, size in zip(CANVAS, shape, strict=True)]
    return tuple(slice(at, at + size) for at, size in zip(corner, shape, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A network and the mean shape of the training part, judged on the same cases.

    slices: average precision of the masks slice by slice, of a network that marks slices.
    """

    network: Judged
    baseline: Judged
    slices: Interval | None = None


def evaluated(name: str, network: nn.Module, data: HippocampusSet, device: str) -> Evaluation:
    """A network on the held-out part of a set."""
    found = judge(data.test, segmenter(name, network, device))
    baseline = judge(data.test, mean_shape(data.train))
    is_detector = isinstance(network, MaskRCNN)
    slices = slice_precision(network, data.test, device) if is_detector else None
    return Evaluation(found, baseline, slices)


def evaluate(
    name: str, folder: Path, models: Path = stored_model.SHIPPED, device: str = "cpu"
) -> Evaluation:
    """A stored network on the held-out part of the set in ``folder``.

    Raises
    ------
    UnreadableSet
        The folder is not the hippocampus set.
    BrokenModel
        The model is missing or damaged.
    """
    data = read(folder)
    network = networks.restored(name, stored_model.load(name, models))
    return evaluated(name, network, data, device)
