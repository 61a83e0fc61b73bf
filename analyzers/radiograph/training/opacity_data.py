"""Reads the chest radiographs with opacity readings: images, boxes, patients, folds.

The set: 245 images of the NIH ChestX-ray collection (Wang et al. 2017, DOI 10.1109/CVPR.2017.369)
with the readings and boxes of the RSNA pneumonia challenge (Shih et al. 2019,
DOI 10.1148/ryai.2019180041).
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from analyzers.radiograph.chest_frame import ChestFrame, mean_chest, register, standardised

FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class OpacitySet:
    """images: standardised ``(n, 240, 240)``; framed: the same on the mean chest; boxes: share of
    each framed pixel inside a box; view_ap: taken from the front (lying or sitting patient).
    untouched: images of the quarter of patients that no choice of method has looked at.
    """

    images: NDArray[np.float32]
    framed: NDArray[np.float32]
    boxes: NDArray[np.float32]
    frames: tuple[ChestFrame, ...]
    mean: NDArray[np.float32]
    opacity: NDArray[np.int64]
    patient: NDArray[np.str_]
    view_ap: NDArray[np.bool_]
    untouched: NDArray[np.bool_]

    def laid_on(self, mean: NDArray[np.float32]) -> NDArray[np.float32]:
        """The images laid on another mean chest, ``(n, 240, 240)``."""
        return np.stack([register(image, mean).lay(image) for image in self.images])

    def folds(self, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Training and test indices; no patient in both, both with like shares of opacity."""
        splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        return list(splitter.split(self.images, self.opacity, self.patient))


def read(folder: Path) -> OpacitySet:
    """The set in ``folder`` (``labels.csv``, ``images/``), each image laid on their mean chest.

    The mean is made of all images without looking at a label.
    """
    found = readings(folder)
    shades = [_grey(folder / "images" / name) for name in found]
    images = np.stack([standardised(shade) for shade in shades])
    mean = mean_chest(list(images))
    frames = tuple(register(image, mean) for image in images)
    boxes = [
        frame.lay(_drawn(rows, shade.shape))
        for frame, rows, shade in zip(frames, found.values(), shades, strict=True)
    ]
    patient = np.array([rows[0]["patient"] for rows in found.values()])
    return OpacitySet(
        images=images,
        framed=np.stack([f.lay(image) for f, image in zip(frames, images, strict=True)]),
        boxes=np.stack(boxes),
        frames=frames,
        mean=mean,
        opacity=np.array([int(rows[0]["opacity"]) for rows in found.values()]),
        patient=patient,
        view_ap=np.array([rows[0]["view"] == "AP" for rows in found.values()]),
        untouched=np.array([is_untouched(name) for name in patient]),
    )


def is_untouched(patient: str) -> bool:
    """A quarter of the patients, by a digest of their number: the same on every machine."""
    return hashlib.sha256(patient.encode()).digest()[0] % 4 == 0


def readings(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of ``labels.csv`` by image, in the order in which ``read`` gives the images."""
    found: dict[str, list[dict[str, str]]] = {}
    with (folder / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["file"], []).append(row)
    return found


def digest(folder: Path) -> str:
    """Which images of which patients with which readings a set holds, in whatever order."""
    rows = (row for several in readings(folder).values() for row in several)
    said = sorted({f"{row['file']}\0{row['patient']}\0{row['opacity']}" for row in rows})
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _grey(path: Path) -> NDArray[np.float32]:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise FileNotFoundError(path)
    return image.astype(np.float32)


def _drawn(rows: list[dict[str, str]], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The boxes of an image, standardised as the image is."""
    chart = np.zeros(shape[:2], np.float32)
    for row in rows:
        if row["x"]:
            x, y, width, height = (round(float(row[k])) for k in ("x", "y", "width", "height"))
            chart[y : y + height + 1, x : x + width + 1] = 1
    return standardised(chart) if chart.any() else np.zeros((240, 240), np.float32)
