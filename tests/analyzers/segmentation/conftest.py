"""Images that several tests of segmenters read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analyzers.contract import Volume
from analyzers.models.training.hippocampus_data import read_nifti
from analyzers.testing import examples

HELD_OUT = 6


@pytest.fixture(scope="module")
def held_out(test_data: Path) -> list[tuple[Volume, np.ndarray]]:
    """Crops of the test part as MR volumes, and the reader's labels."""
    folder = test_data / "train" / "hippocampus_mr"
    paths = sorted((folder / "images").glob("*.nii.gz"))
    if not paths:
        pytest.skip("the hippocampus set is not there")
    block = paths[3 * len(paths) // 10 + 1 :][:HELD_OUT]
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[::-1]
    return [
        (
            examples.volume(read_nifti(path)[0].astype(np.float32), "MR", affine=affine),
            read_nifti(folder / "labels" / path.name)[0],
        )
        for path in block
    ]
