"""Reads the chest radiographs with opacity boxes as views of the detector, with patients and folds.

The set is that of ``classification.training.opacity_data``; the folds are the same.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from analyzers.detection.opacity_detector import SEEN
from analyzers.detection.opacity_window import Window, window
from analyzers.models.boxes import Boxes
from analyzers.radiograph.chest_frame import Image, mean_chest, register, standardised
from analyzers.radiograph.opacity_features import features
from analyzers.radiograph.training.opacity_data import FOLDS


@dataclass(frozen=True, slots=True, eq=False)
class ViewSet:
    """views: ``(n, 256, 256)``, 0–1; boxes: of each view, in its pixels; mean: the mean chest;
    features: edges and density of each chest laid on it."""

    files: tuple[str, ...]
    views: NDArray[np.float32]
    boxes: tuple[Boxes, ...]
    windows: tuple[Window, ...]
    patient: NDArray[np.str_]
    mean: Image
    features: NDArray[np.float64]

    @property
    def opacity(self) -> NDArray[np.int64]:
        """1 where there is a box."""
        return np.array([int(len(one) > 0) for one in self.boxes])

    def folds(self, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Training and test indices; no patient in both, both with like shares of opacity."""
        splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        return list(splitter.split(self.views, self.opacity, self.patient))


def read(folder: Path, mean: Image | None = None, limit: int | None = None) -> ViewSet:
    """The set in ``folder`` (``labels.csv``, ``images/``), seen through windows on the mean chest.

    The mean is made of all images without looking at a label, unless one is given. limit: only so
    many images, the first.

    Raises
    ------
    FileNotFoundError
        An image or the table is missing.
    """
    rows = dict(list(_rows(folder / "labels.csv").items())[:limit])
    shades = [_grey(folder / "images" / name) for name in rows]
    images = [standardised(shade) for shade in shades]
    laid = mean_chest(images) if mean is None else mean
    frames = [register(image, laid) for image in images]
    windows = [
        window(frame, (shade.shape[0], shade.shape[1]))
        for frame, shade in zip(frames, shades, strict=True)
    ]
    boxes = tuple(one.inward(_boxes(row)) for one, row in zip(windows, rows.values(), strict=True))
    return ViewSet(
        files=tuple(rows),
        views=np.stack([one.view(shade) for one, shade in zip(windows, shades, strict=True)]),
        boxes=boxes,
        windows=tuple(windows),
        patient=np.array([row[0]["patient"] for row in rows.values()]),
        mean=laid,
        features=np.array(
            [features(f.lay(image), SEEN) for f, image in zip(frames, images, strict=True)]
        ),
    )


def _rows(path: Path) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["file"]].append(row)
    return found


def _boxes(rows: list[dict[str, str]]) -> Boxes:
    parts = [[float(row[k]) for k in ("x", "y", "width", "height")] for row in rows if row["x"]]
    found = np.array(parts, np.float64).reshape(-1, 4)
    found[:, 2:] += found[:, :2]
    return found


def _grey(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise FileNotFoundError(path)
    return image.astype(np.float32)
