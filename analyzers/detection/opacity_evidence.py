"""What the surest mark of a detector rests on: its score with parts of the view covered."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torchvision.models.detection import FasterRCNN

from analyzers.detection.opacity_window import SIDE

COVER = 32
"""Side of the covered square in pixels of the view."""
BATCH = 16


def occlusion(network: FasterRCNN, x: torch.Tensor) -> NDArray[np.float32]:
    """What the highest score loses when a square is covered by the mean, ``(256, 256)``.

    Zeiler & Fergus 2014, DOI 10.1007/978-3-319-10590-1_53. Positive: what lay there spoke for the
    mark. x: ``(2, 256, 256)``.
    """
    count = SIDE // COVER
    covered = x.repeat(count * count, 1, 1, 1)
    for index in range(count * count):
        row, column = (COVER * part for part in divmod(index, count))
        square = covered[index, :, row : row + COVER, column : column + COVER]
        square[:] = x.mean((1, 2), keepdim=True)
    with torch.inference_mode():
        scores = [
            _best(one)
            for first in range(0, len(covered), BATCH)
            for one in network(list(covered[first : first + BATCH]))
        ]
        whole = _best(network([x])[0])
    chart = (whole - torch.tensor(scores)).reshape(1, 1, count, count)
    wide = functional.interpolate(chart, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return np.asarray(wide[0, 0].numpy(), np.float32)


def _best(found: dict[str, torch.Tensor]) -> float:
    """The highest score of an answer; 0 where nothing is marked."""
    scores = found["scores"]
    return float(scores.max()) if len(scores) else 0.0
