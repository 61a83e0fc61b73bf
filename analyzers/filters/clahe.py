"""Contrast-limited adaptive histogram equalization (CLAHE), within slices or in three dimensions.

Zuiderveld, Graphics Gems IV (1994), VIII.5: the image is divided into tiles of about a length in
mm, each gets the map that equalizes its clipped histogram, and a voxel's answer is interpolated
linearly between the maps of the tiles round it. Grey values are spread within the range given, so
the result keeps the source's units and range; CPU and CUDA run the same torch code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import codes, families
from analyzers.contract import (
    About,
    Code,
    Findings,
    InputContract,
    Limits,
    Parameter,
    Parameters,
    Volume,
)
from analyzers.filters import derived
from analyzers.filters.derived import Floats, Sizes
from analyzers.threads import bands, for_each

if TYPE_CHECKING:
    from analyzers.grid.field import MirroredPlanes

BINS = 1024
ROWS_AT_ONCE = 64
SHARE_BELOW, SHARE_ABOVE = 0.001, 0.999
"""Quantiles between which the contrast is spread where no range is given."""


@dataclass(frozen=True, slots=True)
class ClaheParameters(Parameters):
    """How strongly contrast is raised, and where."""

    tile_mm: Annotated[float, Parameter("length of a tile", "mm", least=5, most=500)] = 50.0
    clip_limit: Annotated[
        float,
        Parameter(
            "largest count of a grey value as a multiple of the mean count; 1: nothing changes but"
            " the range",
            least=1,
            most=100,
        ),
    ] = 3.0
    low: Annotated[
        float,
        Parameter(
            "lowest value, in the units of the source; values beyond are cut; where low is not"
            " below high, the range between the quantiles 0.1 % and 99.9 % of the series"
        ),
    ] = 0.0
    high: Annotated[float, Parameter("highest value, in the units of the source")] = 0.0
    dimensions: derived.Dimensions = "2d"


class Clahe:
    """Derives a series with evened local contrast on the same grid, in the range of the source."""

    name: ClassVar[str] = "clahe"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Adaptive contrast enhancement (CLAHE)"
    about: ClassVar[About] = About(
        purpose="Raises contrast tile by tile, with a limit (CLAHE).",
        gives=("a series on the same grid, in the units of the source",),
    )
    family: ClassVar[Code] = families.HISTOGRAM_ANALYSIS
    inputs: ClassVar[InputContract] = derived.INPUTS
    limits: ClassVar[Limits] = Limits(time_s=300.0, memory_mb=6144)
    parameters: ClassVar[type[ClaheParameters]] = ClaheParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: ClaheParameters) -> Findings:
        """The enhanced image. Its values are no measurements any more.

        Raises
        ------
        NotApplicable
            The series holds no image.
        """
        from analyzers.filters.slabs import in_slabs
        from analyzers.grid.field import MirroredPlanes

        derived.require_image(volume)
        slices = MirroredPlanes(volume)
        low, high = parameters.low, parameters.high
        if low >= high:
            low, high = grey_range(slices)
        tiles = tiles_of(volume, parameters)

        def even(values: Floats) -> Floats:
            if low >= high:
                return values
            return equalized(values, tiles, (low, high), parameters.clip_limit, self.device)

        reach = len(slices) if tiles[0] else 0
        values = in_slabs(volume, slices, even, reach=reach, device=self.device)
        return derived.derived(
            volume,
            values,
            f"CLAHE {parameters.tile_mm:g} mm {parameters.dimensions}",
            codes.CONTRAST_ENHANCEMENT,
            f"Contrast-limited adaptive histogram equalization, tiles of about "
            f"{parameters.tile_mm:g} mm, clip limit {parameters.clip_limit:g}, values from "
            f"{low:g} to {high:g}, {derived.where(parameters.dimensions)}. "
            "For viewing; the values must not be measured.",
        )


def grey_range(slices: MirroredPlanes) -> tuple[float, float]:
    """The quantiles 0.1 % and 99.9 % of at most about a million voxels, evenly spread."""
    step = max(1, round((float(np.prod(slices.shape)) / 1e6) ** (1 / 3)))
    some = np.stack([slices[z][::step, ::step] for z in range(0, len(slices), step)])
    low, high = np.quantile(some, (SHARE_BELOW, SHARE_ABOVE), overwrite_input=True)
    return float(low), float(high)


def tiles_of(volume: Volume, parameters: ClaheParameters) -> Sizes:
    """Number of tiles along (slice, row, column); 0 along slices: each slice for itself."""
    count = np.maximum(1, np.rint(np.array(volume.shape) * volume.spacing_mm / parameters.tile_mm))
    across = 0 if parameters.dimensions == "2d" else int(count[0])
    return across, int(min(count[1], volume.shape[1])), int(min(count[2], volume.shape[2]))


def equalized(
    values: Floats, tiles: Sizes, span: tuple[float, float], clip_limit: float, device: str
) -> Floats:
    """Equalize a float32 volume in place and return it.

    tiles: as from ``tiles_of``. span: the lowest and the highest value of the result.
    """
    across = tiles[0]
    grid = _Grid.of(values.shape[1:], (tiles[1], tiles[2]), device)
    if across:
        _equalize(values, across, grid, span, clip_limit)
        return values

    def plane(index: int) -> None:
        _equalize(values[index : index + 1], 1, grid, span, clip_limit)

    for_each(plane, range(len(values)), torch_on_device=device)
    return values


def _equalize(
    values: Floats, slabs: int, grid: _Grid, span: tuple[float, float], clip_limit: float
) -> None:
    import torch

    maps = torch.zeros((slabs, *grid.tiles, BINS), device=grid.device)
    bounds = tile_bounds(len(values), slabs)

    def slab(number: int) -> None:
        counts = sum(grid.counts(_binned(values[z], span, grid)) for z in range(*bounds[number]))
        maps[number] = _map(counts, clip_limit)

    below, above, weight = neighbours(len(values), slabs)

    def plane(z: int) -> None:
        here = torch.lerp(maps[below[z]], maps[above[z]], float(weight[z]))
        bins = _binned(values[z], span, grid)
        for rows in grid.bands:
            even = grid.interpolated(bins, here, rows)
            values[z, rows] = even.mul_(span[1] - span[0]).add_(span[0]).cpu().numpy()

    if len(values) == 1:
        slab(0)
        plane(0)
    else:
        for_each(slab, range(slabs), torch_on_device=grid.device)
        for_each(plane, range(len(values)), torch_on_device=grid.device)


def _binned(plane: Floats, span: tuple[float, float], grid: _Grid) -> Any:
    import torch

    low, high = span
    scaled = torch.from_numpy(plane).to(grid.device).sub(low).mul_((BINS - 1) / (high - low))
    return scaled.add_(0.5).clamp_(0, BINS - 1).to(torch.int16)


def _map(counts: Any, clip_limit: float) -> Any:
    """Cumulative share (0–1) of clipped counts; what is clipped is spread evenly over all bins."""
    share = counts / counts.sum(-1, keepdim=True)
    clipped = share.clamp(max=clip_limit / BINS)
    excess = 1 - clipped.sum(-1, keepdim=True)
    return (clipped + excess / BINS).cumsum(-1).clamp_(max=1).float()


def tile_bounds(length: int, tiles: int) -> list[tuple[int, int]]:
    """First and one past the last index of each tile; tiles share the voxel their border cuts."""
    return [(i * length // tiles, -(-(i + 1) * length // tiles)) for i in range(tiles)]


def neighbours(
    length: int, tiles: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For each index the tiles whose centres lie before and after it, and the latter's weight."""
    place = np.clip((np.arange(length) + 0.5) * tiles / length - 0.5, 0, tiles - 1)
    before = np.floor(place).astype(np.int64)
    after = np.minimum(before + 1, tiles - 1)
    return before, after, (place - before).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Where a slice's pixels lie among its tiles; tensors on the device."""

    device: str
    tiles: tuple[int, int]
    rows: list[tuple[int, int]]
    columns: list[tuple[int, int]]
    corners: tuple[Any, Any, Any, Any]
    """Place in the flat maps of the four tiles round each pixel: int64 (row, column)."""
    down: Any
    along: Any
    """Weights of the lower and the right tile: (row, 1) and (column)."""

    @classmethod
    def of(cls, shape: tuple[int, ...], tiles: tuple[int, int], device: str) -> _Grid:
        import torch

        up, low, down = neighbours(shape[0], tiles[0])
        left, right, along = neighbours(shape[1], tiles[1])
        corners = [
            torch.from_numpy((one[:, None] * tiles[1] + other) * BINS).to(device)
            for one in (up, low)
            for other in (left, right)
        ]
        return cls(
            device,
            tiles,
            tile_bounds(shape[0], tiles[0]),
            tile_bounds(shape[1], tiles[1]),
            (corners[0], corners[1], corners[2], corners[3]),
            torch.from_numpy(down[:, None]).to(device),
            torch.from_numpy(along).to(device),
        )

    def counts(self, bins: Any) -> Any:
        """How often each bin occurs in each tile: (tile row, tile column, bin)."""
        import torch

        found = [
            torch.bincount(bins[slice(*rows), slice(*columns)].reshape(-1), minlength=BINS)
            for rows in self.rows
            for columns in self.columns
        ]
        return torch.stack(found).reshape(*self.tiles, BINS)

    @property
    def bands(self) -> list[slice]:
        """The rows that are interpolated at once: the places in the maps take 8 bytes a pixel."""
        height = self.down.shape[0]
        return bands(height, height if self.device.startswith("cuda") else ROWS_AT_ONCE)

    def interpolated(self, bins: Any, maps: Any, rows: slice) -> Any:
        """The maps' answers for some rows of a slice of bins, weighted by the distance to the
        tiles' centres."""
        import torch

        flat, some = maps.reshape(-1), bins[rows]
        upper_left, upper_right, lower_left, lower_right = (
            flat.take(some + corner[rows]) for corner in self.corners
        )
        upper = torch.lerp(upper_left, upper_right, self.along)
        lower = torch.lerp(lower_left, lower_right, self.along)
        return torch.lerp(upper, lower, self.down[rows])
