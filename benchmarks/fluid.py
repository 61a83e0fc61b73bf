"""Fluid drawn into a CT of the chest, and a liver made fatty: what the lungs' report makes of it.

    python -m benchmarks.fluid SERIES

SERIES is a folder with one CT of sound lungs. Fluid of 10 HU with noise lies in the right lung, at
the back and on the floor, from the lowest place up. The liver is what is as even and as dense as
the largest soft ball on the right; all of it is made as dark as fluid, alone and beside fluid.
Printed is what is marked as fluid, of what was drawn and of the liver; what as tissue without air;
and what the report says cannot be told.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers import registry
from analyzers.contract import Segmentation, Volume
from analyzers.grid.balls import dilate
from analyzers.grid.patient_grid import coarse_grid, hounsfield, patient_grid, reduce_to
from node.series.read import read_series

NAME = "lung_segmentation"
FLUID_HU, NOISE_HU = 10.0, 15.0
FLUIDS_ML = (200, 350, 800)
FATTY_HU = (0.0, 10.0, 25.0)
SLOPE = 0.5
"""How much lower a place counts for each mm further to the back."""
SOFT_HU, SMOOTH_MM, AROUND_HU = (35.0, 180.0), 2.5, (30.0, 45.0)
"""The liver is as dense as its middle, within ``AROUND_HU`` below and above."""
NECK_MM, HEART_AREA = 9.0, 0.85
"""Bridges to other organs are narrower; planes with so much of the widest lung show the heart."""
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("series", type=Path)
    given = parser.parse_args()
    volume = read_series(sorted(given.series.rglob("*.dcm"))).volume
    if volume is None:
        raise SystemExit(f"{given.series} holds no volume")
    print(
        "| drawn | marked as fluid, mL | of it in what was drawn | in the liver | tissue mL"
        " | not told | s |"
    )
    print("|---|---|---|---|---|---|---|")
    for title, drawn, there, liver in _drawn(volume):
        print(f"| {title} | {_said(drawn, there, liver)} |", flush=True)


def _drawn(volume: Volume) -> Iterator[tuple[str, Volume, Mask, Mask]]:
    """A title, the altered volume, where fluid was drawn, where the liver lies."""
    grid = patient_grid(volume)
    values = np.ascontiguousarray(grid.view(volume.values()))
    sound = _segments(volume)[0]
    sides = [_mask(volume, sound, key) for key in ("right_lung", "left_lung")]
    lungs, nothing = sides[0], np.zeros(values.shape, bool)
    liver = _liver(volume, sides)
    yield "nothing", volume, nothing, liver
    middle = float(np.median(values[liver]))
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    fatty = {hu: values + np.where(liver, hu - middle, 0).astype(np.float32) for hu in FATTY_HU}
    for hu, altered in fatty.items():
        title = f"liver ({liver.sum() * voxel_ml:.0f} mL) of {hu:g} instead of {middle:.0f} HU"
        yield title, _of(volume, altered), nothing, liver
    rng = np.random.default_rng(3)
    z, y, _ = np.nonzero(lungs)
    height = z * grid.spacing_mm[0] - SLOPE * y * grid.spacing_mm[1]
    order = np.argsort(height, kind="stable")
    at = np.flatnonzero(lungs)[order]
    for volume_ml in FLUIDS_ML:
        there = np.zeros(lungs.size, bool)
        there[at[: round(volume_ml / voxel_ml)]] = True
        there = there.reshape(lungs.shape)
        noise = rng.normal(FLUID_HU, NOISE_HU, int(there.sum()))
        for beside, before in {"": values, ", liver of 10 HU": fatty[10.0]}.items():
            altered = before.copy()
            altered[there] = noise
            title = f"{there.sum() * voxel_ml:.0f} mL of fluid{beside}"
            yield title, _of(volume, altered), there, liver


def _of(volume: Volume, values: Floats) -> Volume:
    """The volume with other values, given on the patient's grid."""
    stored = np.rint(patient_grid(volume).restore(values)).astype(np.int16)
    ones = np.ones(volume.shape[0])
    return replace(volume, stored=np.ascontiguousarray(stored), slope=ones, intercept=0 * ones)


def _segments(volume: Volume) -> tuple[Segmentation, tuple[str, ...]]:
    findings = registry.load(NAME)("cpu").analyze(volume, registry.parameters(NAME, {}))
    (found,) = (item for item in findings.items if isinstance(item, Segmentation))
    return found, findings.remarks


def _mask(volume: Volume, found: Segmentation, key: str) -> Mask:
    labels = [one.number for one in found.segments if one.key == key]
    return np.asarray(patient_grid(volume).view(np.isin(found.labels, labels)))


def _liver(volume: Volume, sides: list[Mask]) -> Mask:
    """What is as dense as the middle of the largest ball of soft tissue on the right, and joined to
    it, below the planes that show the heart."""
    grid = patient_grid(volume)
    coarse = coarse_grid(sides[0].shape, grid.spacing_mm, 3.0)
    mean = reduce_to(coarse, hounsfield(volume, grid))
    smooth = ndimage.gaussian_filter(mean, [SMOOTH_MM / step for step in coarse.spacing_mm])
    soft = (smooth > SOFT_HU[0]) & (smooth < SOFT_HU[1])
    columns = np.flatnonzero((sides[0] | sides[1]).any(axis=(0, 1)))
    soft[:, :, int(columns[[0, -1]].mean() / coarse.factors[2]) :] = False
    depth = ndimage.distance_transform_edt(soft, sampling=coarse.spacing_mm)
    middle = np.unravel_index(int(depth.argmax()), depth.shape)
    below, above = AROUND_HU
    alike = (smooth > smooth[middle] - below) & (smooth < smooth[middle] + above)
    core = ndimage.distance_transform_edt(alike, sampling=coarse.spacing_mm) > NECK_MM
    labels = cc3d.connected_components(core, connectivity=6)
    found = dilate(labels == labels[middle], NECK_MM + 0.5, coarse.spacing_mm) & alike
    area = (sides[0] | sides[1]).sum(axis=(1, 2))
    liver = np.stack([coarse.plane(found, z) > 0.5 for z in range(len(area))])
    liver[int(np.flatnonzero(area >= HEART_AREA * area.max())[0]) :] = False
    return liver & ~sides[0] & ~sides[1]


def _said(volume: Volume, there: Mask, liver: Mask) -> str:
    started = time.process_time()
    found, remarks = _segments(volume)
    seconds = time.process_time() - started
    ml = float(np.prod(patient_grid(volume).spacing_mm)) / 1000
    water, tissue = (_mask(volume, found, key) for key in ("fluid_like_tissue", "unaerated_tissue"))
    numbers = (water.sum(), (water & there).sum(), (water & liver).sum(), tissue.sum())
    told = " ".join(one for one in remarks if one.startswith("About")) or "–"
    return " | ".join((*(f"{one * ml:.0f}" for one in numbers), told, f"{seconds:.0f}"))


if __name__ == "__main__":
    main()
