"""What the surest mark of a detector rests on. Owns no analyzer.

Covering parts of the view (occlusion) is not offered: with covers of one grey, which look like an
opacity on dark lung, it pointed at no mark more than beside it, and covers as those of the
classifier (``classification/network_evidence.py``) would take 64 passes of the detector.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList

from analyzers.detection.opacity_window import SIDE


def grad_cam(network: FasterRCNN, x: torch.Tensor) -> NDArray[np.float32]:
    """Gradient of the highest score times features, ``(256, 256)``, 0 to 1; 0 without a mark.

    Place by place (HiResCAM, Draelos & Carin 2020, arXiv 2011.08891) on the trunk's 16×16 places;
    the proposals are kept as they are. x: ``(2, 256, 256)``.
    """
    with torch.no_grad():
        features = network.backbone(x[None])
        shapes = [(SIDE, SIDE)]
        proposals, _ = network.rpn(ImageList(x[None], shapes), {"0": features})
    features = features.detach().requires_grad_(True)
    (found,), _ = network.roi_heads({"0": features}, proposals, shapes)
    if not len(found["scores"]):
        return np.zeros((SIDE, SIDE), np.float32)
    (slope,) = torch.autograd.grad(found["scores"].max(), features)
    chart = functional.relu((slope * features.detach()).sum(1, keepdim=True))
    chart = chart / chart.max() if chart.max() > 0 else chart
    wide = functional.interpolate(chart, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return np.asarray(wide[0, 0].cpu().numpy(), np.float32)
