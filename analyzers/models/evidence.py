"""What a segmentation rests on and where it is unsure, for any network with an encoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

LEVEL = 2
"""The size of features that evidence is read at: a quarter of the full one."""


def entropy(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy of the class shares ``(classes, z, y, x)``, 0 (sure) to 1 (all classes alike).

    Of the mean over test-time variants it is the uncertainty that Wang et al. 2019 found to tell
    wrong voxels (10.1016/j.neucom.2019.01.103).
    """
    kept = np.clip(shares, 1e-7, 1.0)
    out: NDArray[np.float32] = -(kept * np.log(kept)).sum(0) / np.log(len(shares))
    return np.clip(out, 0.0, 1.0).astype(np.float32)


def grad_cam(
    network: nn.Module, image: NDArray[np.float32], multiple: int, device: str
) -> NDArray[np.float32]:
    """Gradient of the marked voxels' logits times features, ``(z, y, x)``, 0 to 1.

    Seg-Grad-CAM (Vinogradova et al. 2020, 10.1609/aaai.v34i10.7244), place by place (Draelos &
    Carin 2020, arXiv 2011.08891); 0 everywhere where nothing is marked. The image is seen whole.
    """
    spare = [-size % multiple for size in image.shape]
    padded = np.pad(image, [(0, more) for more in spare])
    kept: list[torch.Tensor] = []

    def keep(_: nn.Module, __: object, features: list[torch.Tensor]) -> None:
        kept.append(features[LEVEL])

    network = network.to(device)
    hook = network.get_submodule("encoder").register_forward_hook(keep)
    try:
        logits = network(torch.from_numpy(padded[None, None]).to(device))
    finally:
        hook.remove()
    marked = logits.argmax(1, keepdim=True)
    if not marked.any():
        return np.zeros(image.shape, np.float32)
    aim = (logits.gather(1, marked) - logits[:, :1]).sum()
    (slope,) = torch.autograd.grad(aim, kept[0])
    chart = functional.relu((slope * kept[0].detach()).sum(1, keepdim=True))
    wide = functional.interpolate(chart, padded.shape, mode="trilinear", align_corners=False)
    inside = wide[0, 0].cpu().numpy()[tuple(slice(0, size) for size in image.shape)]
    highest = float(inside.max())
    return np.asarray(inside / highest if highest > 0 else inside, np.float32)
