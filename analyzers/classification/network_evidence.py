"""Where a network looked: Grad-CAM and occlusion on the framed chest. Owns no analyzer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from analyzers.classification.opacity_network import CROP, SIDE, OpacityNetwork

COVER = 16
"""Side of the square that occlusion covers, in pixels of the network's input."""


def grad_cam(networks: Sequence[OpacityNetwork], x: torch.Tensor) -> NDArray[np.float32]:
    """Mean Grad-CAM of the ensemble, ``(240, 240)`` on the framed image, 0 to 1.

    Selvaraju et al. 2017, DOI 10.1109/ICCV.2017.74, on the joined map of 12×12 places.
    x: ``(1, 1, 96, 96)``.
    """
    total = torch.zeros(1, 1, SIDE // 8, SIDE // 8, device=x.device)
    for network in networks:
        with torch.no_grad():
            joined, coarse = network.features(x)
        joined = joined.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(network.judge(joined, coarse).sum(), joined)
        weight = slope.mean((2, 3), keepdim=True)
        total += functional.relu((weight * joined.detach()).sum(1, keepdim=True))
    return on_frame(_scaled(total))


def occlusion(networks: Sequence[OpacityNetwork], x: torch.Tensor) -> NDArray[np.float32]:
    """What the mean logit loses when a square is covered by the image's mean, ``(240, 240)``.

    Zeiler & Fergus 2014, DOI 10.1007/978-3-319-10590-1_53. Positive: what lay there spoke for
    opacity.
    """
    count = SIDE // COVER
    covered = x.repeat(count * count, 1, 1, 1)
    for index in range(count * count):
        row, column = (COVER * part for part in divmod(index, count))
        covered[index, :, row : row + COVER, column : column + COVER] = x.mean()
    lost = torch.zeros(count * count, device=x.device)
    with torch.inference_mode():
        for network in networks:
            lost += (network(x).logit - network(covered).logit) / len(networks)
    return on_frame(lost.reshape(1, 1, count, count))


def on_frame(chart: torch.Tensor) -> NDArray[np.float32]:
    """A chart of the network's field ``(1, 1, n, n)``, laid on the framed image."""
    side = CROP.stop - CROP.start
    wide = functional.interpolate(chart, (side, side), mode="bilinear", align_corners=False)
    out = np.zeros((240, 240), np.float32)
    out[CROP, CROP] = wide[0, 0].detach().cpu().numpy()
    return out


def _scaled(chart: torch.Tensor) -> torch.Tensor:
    return chart / chart.max() if chart.max() > 0 else chart
