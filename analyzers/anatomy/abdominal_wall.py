"""Parts one axial plane of abdominal CT into subcutaneous fat, visceral fat and skeletal muscle.

Attenuation decides the tissue (muscle -29…150 HU, fat -190…-30 HU; DOI 10.1139/H08-075), the place
its compartment. The outer border of the wall is what closes over the muscles; its inner
border is followed ray by ray to the first layer of fat, and where an organ touches the wall without
fat between, the thickness of the wall nearby is taken. Muscles of the back belong to a block round
the spine.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.balls import Mask

Pixel = tuple[float, float]

MUSCLE_HU, FAT_HU = (-29, 150), (-190, -30)
BODY_HU = -250
TABLE_MM, SKIN_MM = 5.0, 3.0
WALL_CLOSING_MM = 8.0
RAYS = 360
STEP_MM = 0.5
FAT_LAYER_MM = 1.5
THICKEST_MM, THINNEST_MM = 30.0, 6.0
NEIGHBOUR_RAYS, NEIGHBOUR_SHARE = 45, 1.4
PSOAS_HALF_WIDTH_MM, PSOAS_FRONT_MM = 62.0, 4.0
BONE_REACH_MM = 8.0
BEHIND_RIB_MM, UNSEEN_MM = 3.0, 12.0
ORGAN_RADIUS_MM, LEAST_ORGAN_MM2, MUSCLE_SHARE = 7.0, 300.0, 0.5
"""A thick body of which less than this share lies in the wall or the block is an organ."""
SHRED_MM = 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Compartments:
    """Masks of one plane."""

    muscle: Mask
    subcutaneous: Mask
    visceral: Mask


def compartments(
    hu: NDArray[np.int16], bone: Mask, spine: Mask, pixel_mm: Pixel
) -> Compartments | None:
    """The compartments of an axial plane (y to the back, x to the left); None without a body.

    spine: vertebra, disc and canal (``analyzers.anatomy.spinal_column``), which are no muscle.
    """
    body = body_of(hu, pixel_mm)
    if body is None:
        return None
    fat = body & (hu >= FAT_HU[0]) & (hu <= FAT_HU[1])
    soft = body & (hu >= MUSCLE_HU[0]) & (hu <= MUSCLE_HU[1]) & ~bone & ~spine
    inner = inside_of_wall(soft | bone | spine, body, pixel_mm)
    if not inner.any():
        return None
    block = back_block((bone | spine) & inner, inner, pixel_mm)
    wall = wall_of(inner, fat, bone, pixel_mm)
    muscle = soft & inner & (wall | block)
    muscle &= wall | ~organs(soft & inner, wall | block, pixel_mm)
    muscle = _attached(_without_shreds(muscle, pixel_mm), wall, bone, pixel_mm)
    behind = _closed(muscle | bone | spine, FAT_LAYER_MM * 2, pixel_mm)
    cavity = inner & ~wall & ~behind
    return Compartments(muscle, fat & ~inner, fat & cavity)


def body_of(hu: NDArray[np.int16], pixel_mm: Pixel) -> Mask | None:
    """The trunk with what it encloses: the largest body of tissue thicker than a table's skin."""
    thick = _opened((hu > BODY_HU), TABLE_MM, pixel_mm)
    labels, count = ndimage.label(thick)
    if count == 0:
        return None
    largest = labels == int(np.bincount(labels.ravel())[1:].argmax()) + 1
    filled: Mask = ndimage.binary_fill_holes(largest)
    return filled


def inside_of_wall(dense: Mask, body: Mask, pixel_mm: Pixel) -> Mask:
    """What the muscles of the trunk and the bones enclose, themselves included; no skin."""
    under_skin = ndimage.distance_transform_edt(np.pad(body, 1), sampling=pixel_mm)[1:-1, 1:-1]
    deep = _opened(dense & (under_skin > SKIN_MM), SHRED_MM, pixel_mm)
    shut = ndimage.binary_fill_holes(_closed(deep, WALL_CLOSING_MM, pixel_mm))
    smooth = _opened(shut, TABLE_MM, pixel_mm)
    labels, count = ndimage.label(smooth)
    if count == 0:
        return np.zeros_like(body)
    largest: Mask = labels == int(np.bincount(labels.ravel())[1:].argmax()) + 1
    return largest & body


def wall_of(inner: Mask, fat: Mask, bone: Mask, pixel_mm: Pixel) -> Mask:
    """The wall: from the outer border inward to the first layer of fat or just behind a rib."""
    depth = ndimage.distance_transform_edt(np.pad(inner, 1), sampling=pixel_mm)[1:-1, 1:-1]
    rows, columns = np.nonzero(inner)
    centre = (float(rows.mean()), float(columns.mean()))
    thickness = _thickness(depth, fat, bone & (depth < THICKEST_MM), centre, pixel_mm)
    y = (np.arange(inner.shape[0])[:, None] - centre[0]) * pixel_mm[0]
    x = (np.arange(inner.shape[1])[None, :] - centre[1]) * pixel_mm[1]
    angle = (np.degrees(np.arctan2(y, x)) % 360.0 / 360.0 * RAYS).astype(int) % RAYS
    wall: Mask = inner & (depth <= thickness[angle])
    return wall


def _thickness(
    depth: NDArray[np.float64],
    fat: Mask,
    rib: Mask,
    centre: tuple[float, float],
    pixel_mm: Pixel,
) -> NDArray[np.float64]:
    """Thickness of the wall (mm) for each ray, held to what its neighbours show."""
    found = np.full(RAYS, np.nan)
    reach = np.arange(400.0, 0.0, -STEP_MM)
    for ray in range(RAYS):
        turn = np.radians((ray + 0.5) * 360.0 / RAYS)
        rows = np.rint(centre[0] + reach * np.sin(turn) / pixel_mm[0]).astype(int)
        columns = np.rint(centre[1] + reach * np.cos(turn) / pixel_mm[1]).astype(int)
        inside = (rows >= 0) & (rows < depth.shape[0]) & (columns >= 0) & (columns < depth.shape[1])
        place = rows[inside], columns[inside]
        found[ray] = _along_ray(depth[place], fat[place], rib[place])
    wide = np.concatenate([found[-NEIGHBOUR_RAYS:], found, found[:NEIGHBOUR_RAYS]])
    typical = np.array([_typical(wide[i : i + 2 * NEIGHBOUR_RAYS + 1]) for i in range(RAYS)])
    held = np.fmin(found, np.maximum(NEIGHBOUR_SHARE * typical, THINNEST_MM))
    smooth: NDArray[np.float64] = ndimage.median_filter(held, size=9, mode="wrap")
    return smooth


def _typical(near: NDArray[np.float64]) -> float:
    """A low-middle thickness among neighbouring rays; of the rays where an inner border is seen."""
    seen = near[np.isfinite(near)]
    return float(np.percentile(seen, 40)) if seen.size >= 5 else UNSEEN_MM


def _along_ray(depth: NDArray[np.float64], fat: NDArray[np.bool_], rib: NDArray[np.bool_]) -> float:
    """Depth (mm) at which a ray from outside leaves the wall; NaN where no border is seen."""
    wall = (depth > THINNEST_MM / 2) & (depth <= THICKEST_MM)
    depth, fat, rib = depth[wall], fat[wall], rib[wall]
    behind_rib = float(depth[rib].max()) + BEHIND_RIB_MM if rib.any() else np.nan
    layer = max(1, round(FAT_LAYER_MM / STEP_MM))
    runs = np.flatnonzero(np.convolve(fat, np.ones(layer), "valid") >= layer)
    to_fat = max(float(depth[runs[0]]), THINNEST_MM / 2) if runs.size else np.nan
    return float(np.fmax(behind_rib, to_fat)) if rib.any() else to_fat


def back_block(bone: Mask, inner: Mask, pixel_mm: Pixel) -> Mask:
    """The part of the plane round the spine that holds psoas, quadratus and the back muscles."""
    block = np.zeros_like(inner)
    columns = np.flatnonzero(inner.any(axis=0))
    middle = float(columns[[0, -1]].mean())
    near = np.abs(np.arange(inner.shape[1]) - middle) * pixel_mm[1] < PSOAS_HALF_WIDTH_MM / 2
    spine = ndimage.binary_opening(bone & near, iterations=2)
    labels, count = ndimage.label(spine)
    if count == 0:
        return block
    body = labels == int(np.bincount(labels.ravel())[1:].argmax()) + 1
    rows, places = np.nonzero(body)
    front = int(rows.min() + PSOAS_FRONT_MM / pixel_mm[0])
    half = PSOAS_HALF_WIDTH_MM / pixel_mm[1]
    first, last = int(np.median(places) - half), int(np.median(places) + half)
    block[front:, max(first, 0) : last + 1] = True
    return block & inner


def organs(soft: Mask, held: Mask, pixel_mm: Pixel) -> Mask:
    """Thick bodies that lie mostly outside the wall and the block: liver, kidney, bowel."""
    cores = _morphology(soft, cv2.MORPH_ERODE, ORGAN_RADIUS_MM, pixel_mm)
    labels, count = ndimage.label(cores)
    area = np.bincount(labels.ravel(), minlength=count + 1)
    inside = np.bincount(labels[held], minlength=count + 1)
    foreign = (inside < MUSCLE_SHARE * area) & (area * pixel_mm[0] * pixel_mm[1] >= LEAST_ORGAN_MM2)
    foreign[0] = False
    grown = _morphology(foreign[labels], cv2.MORPH_DILATE, ORGAN_RADIUS_MM, pixel_mm)
    return grown & soft


def _attached(muscle: Mask, wall: Mask, bone: Mask, pixel_mm: Pixel) -> Mask:
    """Bodies of muscle that are part of the wall or lie at a bone: no kidney, no bowel."""
    labels, count = ndimage.label(muscle)
    near_bone = ndimage.distance_transform_edt(~bone, sampling=pixel_mm) < BONE_REACH_MM
    held = np.bincount(labels[wall | near_bone], minlength=count + 1) > 0
    held[0] = False
    kept: Mask = held[labels]
    return kept


def _without_shreds(mask: Mask, pixel_mm: Pixel) -> Mask:
    """A mask without threads and specks: vessels, fascia, noise."""
    return _opened(mask, SHRED_MM, pixel_mm)


def _opened(mask: Mask, radius_mm: float, pixel_mm: Pixel) -> Mask:
    return _morphology(mask, cv2.MORPH_OPEN, radius_mm, pixel_mm)


def _closed(mask: Mask, radius_mm: float, pixel_mm: Pixel) -> Mask:
    return _morphology(mask, cv2.MORPH_CLOSE, radius_mm, pixel_mm)


def _morphology(mask: Mask, kind: int, radius_mm: float, pixel_mm: Pixel) -> Mask:
    reach = (max(1, round(radius_mm / pixel_mm[1])), max(1, round(radius_mm / pixel_mm[0])))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach[0] + 1, 2 * reach[1] + 1))
    done: Mask = cv2.morphologyEx(mask.astype(np.uint8), kind, disc).astype(bool)
    return done
