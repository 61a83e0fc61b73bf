"""Writes the model card of a hippocampus network and pictures of its worst cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.models.training.hippocampus_data import Case, HippocampusSet
from analyzers.models.training.hippocampus_evaluation import (
    STRUCTURES,
    Evaluation,
    Judged,
    Segment,
)

INTENDED = "research and a first look at hippocampal volume; not for diagnosis, no clearance"
ADVICE = {
    "hippocampus_unet": "**When to prefer another:** hippocampus_fpn does as well.",
    "hippocampus_fpn": "**When to prefer another:** hippocampus_unet does as well.",
    "hippocampus_mask_rcnn": """**When to prefer another:** for volumes always: hippocampus_fpn and
hippocampus_unet overlap more and scatter less. This one is for boxes and scores of each part, or
as a reader of another kind; the less it overlaps with hippocampus_fpn, the worse it is (overlap and
its own Dice correlate at 0.78 on the 54 held-out crops).""",
}
"""By model: which one to take instead, and when."""
PICTURED = 3
ZOOM = 5
GAP = 4
COLOURS = {1: (60, 120, 220), 2: (220, 150, 70)}
"""Blue, green, red of the outlines: anterior, posterior."""


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """The facts of a card."""

    name: str
    method: str
    shown: str
    losses: str
    data: HippocampusSet
    evaluation: Evaluation
    validation: Judged
    seed: int
    epochs: int
    planned: int
    """Epochs that the learning rate was planned for."""
    parameters: int


def write(home: Path, facts: Card, segment: Segment) -> None:
    """``CARD.md`` and a picture of each of the worst test cases, in the model's folder."""
    worst = facts.evaluation.network.worst(PICTURED)
    cases = {case.name: case for case in facts.data.test}
    for rank, name in enumerate(worst, 1):
        cv2.imwrite(str(home / f"worst_{rank}.png"), picture(cases[name], segment(cases[name])))
    (home / "CARD.md").write_text(_text(facts, worst), encoding="utf-8")


def _text(facts: Card, worst: list[str]) -> str:
    test, data = facts.evaluation.network, facts.data
    rows = [
        f"| {part} | {test.interval(part)} | {facts.evaluation.baseline.interval(part)} "
        f"| {facts.validation.interval(part)} |"
        for part in STRUCTURES
    ]
    pictures = [
        f"![the case of rank {rank} from below](worst_{rank}.png) {name}: "
        f"Dice {test.dice[name][0]:.3f}"
        for rank, name in enumerate(worst, 1)
    ]
    return f"""# {facts.name}

**What it does:** marks the anterior and the posterior hippocampus on an MR crop.

**Intended use:** {INTENDED}.

**Method:** {facts.method}; {facts.parameters} parameters. {facts.shown}.

**Data:** Medical Segmentation Decathlon, Task 04 Hippocampus (Antonelli et al. 2022,
10.1038/s41467-022-30695-9; images and labels of Vanderbilt University Medical Center),
CC BY-SA 4.0: the weights are a work derived from it and stand under the same licence.
{len(data.train)} crops to train, {len(data.validation)} to validate, {len(data.test)} to test. The
set does not name the person of a crop, so blocks of neighbouring numbers were held out whole:
two crops of one person could only be parted at the edge of a block. The interval is over crops.

**Training:** {facts.epochs} epochs of a schedule of {facts.planned}, seed {facts.seed}, by
`wetread train {facts.name} --data FOLDER --epochs {facts.planned} --stop {facts.epochs}`.
{facts.losses}; turned, scaled, bent, mirrored, other contrast and noise; averaged
weights of the last epoch. Nothing was chosen on the test crops.

**Mean Dice (95 % interval by bootstrap)**

| Structure | {facts.name}, test | mean shape of the training crops, test | validation |
|---|---|---|---|
{chr(10).join(rows)}

**Volume of the whole, found less drawn (Bland and Altman):** {test.agreement()} on the test crops;
{facts.validation.agreement()} on the validation crops, where the share from which a voxel counts
was chosen so that the mean volume is the readers'.
{_of_slices(facts.evaluation)}
{ADVICE[facts.name]}

**Limits:** reads crops of 20–80 mm a side round one hippocampus, T1-weighted, as in the set; a
whole head is refused. One scanner centre, adults; no child, no tumour, no operated brain was
seen: persons below 18 years, and crops that the atlas (hippocampus_atlas) does not know, are
refused. All crops are of one Philips 3 T scanner by the set's description: images of others are
not refused, and how well they are read was not measured. The line between anterior and posterior
is a convention of the set's readers. No measure of one answer tells a good from a less good one
among proper crops: the overlap of repeated segmentations, which reports used to give, correlates
with Dice at 0.33 (feature pyramid) and 0.46 (U-Net) on 54 held-out crops, as do entropy and
overlap with another network (all below 0.5), so none is given.

**The worst test crops** (left: reader, right: network; anterior red, posterior blue)

{(chr(10) * 2).join(pictures)}
"""


def _of_slices(evaluation: Evaluation) -> str:
    if evaluation.slices is None:
        return ""
    return f"""
Average precision of the masks in single sagittal slices, intersection over union from 0.5:
{evaluation.slices} on the test crops.
"""


def picture(case: Case, found: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Sagittal and coronal plane through the middle of the reader's mask, reader and network."""
    places = np.argwhere(case.labels > 0)
    _, row, column = np.rint(places.mean(0)).astype(int)
    planes: list[tuple[slice | int, ...]] = [
        (slice(None, None, -1), slice(None), int(column)),
        (slice(None, None, -1), int(row), slice(None)),
    ]
    tiles = [
        _outlined(case.image[plane], labels[plane])
        for plane in planes
        for labels in (case.labels, found)
    ]
    spaced = [np.pad(tile, ((0, 0), (0, GAP), (0, 0))) for tile in tiles]
    return np.hstack(spaced)


def _outlined(image: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = (image.shape[1] * ZOOM, image.shape[0] * ZOOM)
    grey = np.clip(110 + 55 * image, 0, 255).astype(np.uint8)
    large = cv2.resize(np.ascontiguousarray(grey), size, interpolation=cv2.INTER_CUBIC)
    out = cv2.cvtColor(large, cv2.COLOR_GRAY2BGR)
    for number, colour in COLOURS.items():
        mask = np.ascontiguousarray(labels == number).astype(np.uint8)
        fine = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(fine, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, outlines, -1, colour, 1)
    drawn: NDArray[np.uint8] = out.astype(np.uint8)
    return drawn


def facts_table(evaluation: Evaluation) -> Mapping[str, list[float] | int]:
    """Section ``figures`` of model.toml: mean, low and high end of the interval; limits of
    agreement of the volume, on how many crops."""
    intervals = {part: evaluation.network.interval(part) for part in STRUCTURES}
    table: dict[str, list[float] | int] = {
        f"dice_{part}": [one.value, one.low, one.high] for part, one in intervals.items()
    }
    volume = evaluation.network.agreement()
    table["volume_limits_ml"] = [round(volume.low, 2), round(volume.high, 2)]
    table["volume_crops"] = len(evaluation.network.volumes_ml)
    if evaluation.slices is not None:
        one = evaluation.slices
        table["slice_average_precision"] = [one.value, one.low, one.high]
    return table
