"""Writes the model card of multimodal_classifier from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.classification.multimodal_input import VALUES
from analyzers.classification.training.multimodal_data import MultimodalSet
from analyzers.models.training.figures import (
    Bin,
    Interval,
    Point,
    auc_gain,
    auc_interval,
    reliability_rows,
)

WHOLE, ALONE = "all that is there", "the radiograph alone"


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """The facts of a card. known: images whose row gives the value; scores and reached: by what
    was shown; probability: calibrated, of patients not seen; bins: with the calibration itself
    fitted to other patients."""

    name: str
    data: MultimodalSet
    known: Mapping[str, int]
    scores: Mapping[str, NDArray[np.float64]]
    reached: Mapping[str, Interval]
    baselines: Mapping[str, Interval]
    probability: NDArray[np.float64]
    point: Point
    bins: Sequence[Bin]
    seed: int


def card(facts: Card) -> str:
    """The card in Markdown."""
    images = facts.data.images
    count, patients = len(images.opacity), len(np.unique(images.patient))
    both = int((facts.data.second >= 0).sum())
    given = [f"{VALUES[name]} of {n}" for name, n in facts.known.items() if n]
    absent = [VALUES[name] for name, n in facts.known.items() if not n]
    untaught = (
        f"No image came with {', '.join(absent)}: the network takes them, but they have no weight, "
        "and the report says so. "
        if absent
        else ""
    )
    return f"""# {facts.name}

**Question:** is there a lung opacity on this frontal chest radiograph, given a second radiograph
and what the header says of the person (age, sex, weight, height) and of the view (AP or PA)?

**Intended use:** research; an example of a classifier of images and header values that may be
missing. Not for diagnosis; no regulatory clearance.

**Method:** each radiograph is laid on a mean chest; edges and density as principal components
(90 % of the variance, each of spread 1). Three networks add a straight way (each input weighs by
itself) and a crossed way (one hidden layer over both images and all values). Whether an input is
there is an input too, and inputs are hidden at random in training. Probability by Platt's sigmoid
on answers to patients not seen.

**Data:** {count} radiographs of {patients} patients ({images.opacity.sum()} images with opacity) of
the NIH ChestX-ray collection (Wang et al. 2017, DOI 10.1109/CVPR.2017.369; free to use with
acknowledgement of the NIH Clinical Center) with the readings of the RSNA pneumonia challenge (Shih
et al. 2019, DOI 10.1148/ryai.2019180041; research use). Split by patient into five folds.

- **The set has no second series of one study.** In its place stands another radiograph of the same
  person, from another day, for {both} of the images; the others have none. What a second
  radiograph of the same study adds has not been measured.
- Values of the header: {", ".join(given) or "none"} images. {untaught}

| shown | AUC (95 % by bootstrap over patients) |
|---|---|
{chr(10).join(f"| {name} | {value} |" for name, value in facts.reached.items())}
{_rows_with_second(facts)}
{chr(10).join(f"| {name} | {value} |" for name, value in facts.baselines.items())}

**What joining brings here:** AUC with all inputs less AUC of the radiograph alone, on the same
images: {gain(facts)}. {_said(facts)}

**Operating point:** threshold {facts.point.threshold:.3f} on the probability: sensitivity
{facts.point.sensitivity:.2f}, specificity {facts.point.specificity:.2f} (threshold cross-fitted by
patient).

**Calibration:** fifths of the images by probability, each by a sigmoid that was fitted to other
patients (exact 95 % interval of the share):

{reliability_rows(facts.bins)}

**What it does on what it was not made for:** children by their age in the header, lateral views and
other parts by the header, images that are upside down, turned, inverted, cut or very noisy, and
those that do not fit the mean chest are refused; a heart on the other side, blur and noise beyond
all that was learned are answered with a caution. How often: the table in the card of
`radiograph_fitness`.

**Limits:** adults, frontal view, one institution, images reduced to 512×512 pixels and 8 bits
before training; a few hundred images only. The view tells of how sick the person is rather than
of the lungs: the network may lean on it. A radiograph that is no frontal chest is left out, and
the report says so. That missing inputs and crossed effects are learnt where there are some is
tested on made-up cases.

Made by `wetread train {facts.name} --data FOLDER`, seed {facts.seed}.
"""


def _rows_with_second(facts: Card) -> str:
    images, here = facts.data.images, facts.data.second >= 0
    rows = []
    for name in (WHOLE, "without the second radiograph"):
        truth, patient = images.opacity[here], images.patient[here]
        if 0 < truth.sum() < len(truth):
            value = auc_interval(truth, facts.scores[name][here], patient)
            rows.append(f"| {name}, the {here.sum()} images that have a second | {value} |")
    return "\n".join(rows)


def gain(facts: Card) -> Interval:
    """The difference of the AUCs with its 95 % interval; whole patients are drawn for both."""
    images = facts.data.images
    return auc_gain(images.opacity, facts.scores[WHOLE], facts.scores[ALONE], images.patient)


def _said(facts: Card) -> str:
    if gain(facts).low > 0:
        return "The gain is beyond chance."
    return "That is no gain beyond chance: on this set the radiograph alone does as well."
