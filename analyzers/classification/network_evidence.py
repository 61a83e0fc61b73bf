"""Where a network looked, on the framed chest. Owns no analyzer.

Covering parts of the image (occlusion) is not offered: a covered piece of dark lung looks like an
opacity itself. On 40 radiographs of the training set with drawn opacities its strongest place lay
in a box 13 times, that of Grad-CAM 32 times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from analyzers.classification.opacity_network import CROP, SIDE, OpacityNetwork


def grad_cam(networks: Sequence[OpacityNetwork], x: torch.Tensor) -> NDArray[np.float32]:
    """Mean Grad-CAM of the ensemble, ``(240, 240)`` on the framed image, 0 to 1.

    Selvaraju et al. 2017, DOI 10.1109/ICCV.2017.74, on the joined map of 12×12 places.
    x: ``(1, 1, 96, 96)``.
    """
    total = torch.zeros(1, 1, SIDE // 8, SIDE // 8, device=x.device)
    for network in networks:
        joined, slope = _joined_and_slope(network, x)
        weight = slope.mean((2, 3), keepdim=True)
        total += functional.relu((weight * joined).sum(1, keepdim=True))
    return on_frame(_scaled(total))


def contributions(networks: Sequence[OpacityNetwork], x: torch.Tensor) -> NDArray[np.float32]:
    """What each place adds to the mean logit, or takes from it: ``(12, 12)``, the network's field.

    Gradient times features, place by place (Draelos & Carin 2020, arXiv 2011.08891).
    """
    total = torch.zeros(SIDE // 8, SIDE // 8, device=x.device)
    for network in networks:
        joined, slope = _joined_and_slope(network, x)
        total += (slope * joined).sum(1)[0] / len(networks)
    return np.asarray(total.cpu().numpy(), np.float32)


def _joined_and_slope(
    network: OpacityNetwork, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The joined features and the gradient of the judgement by them."""
    with torch.no_grad():
        joined, coarse = network.features(x)
    followed = joined.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(network.judge(followed, coarse).sum(), followed)
    return joined, slope


def on_frame(chart: torch.Tensor) -> NDArray[np.float32]:
    """A chart of the network's field ``(1, 1, n, n)``, laid on the framed image."""
    side = CROP.stop - CROP.start
    wide = functional.interpolate(chart, (side, side), mode="bilinear", align_corners=False)
    out = np.zeros((240, 240), np.float32)
    out[CROP, CROP] = wide[0, 0].detach().cpu().numpy()
    return out


def _scaled(chart: torch.Tensor) -> torch.Tensor:
    return chart / chart.max() if chart.max() > 0 else chart
