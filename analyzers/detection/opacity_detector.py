"""A small Faster R-CNN (Ren et al. 2015, arXiv 1506.01497) for opacities: its network, its answer.

The trunk is opacity_cnn's, with one halving more. Knows no analyzer and no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from analyzers.detection.opacity_window import SIDE
from analyzers.models.boxes import Boxes, overlaps
from analyzers.models.stored_model import part_of
from analyzers.radiograph.opacity_features import Kind
from analyzers.radiograph.opacity_network import WIDTH, Trunk

FEATURES = WIDTH * 4
HIDDEN = 128
POOLED = 7
ANCHORS = (48, 72, 100, 144)
RATIOS = (1.0, 1.5, 2.2)
"""Height over width of an anchor."""
LEAST_SCORE = 0.01
MOST_BOXES = 8
OVERLAP = 0.3
WHOLE = 0.75
"""How much the log odds of the whole image weigh beside those of a mark."""
SEEN: tuple[Kind, ...] = ("edges", "density")
"""Features of the whole image that are weighed."""
SAME = 0.4
"""Intersection over union from which boxes of two looks at an image are one."""


class Backbone(Trunk):
    """Two channels ``(n, 2, 256, 256)`` → 64 features on 16×16 places, those of 8×8 joined in."""

    out_channels = FEATURES

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.joined(functional.avg_pool2d(self.stem(x), 2))[0]


def detector() -> FasterRCNN:
    """An unfitted detector of one kind of thing. It takes views as they are: no scaling inside."""
    return FasterRCNN(
        Backbone(),
        min_size=SIDE,
        max_size=SIDE,
        image_mean=[0.0, 0.0],
        image_std=[1.0, 1.0],
        rpn_anchor_generator=AnchorGenerator((ANCHORS,), (RATIOS,)),
        rpn_pre_nms_top_n_train=300,
        rpn_post_nms_top_n_train=80,
        rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_test=50,
        rpn_fg_iou_thresh=0.6,
        rpn_batch_size_per_image=64,
        box_roi_pool=MultiScaleRoIAlign(["0"], POOLED, 2),
        box_head=TwoMLPHead(FEATURES * POOLED**2, HIDDEN),
        box_predictor=FastRCNNPredictor(HIDDEN, 2),
        box_batch_size_per_image=24,
        box_score_thresh=LEAST_SCORE,
        box_nms_thresh=OVERLAP,
        box_detections_per_img=MOST_BOXES,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """boxes: in pixels of the view; score: 0–1, the highest first; spread: standard deviation of
    the scores over the networks, each in the view and in its mirror image."""

    boxes: Boxes
    score: NDArray[np.float64]
    spread: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one network marks on one view: boxes in pixels of the view, scores 0–1."""

    boxes: Boxes
    score: NDArray[np.float64]


def marks(networks: Sequence[FasterRCNN], x: torch.Tensor) -> Marks:
    """What fitted detectors mark on one input ``(2, 256, 256)`` and its mirror image together."""
    seen: list[Seen] = []
    with torch.inference_mode():
        for network in networks:
            straight, mirrored = (_seen(one) for one in network([x, x.flip(2)]))
            turned = mirrored.boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [SIDE, 0, SIDE, 0]
            seen += [straight, Seen(turned, mirrored.score)]
    return fused(seen)


def fused(seen: Sequence[Seen]) -> Marks:
    """The marks of several looks at one view as one set (weighted boxes fusion, Solovyev et al.
    2021, DOI 10.1016/j.imavis.2021.104117).

    From the highest score down a box joins the mark that it overlaps most, if none of its own look
    is there yet. A mark is the mean of its boxes by score; a look that does not have it counts 0.
    """
    looks = [(look, at) for look, one in enumerate(seen) for at in range(len(one.score))]
    looks.sort(key=lambda place: -seen[place[0]].score[place[1]])
    found: list[_Mark] = []
    for look, at in looks:
        box, score = seen[look].boxes[at], float(seen[look].score[at])
        near = _nearest(found, box, look)
        if near is None:
            near = _Mark(np.zeros(4), np.zeros(len(seen)))
            found.append(near)
        near.weighted += box * score
        near.scores[look] = score
    found.sort(key=lambda mark: -mark.scores.sum())
    scores = np.array([mark.scores for mark in found[:MOST_BOXES]]).reshape(-1, max(len(seen), 1))
    boxes = np.array([mark.box for mark in found[:MOST_BOXES]]).reshape(-1, 4)
    return Marks(boxes, scores.mean(1), scores.std(1))


def weighed(found: Marks, whole: float) -> Marks:
    """The marks in the light of the whole image: ``whole``, the log odds that it shows an opacity,
    raises or lowers those of each mark. Their order stays."""
    odds = log_odds(found.score) + WHOLE * whole
    return replace(found, score=1 / (1 + np.exp(-odds)))


def fitted(arrays: Mapping[str, NDArray[np.generic]], device: torch.device) -> list[FasterRCNN]:
    """The detectors of a stored model (``0.``, ``1.``, … before their weights' names; whatever has
    no such number is left out), ready to answer."""
    numbers = sorted({key.split(".")[0] for key in arrays if key[0].isdigit()})
    return [_restored(part_of(arrays, f"{number}."), device) for number in numbers]


@dataclass(slots=True, eq=False)
class _Mark:
    """weighted: sum of the boxes times their scores; scores: of each look."""

    weighted: NDArray[np.float64]
    scores: NDArray[np.float64]

    @property
    def box(self) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = self.weighted / self.scores.sum()
        return mean


def _nearest(found: Sequence[_Mark], box: NDArray[np.float64], look: int) -> _Mark | None:
    """The mark that a box of a look belongs to."""
    free = [mark for mark in found if not mark.scores[look]]
    if not free:
        return None
    overlap = overlaps(box[None], np.array([mark.box for mark in free]))[0]
    return free[int(overlap.argmax())] if overlap.max() >= SAME else None


def _seen(answer: Mapping[str, torch.Tensor]) -> Seen:
    boxes, score = (answer[key].cpu().numpy().astype(np.float64) for key in ("boxes", "scores"))
    return Seen(boxes, score)


def _restored(arrays: Mapping[str, NDArray[np.generic]], device: torch.device) -> FasterRCNN:
    network = detector()
    network.load_state_dict({key: torch.from_numpy(np.array(v)) for key, v in arrays.items()})
    return network.eval().to(device)


def log_odds(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a score, kept finite."""
    kept = np.clip(score, LEAST_SCORE / 2, 1 - 1e-4)
    return np.asarray(np.log(kept / (1 - kept)), np.float64)
