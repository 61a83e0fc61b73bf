"""Reads the hippocampus set: NIfTI crops with labels 0, 1 (anterior), 2 (posterior)."""

from __future__ import annotations

import gzip
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.models.hippocampus_input import Resampling, normalized

TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2"}
"""NIfTI-1 ``datatype`` codes."""
BLOCKS = 10
TEST_BLOCKS, VALIDATION_BLOCKS = (3, 8), (5,)
"""The set does not name the person; both sides of one may stand next to each other. So blocks of
neighbouring numbers are held out, and at most the cases at their edges can have a twin."""


class UnreadableSet(ValueError):
    """A training folder is not what the training expects."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One crop: image normalised float32, labels uint8, both ``(z, y, x)`` at 1 mm, LPS."""

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class HippocampusSet:
    """The cases in three parts that share no block of neighbouring numbers."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]


def read(folder: Path) -> HippocampusSet:
    """All cases of ``images/`` that have a file of the same name in ``labels/``.

    Raises
    ------
    UnreadableSet
        The folder holds fewer cases than blocks, or a file is no readable NIfTI-1 image.
    """
    paths = sorted((folder / "images").glob("*.nii.gz"), key=_number)
    if len(paths) < BLOCKS:
        raise UnreadableSet(f"{folder} holds {len(paths)} images, {BLOCKS} at least are needed")
    parts: dict[str, list[Case]] = {"train": [], "validation": [], "test": []}
    for position, path in enumerate(paths):
        block = position * BLOCKS // len(paths)
        part = "test" if block in TEST_BLOCKS else "train"
        part = "validation" if block in VALIDATION_BLOCKS else part
        parts[part].append(_case(path, folder / "labels" / path.name))
    return HippocampusSet(**{part: tuple(cases) for part, cases in parts.items()})


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", path.name)
    return int(digits[-1]) if digits else 0


def _case(image: Path, labels: Path) -> Case:
    values, spacing = read_nifti(image)
    marks, _ = read_nifti(labels)
    if marks.shape != values.shape:
        raise UnreadableSet(f"{labels} has another shape than its image")
    grid = Resampling(values.shape, spacing)
    if grid.needed:
        raise UnreadableSet(f"{image} has voxels of {spacing} mm, 1 mm is needed")
    return Case(image.name.split(".")[0], normalized(values), np.rint(marks).astype(np.uint8))


def read_nifti(path: Path) -> tuple[NDArray[Any], tuple[float, float, float]]:
    """A NIfTI-1 image as ``(z, y, x)`` in LPS directions, and its spacing in mm.

    Only grids whose axes run along right, anterior, superior (either way) are read; the header's
    layout is that of nifti1.h.

    Raises
    ------
    UnreadableSet
        It is another kind of file, or lies obliquely.
    """
    raw = gzip.decompress(path.read_bytes())
    if len(raw) < 352 or struct.unpack_from("<i", raw)[0] != 348:
        raise UnreadableSet(f"{path} is no little-endian NIfTI-1 file")
    size = struct.unpack_from("<3h", raw, 42)
    kind = struct.unpack_from("<h", raw, 70)[0]
    offset, slope, intercept = struct.unpack_from("<3f", raw, 108)
    rotation = np.frombuffer(raw, "<f4", 12, 280).reshape(3, 4)[:, :3]
    if kind not in TYPES or np.count_nonzero(np.abs(rotation) > 1e-3) != 3:
        raise UnreadableSet(f"{path} has an unknown pixel type, or its grid lies obliquely")
    pixels = np.frombuffer(raw, "<" + TYPES[kind], int(np.prod(size)), int(offset))
    values = pixels.reshape(size, order="F")
    if slope not in (0.0, 1.0) or intercept:
        values = values * (slope or 1.0) + intercept
    axes = np.argmax(np.abs(rotation), axis=1)  # stored axis nearest to x, y, z
    signs = rotation[range(3), axes] * np.array((-1, -1, 1))  # RAS to LPS
    turned = values.transpose(axes[::-1])[
        tuple(slice(None, None, int(s)) for s in np.sign(signs[::-1]))
    ]
    steps = np.abs(signs[::-1])
    return np.ascontiguousarray(turned), (float(steps[0]), float(steps[1]), float(steps[2]))
