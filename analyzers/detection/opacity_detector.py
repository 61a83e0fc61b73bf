"""A small Faster R-CNN (Ren et al. 2015, arXiv 1506.01497) for opacities: its network, its answer.

The trunk is opacity_cnn's, with one halving more. Knows no analyzer and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign, box_iou

from analyzers.detection.opacity_window import SIDE
from analyzers.models.boxes import Boxes
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
SAME = 0.4
"""Intersection over union from which boxes of an image and its mirror image are one."""


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
        box_batch_size_per_image=48,
        box_score_thresh=LEAST_SCORE,
        box_nms_thresh=OVERLAP,
        box_detections_per_img=MOST_BOXES,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """boxes: in pixels of the view; score: 0–1, the highest first; spread: half the difference of
    the scores in the view and in its mirror image."""

    boxes: Boxes
    score: NDArray[np.float64]
    spread: NDArray[np.float64]


def marks(network: FasterRCNN, x: torch.Tensor) -> Marks:
    """What a fitted detector marks on one input ``(2, 256, 256)`` and its mirror image together."""
    with torch.inference_mode():
        straight, mirrored = network([x, x.flip(2)])
    turned = mirrored["boxes"][:, [2, 1, 0, 3]] * torch.tensor([-1.0, 1.0, -1.0, 1.0]).to(x)
    turned = turned + torch.tensor([SIDE, 0.0, SIDE, 0.0]).to(x)
    return _merged(straight["boxes"], straight["scores"], turned, mirrored["scores"])


def _merged(
    boxes: torch.Tensor, scores: torch.Tensor, other: torch.Tensor, others: torch.Tensor
) -> Marks:
    """Boxes of two views paired by overlap; a box without a partner has score 0 in the other."""
    free = torch.ones(len(other), dtype=torch.bool)
    overlap = box_iou(boxes, other).cpu()
    boxes, scores, other, others = (part.double().cpu() for part in (boxes, scores, other, others))
    found: list[tuple[torch.Tensor, float, float]] = []
    for index, (box, score) in enumerate(zip(boxes, scores.tolist(), strict=True)):
        near = overlap[index] * free
        if len(near) and near.max() >= SAME:
            partner = int(near.argmax())
            free[partner] = False
            second = float(others[partner])
            joined = (box * score + other[partner] * second) / (score + second)
            found.append((joined, (score + second) / 2, abs(score - second) / 2))
        else:
            found.append((box, score / 2, score / 2))
    alone = zip(other[free], others[free].tolist(), strict=True)
    found += [(box, score / 2, score / 2) for box, score in alone]
    found.sort(key=lambda one: -one[1])
    found = found[:MOST_BOXES]
    return Marks(
        np.array([one[0].numpy() for one in found]).reshape(-1, 4),
        np.array([one[1] for one in found]),
        np.array([one[2] for one in found]),
    )


def fitted(arrays: Mapping[str, NDArray[np.generic]], device: torch.device) -> FasterRCNN:
    """A detector with stored weights, ready to answer."""
    network = detector()
    network.load_state_dict({key: torch.from_numpy(np.array(v)) for key, v in arrays.items()})
    return network.eval().to(device)


def log_odds(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a score, kept finite."""
    kept = np.clip(score, LEAST_SCORE / 2, 1 - 1e-4)
    return np.asarray(np.log(kept / (1 - kept)), np.float64)
