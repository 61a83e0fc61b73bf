"""What a mark of the detectors rests on. Owns no analyzer.

Covering parts of the view (occlusion) is not offered: with covers of one grey, which look like an
opacity on dark lung, it pointed at no mark more than beside it, and covers as those of the
classifier (``classification/network_evidence.py``) would take 64 passes of the detector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList

from analyzers.detection.opacity_detector import SAME
from analyzers.detection.opacity_window import SIDE
from analyzers.models.boxes import overlaps


def grad_cam(
    networks: Sequence[FasterRCNN], x: torch.Tensor, box: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Gradient of a mark's score times features, ``(256, 256)``, 0 to 1, mean of the networks; 0
    where none marks it in the view itself.

    Place by place (HiResCAM, Draelos & Carin 2020, arXiv 2011.08891) on the trunk's 16×16 places;
    the proposals are kept as they are. x: ``(2, 256, 256)``; box: the mark, in pixels of the view.
    """
    chart = torch.stack([_chart(network, x, box) for network in networks]).mean(0)
    chart = chart / chart.max() if chart.max() > 0 else chart
    wide = functional.interpolate(chart, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return np.asarray(wide[0, 0].cpu().numpy(), np.float32)


def _chart(network: FasterRCNN, x: torch.Tensor, box: NDArray[np.float64]) -> torch.Tensor:
    """``(1, 1, 16, 16)``, at most 1: what one network's surest box on the mark rests on."""
    with torch.no_grad():
        features = network.backbone(x[None])
        shapes = [(SIDE, SIDE)]
        proposals, _ = network.rpn(ImageList(x[None], shapes), {"0": features})
    features = features.detach().requires_grad_(True)
    (found,), _ = network.roi_heads({"0": features}, proposals, shapes)
    boxes = found["boxes"].detach().cpu().numpy().astype(np.float64)
    here = torch.from_numpy(overlaps(box[None], boxes)[0] >= SAME).to(x.device)
    if not here.any():
        return torch.zeros_like(features[:, :1])
    (slope,) = torch.autograd.grad(found["scores"][here].max(), features)
    chart = functional.relu((slope * features.detach()).sum(1, keepdim=True))
    return chart / chart.max().clamp_min(torch.finfo(chart.dtype).tiny)
