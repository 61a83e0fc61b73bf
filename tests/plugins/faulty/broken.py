"""Analyzers that break the contract, each in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from analyzers.contract import (
    Classification,
    Code,
    ColorImage,
    DerivedImage,
    Detection,
    Findings,
    Limits,
    Measurement,
    ParametricMap,
    Registration,
    Segment,
    Segmentation,
    Shades,
    Volume,
    WindowPreset,
)
from faulty import Faulty

ML = Code("mL", "UCUM", "mL")
VOLUME = Code("118565006", "SCT", "Volume")
AIR = Code("15158005", "SCT", "Air")
SEGMENT = Segment("air", 1, "Air", Code("91723000", "SCT", "Anatomical Structure"), AIR)
SMOOTHING = Code("113087", "DCM", "Smoothing")


def _labels(volume: Volume) -> Any:
    labels = np.zeros(volume.shape, np.uint8)
    labels[1, 10:20, 10:20] = 1
    return labels


def _segmentation(volume: Volume, **changes: Any) -> Findings:
    sound = Segmentation(_labels(volume), (SEGMENT,))
    return Findings((replace(sound, **changes),))


def _segment(**changes: Any) -> Callable[[Volume], Any]:
    return lambda volume: _segmentation(volume, segments=(replace(SEGMENT, **changes),))


def _shares(share: Callable[[Volume], Any], key: str = "air") -> Callable[[Volume], Any]:
    return lambda volume: _segmentation(volume, probabilities={key: share(volume)})


def _measured(**changes: Any) -> Callable[[Volume], Any]:
    return lambda volume: Findings((replace(Measurement(VOLUME, 1.0, ML), **changes),))


def _derived(values: Callable[[Volume], Any]) -> Callable[[Volume], Any]:
    return lambda volume: Findings((DerivedImage(values(volume), "Smooth", SMOOTHING),))


def _box(first: Any, last: Any) -> Callable[[Volume], Any]:
    return lambda volume: Findings((Detection("one", AIR, AIR, first, last),))


def _write(volume: Volume) -> Findings:
    volume.stored[0] = 0
    return Findings()


TWO = replace(SEGMENT, key="other")
ANSWERS: dict[str, Callable[[Volume], Any]] = {
    "none": lambda volume: None,
    "array": _labels,
    "list": lambda volume: [Measurement(VOLUME, 1.0, ML)],
    "one item": lambda volume: Findings(Measurement(VOLUME, 1.0, ML)),  # type: ignore[arg-type]
    "dict item": lambda volume: Findings(({"volume": 1.0},)),  # type: ignore[arg-type]
    "text remarks": lambda volume: Findings(remarks="all well"),  # type: ignore[arg-type]
    "text code": _measured(unit="mL"),
    "text value": _measured(value="1.0"),
    "array value": _measured(value=np.ones(3)),
    "infinite value": _measured(value=float("inf")),
    "empty code": _measured(unit=Code("", "UCUM", "mL")),
    "long meaning": _measured(name=Code("1", "SCT", "m" * 65)),
    "bool labels": lambda volume: _segmentation(volume, labels=_labels(volume) > 0),
    "other grid": lambda volume: _segmentation(volume, labels=_labels(volume)[1:]),
    "unknown label": lambda volume: _segmentation(volume, labels=_labels(volume) * 3),
    "same number": lambda volume: _segmentation(volume, segments=(SEGMENT, TWO)),
    "number 0": _segment(number=0),
    "number 70000": _segment(number=70_000),
    "in two layers": lambda volume: _segmentation(volume, further=(_labels(volume),)),
    "unknown in a layer": lambda volume: _segmentation(volume, further=(_labels(volume) * 2,)),
    "further of text": lambda volume: _segmentation(volume, further=("labels",)),
    "probability of whole numbers": _shares(lambda volume: _labels(volume)),
    "probability of percent": _shares(lambda volume: np.full(volume.shape, 70.0)),
    "probability off grid": _shares(lambda volume: np.zeros((1, 2, 3))),
    "probability of nothing": _shares(lambda volume: np.zeros(volume.shape), "bone"),
    "probability in a tuple": lambda volume: _segmentation(volume, probabilities=((1, 2),)),
    "text kind": _segment(kind="Air"),
    "no label": _segment(label=None),
    "text colour": _segment(rgb="red"),
    "text measurement": _segment(measurements=("5 mL",)),
    "derived of text": _derived(lambda volume: "values"),
    "derived off grid": _derived(lambda volume: volume.values()[:, 1:]),
    "derived nan": _derived(lambda volume: np.full(volume.shape, np.nan)),
    "derived bool": _derived(lambda volume: np.ones(volume.shape, bool)),
    "colour floats": lambda volume: Findings(
        (ColorImage(np.zeros((*volume.shape, 3)), "Colour", SMOOTHING),)  # type: ignore[arg-type]
    ),
    "map nan": lambda volume: Findings(
        (ParametricMap(np.full(volume.shape, np.nan, np.float32), "Map", VOLUME, ML),)
    ),
    "box outside": _box((0, 0, 0), (0, 0, 10_000)),
    "box of two": _box((0, 0), (1, 1)),
    "box of halves": _box((0, 0, 0.5), (0, 1, 1)),
    "probability 70": lambda volume: Findings((Classification(VOLUME, AIR, 70.0),)),
    "unknown role": lambda volume: Findings((Registration("pet", np.eye(4), "moved"),)),
    "shades": lambda volume: Findings((WindowPreset("Lung", Shades(1.0, 1.0)),)),
    "write": _write,
}


@dataclass(frozen=True, slots=True)
class BrokenParameters:
    answer: str = "none"


class Broken(Faulty):
    name: ClassVar[str] = "broken"
    title: ClassVar[str] = "Broken"
    limits: ClassVar[Limits] = Limits(time_s=60, memory_mb=1024)
    parameters: ClassVar[type] = BrokenParameters

    def analyze(self, volume: Volume, parameters: BrokenParameters) -> Findings:
        found: Findings = ANSWERS[parameters.answer](volume)
        return found
