"""From the answer of a boundary-based method on its working grid to findings on the input grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers import codes, structures
from analyzers.contract import (
    Code,
    Findings,
    Measurement,
    NotApplicable,
    Segmentation,
    Volume,
)
from analyzers.grid.balls import Mask, Spacing, dilate
from analyzers.grid.binary import bodies, box_of
from analyzers.grid.hounsfield import Hounsfield
from analyzers.grid.patient_grid import clear_padding
from analyzers.grid.places import Index
from analyzers.segmentation.measures import (
    STANDARD_DEVIATION,
    VALUE,
    measured,
)
from analyzers.segmentation.target import Scene, TargetParameters

SEED_REACH_MM = 3.0
NEAR_MM, THIN_SHARE = 5.0, 0.6
"""A neck is at most this share of the largest ball in the structure within 5 mm of the point."""


def outlined(
    volume: Volume,
    of: Scene,
    inside: NDArray[np.float32],
    parameters: TargetParameters,
    title: str,
) -> Findings:
    """Findings of a method. inside: 0–1 on the working grid, its ½ level is the border.

    Raises
    ------
    NotApplicable
        Nothing is left, or nothing at the point.
    """
    mask = np.zeros(of.values.shape, bool)
    part = mask[of.window]
    for z in range(len(part)):
        part[z] = of.coarse.plane(inside, z) > 0.5
    clear_padding(volume, of.grid, mask)
    if of.seed:
        mask = _at_seed(mask, of, of.seed, parameters.neck_mm)
    else:
        _keep_large(mask, parameters.least_ml / volume.voxel_ml)
    if not mask.any():
        raise NotApplicable("The images show no structure of the size and values looked for.")
    found = structures.of("structure_at_the_point" if of.seed else "structures_in_range")
    segment = replace(found.segment(1, _measurements(of.values, mask, volume)), key="target")
    labels = of.grid.restore(mask.view(np.uint8))
    return Findings((Segmentation(labels, (segment,), title=title),), _remarks(of, mask))


def _at_seed(mask: Mask, of: Scene, seed: Index, neck_mm: float) -> Mask:
    """The piece that holds the seed or comes within 3 mm of it, without what a neck joins."""
    window = tuple(slice(max(p.start - 1, 0), p.stop + 1) for p in of.window)
    local = (seed[0] - window[0].start, seed[1] - window[1].start, seed[2] - window[2].start)
    spacing = of.grid.spacing_mm
    piece = _nearest(mask[window], local, SEED_REACH_MM + max(spacing), spacing)
    out = np.zeros_like(mask)
    out[window] = _without_necks(piece, local, neck_mm / 2, spacing)
    return out


def _nearest(mask: Mask, seed: Index, reach_mm: float, spacing_mm: Spacing) -> Mask:
    """The connected piece nearest to the seed."""
    labels = cc3d.connected_components(mask, connectivity=6)
    places = np.argwhere(labels > 0)
    away = (places - np.array(seed)) * np.array(spacing_mm)
    distance = np.sqrt((away**2).sum(axis=1))
    if not len(places) or distance.min() > reach_mm:
        raise NotApplicable("There is no structure of such values at the point given.")
    kept: Mask = labels == labels[tuple(places[int(distance.argmin())])]
    return kept


def _without_necks(piece: Mask, seed: Index, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """What a ball can reach from the seed inside the piece; smaller for a piece that is thin."""
    depth = ndimage.distance_transform_edt(np.pad(piece, 1), sampling=spacing_mm)
    depth = depth[1:-1, 1:-1, 1:-1]
    near = tuple(
        slice(max(place - reach, 0), place + reach + 1)
        for place, reach in zip(seed, (_steps(NEAR_MM, step) for step in spacing_mm), strict=True)
    )
    radius_mm = min(radius_mm, THIN_SHARE * float(depth[near].max()))
    if radius_mm <= min(spacing_mm):
        return piece
    core = _nearest(depth > radius_mm, seed, np.inf, spacing_mm)
    return dilate(core, radius_mm + 0.01, spacing_mm) & piece


def _steps(length_mm: float, step_mm: float) -> int:
    return int(np.ceil(length_mm / step_mm))


def _keep_large(mask: Mask, least_voxels: float) -> None:
    """Clear, in place, pieces of fewer voxels."""
    box = box_of(mask)
    if box is None:
        return
    for plane, found in zip(mask[box], bodies(mask[box], least_voxels, 6), strict=True):
        plane[:] = found > 0


def _measurements(
    values: Hounsfield | NDArray[Any], mask: Mask, volume: Volume
) -> tuple[Measurement, ...]:
    """Volume, mean and standard deviation of what the mask holds, plane by plane."""
    name, unit = _quantity(volume)
    planes = np.flatnonzero(mask.any(axis=(1, 2))).tolist()
    count = int(np.count_nonzero(mask))
    mean = sum(float(values[z][mask[z]].sum(dtype=np.float64)) for z in planes) / count
    squares = (np.square(values[z][mask[z]].astype(np.float64) - mean).sum() for z in planes)
    spread = float(np.sqrt(sum(float(one) for one in squares) / count))
    return (
        measured(codes.VOLUME, count * volume.voxel_ml, codes.MILLILITER),
        measured(name, mean, unit, codes.MEAN),
        measured(name, spread, unit, STANDARD_DEVIATION),
    )


def _quantity(volume: Volume) -> tuple[Code, Code]:
    if volume.modality == "CT":
        return codes.ATTENUATION_COEFFICIENT, codes.HOUNSFIELD_UNIT
    if volume.suv_factor is not None:
        return codes.SUV_BW, codes.GRAM_PER_ML
    return VALUE, volume.units or codes.NO_UNIT


def _remarks(of: Scene, mask: Mask) -> tuple[str, ...]:
    ends = [f"from {of.lowest:g}" if np.isfinite(of.lowest) else "", f"to {of.highest:g}"]
    if not np.isfinite(of.highest):
        ends[1] = ""
    said = " ".join(end for end in ends if end) or "of any size"
    remarks = [f"Values {said} were looked for."]
    if of.seed and _meets_border(mask[of.window], of):
        remarks.append("The structure goes on beyond the reach allowed round the point.")
    return tuple(remarks)


def _meets_border(mask: Mask, of: Scene) -> bool:
    """Whether the structure comes near the sphere of its reach or the edge of the window."""
    faces = [mask.take(end, axis) for axis in range(3) for end in (2, -3) if mask.shape[axis] > 6]
    return any(bool(face.any()) for face in faces)
