"""A small Mask R-CNN (He et al. 2017, 10.1109/ICCV.2017.322) that reads a volume slice by slice.

It marks each part once in every sagittal slice; what it marks is stacked again to fields over the
volume. Knows no analyzer and no file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn
from torch.nn import functional
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from analyzers.contract import reached

ZOOM = 3
"""Pixels of the network for a voxel's side."""
MULTIPLE = 8
"""A slice is padded to sides, in pixels, that are multiples of it."""
CHANNELS = 48
HIDDEN = 128
BOX_POOLED, MASK_POOLED = 7, 14
ANCHORS = ((24, 40), (64, 96))
"""Pixels, on features of a quarter and an eighth of the size."""
RATIOS = (0.5, 0.8, 1.25)
"""Height over width of an anchor."""
LEAST_SCORE = 0.05
MOST_MARKS = 4
SLICES_AT_ONCE = 16
LEAST_SHARE = 0.43
"""Of a field, from which a voxel belongs to its part; chosen on validation crops, where the mean
volume is then that of the readers."""
SMOOTHED = 1.3
"""Standard deviation, in slices, by which neighbours are averaged; chosen likewise."""

Targets = list[dict[str, torch.Tensor]]


class _Block(nn.Sequential):
    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        conv = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        super().__init__(conv, nn.GroupNorm(8, out), nn.ReLU(inplace=True))


class _Pyramid(nn.Module):
    """Three channels → features of a quarter and an eighth of the size (10.1109/CVPR.2017.106)."""

    out_channels = CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_Block(3, 16, 2), _Block(16, 24))
        self.fine = nn.Sequential(_Block(24, 48, 2), _Block(48, 48))
        self.coarse = nn.Sequential(_Block(48, 72, 2), _Block(72, 72), _Block(72, 72))
        self.lateral = nn.Conv2d(48, CHANNELS, 1)
        self.top = nn.Conv2d(72, CHANNELS, 1)
        self.smooth = _Block(CHANNELS, CHANNELS)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        quarter = self.fine(self.stem(x))
        top = self.top(self.coarse(quarter))
        wide = functional.interpolate(top, quarter.shape[2:], mode="nearest")
        return {"0": self.smooth(self.lateral(quarter) + wide), "1": top}


class _AsTheyAre(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision is untyped
    """Slices come enlarged, normalised, and of one size."""

    def __init__(self) -> None:
        super().__init__(1, 1, [0.0], [1.0])

    def forward(
        self, images: list[torch.Tensor], targets: Targets | None = None
    ) -> tuple[ImageList, Targets | None]:
        batch = torch.stack(images)
        sizes = [(int(batch.shape[2]), int(batch.shape[3]))] * len(images)
        return ImageList(batch, sizes), targets


def mask_rcnn(classes: int) -> MaskRCNN:
    """An untrained network; its first weights follow torch's generator. classes: and background."""
    network = MaskRCNN(
        _Pyramid(),
        rpn_anchor_generator=AnchorGenerator(ANCHORS, (RATIOS,) * len(ANCHORS)),
        rpn_pre_nms_top_n_train=200,
        rpn_post_nms_top_n_train=60,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=30,
        rpn_batch_size_per_image=64,
        box_roi_pool=MultiScaleRoIAlign(["0", "1"], BOX_POOLED, 2),
        box_head=TwoMLPHead(CHANNELS * BOX_POOLED**2, HIDDEN),
        box_predictor=FastRCNNPredictor(HIDDEN, classes),
        box_batch_size_per_image=32,
        box_score_thresh=LEAST_SCORE,
        box_detections_per_img=MOST_MARKS,
        mask_roi_pool=MultiScaleRoIAlign(["0", "1"], MASK_POOLED, 2),
        mask_head=MaskRCNNHeads(CHANNELS, (CHANNELS,) * 3, 1),
        mask_predictor=MaskRCNNPredictor(CHANNELS, CHANNELS, classes),
    )
    network.transform = _AsTheyAre()
    return network


@dataclass(frozen=True, slots=True, eq=False)
class SliceMark:
    """One part in one slice. mask: ``(z, y)``, share of each voxel, 0–1."""

    column: int
    part: int
    score: float
    mask: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """fields: ``(classes, z, y, x)``, score times mask, that of the background 0."""

    fields: NDArray[np.float32]
    marks: tuple[SliceMark, ...]


def enlarged(volume: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Sagittal slices ``(n, 3, height, width)`` of ``(z, y, x)``: each between its neighbours."""
    last = volume.shape[2] - 1
    near = torch.stack([(columns + step).clamp(0, last) for step in (-1, 0, 1)], 1)
    slices = volume[:, :, near].permute(2, 3, 0, 1)
    large = functional.interpolate(slices, scale_factor=ZOOM, mode="bilinear", align_corners=False)
    spare = [-side % MULTIPLE for side in large.shape[2:]]
    return functional.pad(large, (0, spare[1], 0, spare[0]))


def labelled(fields: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The part of each voxel, 0 where no field reaches ``LEAST_SHARE``."""
    best: NDArray[np.uint8] = fields.argmax(0).astype(np.uint8)
    return np.where(fields.max(0) >= LEAST_SHARE, best, 0).astype(np.uint8)


def marked(network: MaskRCNN, image: NDArray[np.float32], classes: int, device: str) -> Marked:
    """What a trained network marks in an image ``(z, y, x)`` at 1 mm, and in its mirror image.

    The marks are those of the image itself; the fields are means of both.
    """
    network = network.to(device).eval()
    straight, marks = _read(network, image, classes, device)
    mirrored, _ = _read(network, np.ascontiguousarray(image[..., ::-1]), classes, device)
    fields = (straight + mirrored[..., ::-1]) / 2
    smooth: NDArray[np.float32] = ndimage.gaussian_filter1d(fields, SMOOTHED, axis=3)
    return Marked(smooth, tuple(marks))


def _read(
    network: MaskRCNN, image: NDArray[np.float32], classes: int, device: str
) -> tuple[NDArray[np.float32], list[SliceMark]]:
    volume = torch.from_numpy(image).to(device)
    fields = np.zeros((classes, *image.shape), np.float32)
    marks: list[SliceMark] = []
    for start in range(0, image.shape[2], SLICES_AT_ONCE):
        reached(start, image.shape[2])
        columns = torch.arange(start, min(start + SLICES_AT_ONCE, image.shape[2]))
        with torch.inference_mode():
            found = network(list(enlarged(volume, columns.to(device))))
        for column, one in zip(columns.tolist(), found, strict=True):
            marks += _marks_of(column, one, image.shape)
    for mark in marks:
        place = fields[mark.part, :, :, mark.column]
        np.maximum(place, mark.score * mark.mask, out=place)
    return fields, marks


def _marks_of(
    column: int, found: dict[str, torch.Tensor], shape: tuple[int, ...]
) -> list[SliceMark]:
    small = functional.avg_pool2d(found["masks"], ZOOM)[:, 0, : shape[0], : shape[1]]
    each = zip(found["labels"].tolist(), found["scores"].tolist(), small, strict=True)
    return [SliceMark(column, part, score, mask.cpu().numpy()) for part, score, mask in each]
