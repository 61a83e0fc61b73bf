"""What the registration sees of a series: values from 0 to 1 on a coarse grid, on the device.

Axes are put in the patient's order first, so that the storage order of a series changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from analyzers.contract import Volume
from analyzers.fusion.rigid import Matrix
from analyzers.grid.patient_grid import patient_grid
from analyzers.grid.value_planes import ValuePlanes

CT_WINDOW_HU = (-300.0, 500.0)
"""From fat to dense bone: what CT shares with the other modalities."""
PERCENTILES = (0.5, 99.5)
PET_PERCENTILE = 99.9
LEAST_SAMPLES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """``image``: ``(z, y, x)`` float32 tensor; ``affine``: its index → patient LPS mm."""

    image: torch.Tensor
    affine: Matrix

    @property
    def shape(self) -> tuple[int, int, int]:
        depth, rows, columns = self.image.shape
        return depth, rows, columns

    @property
    def spacing_mm(self) -> Matrix:
        spacing: Matrix = np.linalg.norm(self.affine[:3, :3], axis=0)
        return spacing

    @property
    def volume_mm3(self) -> float:
        return float(abs(np.linalg.det(self.affine[:3, :3]))) * float(np.prod(self.shape))

    def centre_mm(self) -> Matrix:
        middle = (np.array(self.shape) - 1) / 2
        centre: Matrix = self.affine[:3, :3] @ middle + self.affine[:3, 3]
        return centre

    def centre_of_mass_mm(self) -> Matrix:
        """The mean place of what is bright."""
        total = float(self.image.sum())
        if total <= 0:
            return self.centre_mm()
        index = []
        for axis, size in enumerate(self.shape):
            others = [other for other in range(3) if other != axis]
            profile = self.image.sum(dim=others).double().cpu().numpy()
            index.append(float(profile @ np.arange(size)) / total)
        centre: Matrix = self.affine[:3, :3] @ np.array(index) + self.affine[:3, 3]
        return centre


def scan(volume: Volume, device: str) -> Scan:
    """The series at its own resolution, values brought to 0–1 in the way of its modality."""
    grid = patient_grid(volume)
    affine = np.eye(4)
    affine[:, :3] = volume.affine[:, list(grid.order)]
    affine[:3, 3] = volume.affine[:3, 3]
    for axis, (stored, flip) in enumerate(zip(grid.order, grid.reverse, strict=True)):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (volume.shape[stored] - 1)
            affine[:3, axis] *= -1
    values = np.empty([volume.shape[axis] for axis in grid.order], np.float32)
    make_normal(volume, grid.stored_view(values))
    return Scan(torch.from_numpy(values).to(device), affine)


def make_normal(volume: Volume, values: NDArray[np.float32]) -> None:
    """Write values from 0 to 1 into an array of the volume's shape. PET by its square root: most
    of what tells organs apart is faint."""
    low, high = _range(volume)
    for index, plane in enumerate(ValuePlanes(volume)):
        np.nan_to_num(plane, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        plane -= low
        plane /= np.maximum(high - low, np.float32(1e-12))
        np.clip(plane, 0, 1, out=plane)
        values[index] = np.sqrt(plane) if volume.modality == "PT" else plane


def _range(volume: Volume) -> tuple[np.float32, np.float32]:
    if volume.modality == "CT":
        return np.float32(CT_WINDOW_HU[0]), np.float32(CT_WINDOW_HU[1])
    values: NDArray[np.float32] = volume.values(np.float32)
    np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    if volume.valid is not None:
        values = values[volume.valid]
    if volume.modality == "PT":
        share = PET_PERCENTILE / 100
        return np.float32(0.0), np.float32(np.quantile(values, share, overwrite_input=True))
    found = np.percentile(values, PERCENTILES, overwrite_input=True)
    return np.float32(float(found[0])), np.float32(float(found[1]))


def reduced(fine: Scan, aim_mm: float) -> Scan:
    """Block means of about ``aim_mm``; an axis that is coarser already stays as it is."""
    factors = [
        max(1, min(round(aim_mm / step), size // LEAST_SAMPLES))
        for step, size in zip(fine.spacing_mm, fine.shape, strict=True)
    ]
    pooled = functional.avg_pool3d(fine.image[None, None], factors)[0, 0]
    affine = fine.affine.copy()
    affine[:3, :3] = fine.affine[:3, :3] * np.array(factors)
    affine[:3, 3] += fine.affine[:3, :3] @ ((np.array(factors) - 1) / 2)
    return Scan(pooled, affine)


def at(image: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Linear interpolation at indices ``(n, 3)``: the values, and how much of each lay inside.

    The second is 1 inside and falls to 0 over the last half voxel beyond the border.
    """
    size = torch.tensor(image.shape, dtype=index.dtype, device=index.device)
    inside = (torch.minimum(index + 0.5, size - 0.5 - index).clamp(0, 0.5) * 2).prod(dim=1)
    place = (2 * index + 1) / size - 1
    values = functional.grid_sample(
        image[None, None],
        place.flip(1)[None, None, None].to(image.dtype),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return values[0, 0, 0, 0], inside
