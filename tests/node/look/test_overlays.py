"""What lies over a slice lies where the object says, however the slice lies in the patient."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from node.look.pictures import Look, overlay
from tests.node.look.studies import (
    BLUE,
    RED,
    chest,
    header_of,
    hold_found,
    looker,
    near,
    stack_of,
)
from tests.node.web.sites import Site


def _centre(mask: NDArray[np.bool_], rows: int, columns: int) -> tuple[float, float]:
    """In pixels of the image."""
    down, across = np.nonzero(mask)
    return (
        float((down.mean() + 0.5) * rows / mask.shape[0]),
        float((across.mean() + 0.5) * columns / mask.shape[1]),
    )


@pytest.mark.parametrize(
    "acquisition", ["supine", "coronal", "sagittal", "oblique", "feet first", "rows flipped"]
)
def test_the_overlay_lies_on_the_organ(site: Site, tmp_path: Path, acquisition: str) -> None:
    one = chest(site, tmp_path / "ct", acquisition)
    hold_found(site, tmp_path, acquisition)
    looked = looker(site)
    study, stack = stack_of(looked, one)
    objects = looked.over(study, study.series[0])
    seg = objects[0]
    compared = 0
    for index, shown in enumerate(stack.slices):
        (place,) = [
            at
            for at in range(len(one.source.frames))
            if header_of(one.source, at).SOPInstanceUID == shown.held.sop_instance_uid
        ]
        look = Look(None, (seg.held,))
        with Image.open(io.BytesIO(overlay(looked, study, stack, index, look))) as picture:
            rgba = np.asarray(picture)
        for name, rgb in (("right_lung", RED), ("heart", BLUE)):
            mask = one.truth[name][place]
            found = near(rgba, rgb)
            assert found.any() == mask.any()
            if mask.any():
                wanted, seen = _centre(mask, *mask.shape), _centre(found, *mask.shape)
                assert np.abs(np.subtract(wanted, seen)).max() < 0.3
                area = found.mean() * mask.size
                assert area == pytest.approx(mask.sum(), rel=0.15, abs=2)
                compared += 1
    assert compared > 10
