"""Writes the model card of an opacity classifier from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analyzers.models.training.figures import (
    Bin,
    Interval,
    Point,
    auc_interval,
    reliability_rows,
)
from analyzers.radiograph.training.opacity_data import OpacitySet

SHOWN = 8
TRIED = """\
**Tried and left out** (181 images of the patients that may choose): to begin at a network that had
learnt pneumonia from 3,906 radiographs of children of 28×28 pixels (PneumoniaMNIST, CC BY 4.0; AUC
0.984 on 500 others of them). As it is, it answers here with an AUC of 0.596 (0.501–0.690); a
logistic regression on its features has 0.637–0.647 by its penalty, on those of one that learnt
nothing 0.570–0.644. Fitted on from there, on two of the folds (74 images of 61 patients), it gained
+0.001 (−0.054 to +0.053) on the same seed and +0.006 (−0.029 to +0.040) on the mean of the three.
No other split into folds was tried: luck of the split is not in these figures. The stored networks
were trained by an earlier, slower form of the same program; the first of them trained anew answers
alike in its fold (AUC 0.763 and 0.767, correlation 0.995)."""


@dataclass(frozen=True, slots=True)
class BySeed:
    """each: AUC of each training over all images; choosing: over those of patients that choices of
    method looked at; gain: what all of them joined have over the mean of ``each``."""

    each: Sequence[float]
    choosing: Sequence[float]
    gain: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """The facts of a card. probability: calibrated, of patients not seen; bins: with the
    calibration itself fitted to other patients."""

    name: str
    method: str
    data: OpacitySet
    probability: NDArray[np.float64]
    point: Point
    bins: Sequence[Bin]
    reached: Interval
    untouched: Interval
    baselines: Mapping[str, Interval]
    importance: Mapping[str, float]
    seed: int
    members: Mapping[str, Interval] = field(default_factory=dict)
    """What the parts of an ensemble reach alone."""
    by_seed: BySeed | None = None


def card(facts: Card) -> str:
    """The card in Markdown."""
    data = facts.data
    patients = len(np.unique(data.patient))
    rows = [
        f"| {facts.name}, all {len(data.opacity)} images, cross-validated | {facts.reached} |",
        f"| the same, only the {data.untouched.sum()} images of patients that no choice of method "
        f"looked at | {facts.untouched} |",
        f"| the same, only the {(~data.untouched).sum()} images of the other patients | "
        f"{_of(facts, ~data.untouched)} |",
        *(f"| its member {name!r} alone | {value} |" for name, value in facts.members.items()),
        *(f"| {name} | {value} |" for name, value in facts.baselines.items()),
    ]
    return f"""# {facts.name}

**Question:** is there a lung opacity on this frontal chest radiograph?

**Intended use:** research, and ordering a reading list. Not for diagnosis; no regulatory clearance.

**Method:** the radiograph is laid on a mean chest by an affine transform; then
{facts.method}. Probability by a
sigmoid (after Platt) on answers to patients not seen.

**Data:** {len(data.opacity)} radiographs of {patients} patients ({data.opacity.sum()} images with
opacity) of the NIH ChestX-ray collection (Wang et al. 2017, DOI 10.1109/CVPR.2017.369; the
images are free to use with acknowledgement of the NIH Clinical Center) with the readings of the
RSNA pneumonia challenge (Shih et al. 2019, DOI 10.1148/ryai.2019180041; research use). Split by
patient into five folds. The mean chest is made of all images without their labels. The stored
model is fitted to all images; no figure here is of a patient that the judging learner saw.

| what | AUC (95 % by bootstrap over patients) |
|---|---|
{chr(10).join(rows)}
{_luck(facts.by_seed)}
**Shortcuts:** the patient number and the view alone already tell something (see above): sicker
patients are taken lying (AP). The classifier sees neither, but the view shows in the image.

| view | images | with opacity | AUC (95 % by bootstrap over patients) |
|---|---|---|---|
{_within(facts, True)}
{_within(facts, False)}

**Operating point:** threshold {facts.point.threshold:.3f} on the probability: sensitivity
{facts.point.sensitivity:.2f}, specificity {facts.point.specificity:.2f} (threshold cross-fitted by
patient).

**Calibration:** fifths of the images by probability, each by a sigmoid that was fitted to other
patients (exact 95 % interval of the share):

{reliability_rows(facts.bins)}

The slope of the sigmoid is the lower end of its 95 % interval, not the best estimate: the quarter
of patients that no choice looked at is by chance the easier one (above), and probabilities of new
patients would else be too sure. So the lowest fifth may hold fewer opacities than is said.
{_importance(facts)}
**Failures:** {_failures(facts)} Pictures are not shown here: the terms of the readings do not
plainly allow it.

**What it does on what it was not made for:** children by their age in the header, lateral views and
other parts by the header, images that are upside down, turned, inverted, cut or very noisy, and
those that do not fit the mean chest are refused; a heart on the other side, blur and noise beyond
all that was learned are answered with a caution. How often: the table in the card of
`radiograph_fitness`.

**Limits:** adults, frontal view, one institution, images reduced to 512×512 pixels and 8 bits
before training; a few hundred images only. Of new patients expect the lower of the figures above,
not the untouched quarter's. A reading of opacity is an opinion: readers of this set disagree with
each other.

Made by `wetread train {facts.name} --data FOLDER --out MODELS`, seed {facts.seed}.
"""


def _within(facts: Card, front: bool) -> str:
    here = facts.data.view_ap == front
    count = facts.data.opacity[here].sum()
    return f"| {'AP' if front else 'PA'} | {here.sum()} | {count} | {_of(facts, here)} |"


def _of(facts: Card, here: NDArray[np.bool_]) -> Interval:
    data = facts.data
    return auc_interval(data.opacity[here], facts.probability[here], data.patient[here])


def _importance(facts: Card) -> str:
    if not facts.importance:
        return ""
    lines = [f"| {name} | {loss:.3f} |" for name, loss in list(facts.importance.items())[:SHOWN]]
    return f"""
**What weighs** (loss of AUC on the training images when these features are shuffled together):

| features | loss |
|---|---|
{chr(10).join(lines)}
"""


def _luck(by_seed: BySeed | None) -> str:
    if by_seed is None:
        return ""
    gain = by_seed.gain
    return f"""
**Luck of one training:** {len(by_seed.each)} trainings that differ in their seed alone reach an AUC
of {_spread(by_seed.each)} over all images,
{_spread(by_seed.choosing)} over those of the other patients. The first is stored:
joined, they gain {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) on the mean of one.
{TRIED}
"""


def _spread(values: Sequence[float]) -> str:
    """Each value, their mean and standard deviation."""
    each = ", ".join(f"{value:.3f}" for value in values)
    return f"{each} (mean {np.mean(values):.3f}, standard deviation {np.std(values, ddof=1):.3f})"


def _failures(facts: Card) -> str:
    said = facts.probability >= facts.point.threshold
    positive = facts.data.opacity > 0
    missed, false = (~said & positive).sum(), (said & ~positive).sum()
    unlike = sum(frame.agreement < 0.7 for frame in facts.data.frames)
    return (
        f"{missed} opacities of {positive.sum()} missed, {false} false alarms of "
        f"{(~positive).sum()}. {unlike} images agree with the mean chest by less than 0.7."
    )
