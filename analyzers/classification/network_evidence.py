"""Where a network looked, on the framed chest. Owns no analyzer.

The maps show what a score rests on; they do not find opacities. On the 94 radiographs of the
training set with drawn ones (a quarter of the field, on average) the strongest place lay in a box
65 times by Grad-CAM and 68 times by occlusion; the place that lies in most boxes does so 78 times.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from analyzers.radiograph.chest_frame import SIZE
from analyzers.radiograph.opacity import on_frame
from analyzers.radiograph.opacity_network import CROP, SIDE, OpacityNetwork, network_input

COVER = 8.0
"""Standard deviation of the spot that occlusion covers, in pixels of the network's input."""
COVER_STEP = 12
"""From one spot to the next, in the same pixels."""
AROUND = 24.0
"""Standard deviation of the surroundings whose brightness a cover takes."""


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
    return on_frame(_scaled(total)[0, 0].cpu().numpy(), CROP)


def contributions(networks: Sequence[OpacityNetwork], x: torch.Tensor) -> NDArray[np.float32]:
    """What each place adds to the mean logit, or takes from it: ``(12, 12)``, the network's field.

    Gradient times features, place by place (Draelos & Carin 2020, arXiv 2011.08891).
    """
    total = torch.zeros(SIDE // 8, SIDE // 8, device=x.device)
    for network in networks:
        joined, slope = _joined_and_slope(network, x)
        total += (slope * joined).sum(1)[0] / len(networks)
    return np.asarray(total.cpu().numpy(), np.float32)


def occlusion(
    networks: Sequence[OpacityNetwork], x: torch.Tensor, mean_chest: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What the mean logit loses where a place is covered, ``(240, 240)`` on the framed image.

    Zeiler & Fergus 2014, DOI 10.1007/978-3-319-10590-1_53. Positive: what lies there speaks for
    opacity. A cover of one grey would look like an opacity itself, on dark lung: this one is a soft
    spot of the mean chest, as bright as what surrounds it. mean_chest: a square of the frame.
    """
    covers = _spots(COVER).to(x.device)
    around = _spots(AROUND).to(x.device) * (1 - covers)
    usual = _as_bright(mean_chest, x)
    lift = (around * (x - usual)).sum((2, 3), keepdim=True) / around.sum((2, 3), keepdim=True)
    covered = x * (1 - covers) + (usual + lift) * covers
    lost = torch.zeros(len(covers), device=x.device)
    with torch.inference_mode():
        for network in networks:
            lost += (network(x).logit - network(covered).logit) / len(networks)
    chart = (lost[:, None, None, None] * covers).sum(0) / covers.sum(0)
    return on_frame(chart[0].cpu().numpy(), CROP)


def _spots(deviation: float) -> torch.Tensor:
    """Gaussian spots of height 1 on a grid over the network's field: ``(n, 1, 96, 96)``."""
    centres = torch.arange(COVER_STEP / 2, SIDE, COVER_STEP)
    across = torch.exp(-0.5 * ((torch.arange(SIDE) - centres[:, None]) / deviation) ** 2)
    spots = across[:, None, :, None] * across[None, :, None, :]
    return spots.reshape(-1, 1, SIDE, SIDE)


def _as_bright(mean_chest: NDArray[np.float32], x: torch.Tensor) -> torch.Tensor:
    """The network's field of the mean chest, with mean and contrast of an image's."""
    framed = cv2.resize(mean_chest, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    field = network_input(np.asarray(framed, np.float32)[None]).to(x.device)
    return (field - field.mean()) / field.std() * x.std() + x.mean()


def _joined_and_slope(
    network: OpacityNetwork, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The joined features and the gradient of the judgement by them."""
    with torch.no_grad():
        joined, coarse = network.features(x)
    followed = joined.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(network.judge(followed, coarse).sum(), followed)
    return joined, slope


def _scaled(chart: torch.Tensor) -> torch.Tensor:
    return chart / chart.max() if chart.max() > 0 else chart
