"""Fluid drawn into a CT of the chest, and a liver made fatty: what the lungs' report makes of it.

    python -m benchmarks.fluid SERIES

SERIES is a folder with one CT of sound lungs. Fluid of 10 HU with noise lies in the right lung, at
the back and on the floor, from the lowest place up. The liver is what is soft inside of the ribs on
the right and has no lung below it; it is made as dark as fluid. Printed is what is marked as fluid
of what was drawn and beside it, what as tissue without air, and what stands before the answer.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzers import registry
from analyzers.anatomy import unaerated
from analyzers.contract import Segmentation, Volume
from analyzers.grid.patient_grid import hounsfield, patient_grid, reduce_to
from node.series.read import read_series

NAME = "lung_segmentation"
FLUID_HU, NOISE_HU = 10.0, 15.0
FLUIDS_ML = (200, 350, 800)
FATTY_HU = (10.0, 25.0)
SLOPE = 0.5
"""How much lower a place counts for each mm further to the back."""
SOFT_HU = (20.0, 160.0)
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
        "| drawn | fluid marked, of it in what was drawn, mL | tissue mL | before the answer | s |"
    )
    print("|---|---|---|---|---|")
    for title, drawn, there in _drawn(volume):
        print(f"| {title} | {_said(drawn, there)} |", flush=True)


def _drawn(volume: Volume) -> Iterator[tuple[str, Volume, Mask]]:
    grid = patient_grid(volume)
    values = np.ascontiguousarray(grid.view(volume.values()))
    sound = _segments(volume)[0]
    sides = [_mask(volume, sound, key) for key in ("right_lung", "left_lung")]
    lungs, nothing = sides[0], np.zeros(values.shape, bool)
    yield "nothing", volume, nothing
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    rng = np.random.default_rng(3)
    z, y, _ = np.nonzero(lungs)
    height = z * grid.spacing_mm[0] - SLOPE * y * grid.spacing_mm[1]
    order = np.argsort(height, kind="stable")
    at = np.flatnonzero(lungs)[order]
    for volume_ml in FLUIDS_ML:
        there = np.zeros(lungs.size, bool)
        there[at[: round(volume_ml / voxel_ml)]] = True
        there = there.reshape(lungs.shape)
        altered = values.copy()
        altered[there] = rng.normal(FLUID_HU, NOISE_HU, int(there.sum()))
        yield f"{there.sum() * voxel_ml:.0f} mL of fluid", _of(volume, altered), there
    liver = _liver(volume, sides)
    middle = float(np.median(values[liver]))
    for hu in FATTY_HU:
        altered = values.copy()
        altered[liver] += hu - middle
        title = f"liver ({liver.sum() * voxel_ml:.0f} mL) of {hu:g} instead of {middle:.0f} HU"
        yield title, _of(volume, altered), nothing


def _of(volume: Volume, values: Floats) -> Volume:
    """The volume with other values, given on the patient's grid."""
    stored = np.rint(patient_grid(volume).restore(values)).astype(np.int16)
    ones = np.ones(volume.shape[0])
    return replace(volume, stored=np.ascontiguousarray(stored), slope=ones, intercept=0 * ones)


def _segments(volume: Volume) -> tuple[Segmentation, tuple[str, ...]]:
    findings = registry.load(NAME)("cpu").analyze(volume, registry.parameters(NAME, {}))
    (found,) = (item for item in findings.items if isinstance(item, Segmentation))
    return found, findings.cautions


def _mask(volume: Volume, found: Segmentation, key: str) -> Mask:
    labels = [one.number for one in found.segments if one.key == key]
    return np.asarray(patient_grid(volume).view(np.isin(found.labels, labels)))


def _liver(volume: Volume, sides: list[Mask]) -> Mask:
    """What is soft inside of the ribs on the right, no lung below it."""
    grid = patient_grid(volume)
    labels = (sides[0] + 2 * sides[1]).astype(np.uint8)
    of = unaerated.space(hounsfield(volume, grid), labels, grid.spacing_mm)
    if of is None:
        raise SystemExit("the ribs are not seen")
    right = reduce_to(of.grid, sides[0].astype(np.uint8)) > 0
    under = ~(np.cumsum(of.aerated, axis=0) > 0) & right.any(axis=0)
    soft = of.inside & under & (of.mean > SOFT_HU[0]) & (of.mean < SOFT_HU[1])
    return np.stack([of.grid.plane(soft, z) > 0.5 for z in range(len(labels))])


def _said(volume: Volume, there: Mask) -> str:
    started = time.process_time()
    found, cautions = _segments(volume)
    seconds = time.process_time() - started
    ml = float(np.prod(patient_grid(volume).spacing_mm)) / 1000
    water, tissue = (_mask(volume, found, key) for key in ("fluid_like_tissue", "unaerated_tissue"))
    inside = (water & there).sum() * ml
    return (
        f"{water.sum() * ml:.0f}, {inside:.0f} | {tissue.sum() * ml:.0f} "
        f"| {' '.join(cautions) or '–'} | {seconds:.0f}"
    )


if __name__ == "__main__":
    main()
