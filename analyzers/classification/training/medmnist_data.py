"""Reads archives of MedMNIST (``.npz``; no pickle): parts to learn from, a part to be judged on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PARTS = {"test": "the official test part", "val": "the official validation part"}


class UnreadableArchive(ValueError):
    """The file is no MedMNIST archive of one grey image and one label of 0 or 1 a row."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Images ``(n, 28, 28)`` uint8 and their labels, 0 or 1; ``part`` says which, in words."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    part: str

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, which: NDArray[np.generic]) -> LabelledImages:
        """The images of a mask or of indices."""
        return LabelledImages(self.images[which], self.labels[which], self.part)


@dataclass(frozen=True, slots=True, eq=False)
class SmallSet:
    """A part to learn from and one held out, no image in both.

    doubled, shared: images left out because they stood twice in the training part (all copies
    where their labels differ), or in the training part as well as in the held one.
    """

    learnt: LabelledImages
    held: LabelledImages
    doubled: int
    shared: int


def read(path: Path) -> SmallSet:
    """Training and validation part of an archive, without doubles.

    Raises
    ------
    UnreadableArchive
    """
    given, held = _part(path, "train"), _part(path, "val")
    learnt = given.only(_single(given))
    known = {image.tobytes() for image in given.images}
    fresh = np.array([image.tobytes() not in known for image in held.images], np.bool_)
    doubled, shared = len(given) - len(learnt), int((~fresh).sum())
    return SmallSet(learnt, held.only(fresh), doubled, shared)


def judged_part(name: str, given: Path) -> LabelledImages:
    """The part of an archive to judge a model on: the test part where it is there, else the
    validation part without the images that the archive's training part holds too.

    given: the archive, or a folder with ``<name>.npz``, ``<name>_test.npz`` or ``<name>_dev.npz``.

    Raises
    ------
    UnreadableArchive
    """
    path = archive(name, given)
    keys = _keys(path)
    if "test_images" in keys:
        return _part(path, "test")
    if {"train_images", "val_images"} <= keys:
        return read(path).held
    return _part(path, "val" if "val_images" in keys else "")


def archive(name: str, given: Path) -> Path:
    """The archive itself where a folder is given."""
    if not given.is_dir():
        return given
    for file in (f"{name}.npz", f"{name}_test.npz", f"{name}_dev.npz"):
        if (given / file).exists():
            return given / file
    raise UnreadableArchive(f"{given} holds no {name}.npz, {name}_test.npz or {name}_dev.npz")


def _keys(path: Path) -> set[str]:
    try:
        with np.load(path, allow_pickle=False) as opened:
            return set(opened.files)
    except (OSError, ValueError, AttributeError) as error:
        raise UnreadableArchive(f"{path} is no archive of arrays (.npz)") from error


def _part(path: Path, part: str) -> LabelledImages:
    start = f"{part}_" if part else ""
    try:
        with np.load(path, allow_pickle=False) as opened:
            images, labels = opened[f"{start}images"], opened[f"{start}labels"].ravel()
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise UnreadableArchive(f"{path} has no {start}images and {start}labels") from error
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.shape[1:] != (28, 28) or images.dtype != np.uint8 or len(images) != len(labels):
        raise UnreadableArchive(f"{path}: {start}images must be uint8 (n, 28, 28), a label each")
    if not set(np.unique(labels).tolist()) <= {0, 1}:
        raise UnreadableArchive(f"{path}: {start}labels must be 0 or 1")
    return LabelledImages(images, labels.astype(np.int64), PARTS.get(part, "all of its images"))


def _single(given: LabelledImages) -> NDArray[np.int64]:
    """The first of each group of equal images; none where their labels differ."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(given.images):
        places[image.tobytes()].append(index)
    kept = [same[0] for same in places.values() if len(set(given.labels[same].tolist())) == 1]
    return np.array(kept, np.int64)
