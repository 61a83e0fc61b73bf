"""Writes the model card of opacity_faster_rcnn from its figures, and draws where it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.detection.opacity_detector import WHOLE, Marks
from analyzers.detection.opacity_window import SIDE
from analyzers.detection.training.opacity_views import ViewSet
from analyzers.models.boxes import Boxes
from analyzers.models.learners import Calibration
from analyzers.models.training import detection_figures as figures
from analyzers.models.training.detection_figures import BoxPoint, Judged
from analyzers.models.training.figures import Bin, Interval, Point, reliability_rows
from analyzers.radiograph.training.opacity_data import is_untouched

GAP = 8
HISTORY = """**What this form was chosen by:** the three quarters of the patients that are there for
choosing (average precision). One training with augmentation as above: last weights 0.337, mean
weights 0.353, both 0.368; each also 8 % smaller and 9 % larger: 0.376, 0.377, 0.374, for three
times the work: not taken. Beside them the whole image with a weight of 0.25, 0.5, 0.75 and 1:
0.423, 0.441, 0.441, 0.429; `opacity_ensemble` in the place of its linear member: 0.416, 0.431,
0.433, 0.427. The weight is that of the best average precision and, where they are equal, the best
AUC. Chosen anew in every fold by the other folds, it was 0.5 or 0.75, and the average precision
over all images 0.453: expect that rather than the figure above. Trainings that differ in their seed
alone differed by 0.03 to 0.05 before, and only one of this form was made.

**Before,** three detectors that differed in their seed alone, with milder augmentation, without the
whole image: one 0.374, 0.390 and 0.381, three joined 0.405; over all images 0.420 (0.320–0.532)
with an AUC of 0.772. So stronger augmentation did not help by itself in so many epochs. Three such
detectors beside the whole image were not tried."""
COLOURS = ((0, 200, 255), (60, 60, 255), (255, 160, 40))
"""Of the boxes, the missed and the false marks in the picture; BGR."""


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """The facts of a card; found: marks of patients not seen, by the detectors and the judge of the
    whole image; unweighed: without that judge; single: by each detector; prior: by mean boxes.

    box: log odds of a score → chance that the mark is right; present: of the highest → chance that
    the image shows an opacity; image: the threshold on that; bins: that
    chance with the sigmoid fitted to other patients.
    """

    data: ViewSet
    found: Sequence[Judged]
    unweighed: Sequence[Judged]
    single: Sequence[Sequence[Judged]]
    marks: Sequence[Marks]
    prior: Sequence[Judged]
    point: BoxPoint
    box: Calibration
    present: Calibration
    image: Point
    auc: Interval
    bins: Sequence[Bin]
    parameters: int
    """Of one detector."""
    seed: int
    epochs: int
    begun: bool
    """Whether the trunk began at the weights of opacity_cnn."""

    def interval(
        self,
        images: Sequence[Judged],
        figure: Callable[[Sequence[Judged]], float],
        which: NDArray[np.bool_] | None = None,
    ) -> Interval:
        """A figure of all images, or of some, with its 95 % interval over patients."""
        here = np.ones(len(images), np.bool_) if which is None else which
        chosen = [images[int(index)] for index in np.flatnonzero(here)]
        return figures.interval(chosen, self.data.patient[here], figure)


def card(facts: Card) -> str:
    """The card in Markdown."""
    data, point = facts.data, facts.point
    patients, boxes = len(np.unique(data.patient)), sum(len(one) for one in data.boxes)
    untouched = np.array([is_untouched(name) for name in data.patient])
    alone = facts.interval(facts.found, figures.average_precision, untouched)
    return f"""# opacity_faster_rcnn

**Question:** where on this frontal chest radiograph are lung opacities?

**Intended use:** research, and pointing a reader at places. Not for diagnosis; no regulatory
clearance.

**Method:** the lungs are found by laying the radiograph on a mean chest; two Faster R-CNN (Ren et
al. 2015, arXiv 1506.01497; torchvision) of {facts.parameters} parameters each see them at
{SIDE}×{SIDE} pixels and mark boxes. They come of one training: the weights of its last step, and
the mean of its last steps (Polyak & Juditsky 1992, DOI 10.1137/0330046). Boxes of both, of the
image and its mirror image, are joined (weighted boxes fusion, Solovyev et al. 2021, DOI
10.1016/j.imavis.2021.104117) and their scores averaged; their standard deviation is reported as
spread. Then a logistic regression on the principal components of edges and density of the whole
chest (the linear member of `opacity_ensemble`) has its say: {WHOLE} of its calibrated log odds that
there is an opacity at all are added to those of each mark. {_start(facts)}
{facts.epochs} epochs; halves of two chests joined, moved, turned, scaled, mirrored, other exposure,
gamma, contrast and noise.

**Data:** {len(data.views)} radiographs of {patients} patients ({data.opacity.sum()} with {boxes}
boxes) of the NIH ChestX-ray collection (Wang et al. 2017, DOI 10.1109/CVPR.2017.369; the images are
free to use with acknowledgement of the NIH Clinical Center) with the boxes of the RSNA pneumonia
challenge (Shih et al. 2019, DOI 10.1148/ryai.2019180041; research use). Split by patient into five
folds. The mean chest is made of all images without their labels. What is stored is fitted to all
images; no figure here is of a patient that the judging detectors, or the judge of the whole image,
saw: all were fitted anew in every fold.

A mark is right when its intersection over union with a free box is at least {figures.OVERLAP}.
Figures with 95 % intervals by bootstrap over patients:

| what | opacity_faster_rcnn | mean box of each side, score as often as there is one |
|---|---|---|
{_row(facts, "average precision", figures.average_precision)}
{chr(10).join(_froc(facts, rate) for rate in figures.RATES)}

Average precision of each detector without the whole image: {_alone(facts)}; of both joined without
it: {_plain(facts)}. The whole image adds {_gain(facts)}.
Average precision over the {untouched.sum()} images of patients by whom nothing was chosen:
{alone}; without the whole image {_plain(facts, untouched)}.
Highest score of an image as an answer to "is there an opacity": AUC {facts.auc}.
{_verdict(facts)}

**Operating points:** boxes are reported from score {point.threshold:.3f} on:
{point.sensitivity:.2f} of the boxes found with {point.false_per_image:.2f} false marks per image
(threshold cross-fitted by patient). An opacity is called present from probability
{facts.image.threshold:.3f} on: sensitivity {facts.image.sensitivity:.2f}, specificity
{facts.image.specificity:.2f}. Scores are turned into the chance that a mark is right by Platt's
sigmoid on marks in patients not seen.

**Calibration:** fifths of the images by probability, each by a sigmoid that was fitted to other
patients (exact 95 % interval of the share):

{reliability_rows(facts.bins)}

The slope of that sigmoid is the lower end of its 95 % interval: low probabilities would else be too
sure.

{HISTORY}

**Failures:** {_failures(facts)}

![where boxes lie, where they are missed, where marks are false](failures.png)

From the left: the readers' boxes, those missed, the false marks, each laid over the mean of all
views; the strongest colour stands for {_most(facts)} boxes. Single radiographs are not shown: the
terms of the readings do not plainly allow it.

**What it does on what it was not made for:** children by their age in the header, lateral views and
other parts by the header, images that are upside down, turned, inverted, cut or very noisy, and
those that do not fit the mean chest are refused; a heart on the other side, blur and noise beyond
all that was learned are answered with a caution. How often: the table in the card of
`radiograph_fitness`.

**Limits:** adults, frontal view, one institution, images reduced to 512×512 pixels and 8 bits
before training; a few hundred images only, so the intervals are wide. Boxes are rough: readers of
this set disagree with each other. Opacities beyond the window on the lungs, lateral views, children
and cropped chests were not seen; images that do not fit the mean chest are refused. A mark says
nothing of the cause.

Made by `wetread train opacity_faster_rcnn --data FOLDER`, seed {facts.seed}.
"""


def _start(facts: Card) -> str:
    if not facts.begun:
        return "They began at random numbers."
    return (
        "The trunks began at the weights\nof `opacity_cnn` (trained on the same images; in every "
        "fold at the network that did not see the\nfold's patients), the rest at random numbers."
    )


def _alone(facts: Card) -> str:
    return ", ".join(f"{figures.average_precision(one):.3f}" for one in facts.single)


def _plain(facts: Card, which: NDArray[np.bool_] | None = None) -> Interval:
    return facts.interval(facts.unweighed, figures.average_precision, which)


def _gain(facts: Card) -> str:
    """What the whole image adds to the average precision, over the same patients."""

    def gain(pairs: Sequence[tuple[Judged, Judged]]) -> float:
        with_it, without = zip(*pairs, strict=True)
        return figures.average_precision(with_it) - figures.average_precision(without)

    pairs = list(zip(facts.found, facts.unweighed, strict=True))
    found = figures.interval(pairs, facts.data.patient, gain)
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def picture(facts: Card) -> NDArray[np.uint8]:
    """Boxes to find, missed ones and false marks as clouds over the mean of the views."""
    ground = np.repeat((facts.data.views.mean(0) * 150).astype(np.float32)[..., None], 3, 2)
    groups = _groups(facts)
    tiles = [
        np.pad(_clouded(ground, boxes, colour, _most(facts)), ((0, 0), (0, GAP), (0, 0)))
        for boxes, colour in zip(groups, COLOURS, strict=True)
    ]
    return np.asarray(np.hstack(tiles)[:, :-GAP], np.uint8)


def _clouded(
    ground: NDArray[np.float32], boxes: Boxes, colour: tuple[int, int, int], most: int
) -> NDArray[np.uint8]:
    share = (_cloud(boxes) / most)[..., None] * 0.8
    mixed = ground * (1 - share) + np.array(colour, np.float32) * share
    return np.asarray(cv2.resize(mixed, None, fx=1.25, fy=1.25), np.uint8)


def _cloud(boxes: Boxes) -> NDArray[np.float32]:
    """How many boxes cover each pixel."""
    out = np.zeros((SIDE, SIDE), np.float32)
    for left, top, right, bottom in np.rint(boxes).astype(int):
        out[top:bottom, left:right] += 1
    return out


def _most(facts: Card) -> int:
    return max(1, *(int(_cloud(boxes).max()) for boxes in _groups(facts)))


def _groups(facts: Card) -> tuple[Boxes, Boxes, Boxes]:
    """All boxes, those missed at the operating point, and the false marks."""
    missed, false = [], []
    for mark, truth in zip(facts.marks, facts.data.boxes, strict=True):
        said = mark.score >= facts.point.threshold
        right = figures.judged(mark.boxes[said], mark.score[said], truth)
        false.append(mark.boxes[said][~right.right])
        missed.append(truth[~right.taken])
    return np.concatenate(facts.data.boxes), np.concatenate(missed), np.concatenate(false)


def _failures(facts: Card) -> str:
    boxes, missed, false = _groups(facts)
    sides = [np.sqrt((b[:, 2:] - b[:, :2]).prod(1)) for b in (boxes, missed)]
    small = np.quantile(sides[0], 0.25)
    on_clear = sum(
        int((mark.score >= facts.point.threshold).sum())
        for mark, truth in zip(facts.marks, facts.data.boxes, strict=True)
        if not len(truth)
    )
    return (
        f"{len(missed)} boxes of {len(boxes)} missed at that threshold; of the smallest quarter "
        f"{(sides[1] <= small).sum()} of {(sides[0] <= small).sum()}. {len(false)} false marks, "
        f"{on_clear} of them in images without opacity."
    )


def _row(facts: Card, name: str, figure: Callable[[Sequence[Judged]], float]) -> str:
    found, prior = (facts.interval(one, figure) for one in (facts.found, facts.prior))
    return f"| {name} | {found} | {prior} |"


def _froc(facts: Card, rate: float) -> str:
    def at(images: Sequence[Judged]) -> float:
        return figures.sensitivity_at(images, rate)

    return _row(facts, f"boxes found at {rate:g} false marks per image", at)


def _verdict(facts: Card) -> str:
    found, prior = (
        facts.interval(one, figures.average_precision) for one in (facts.found, facts.prior)
    )
    if found.low > prior.high:
        return "The detectors are above the mean boxes."
    return "The detectors are **not** shown to be above the mean boxes: the intervals overlap."
