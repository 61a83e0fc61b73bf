"""What the boundary-based segmenters look for, and the small grid on which they look for it.

A target is a structure round a point, a range of values, or what is brighter than the rest. It is
turned into a membership image y (0 outside, 1 inside, ½ at the border), which all methods
regularise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import InvalidParameters, NotApplicable, Parameter, Parameters, Volume

if TYPE_CHECKING:
    from analyzers.grid.balls import Mask, Spacing
    from analyzers.grid.hounsfield import Hounsfield
    from analyzers.grid.patient_grid import CoarseGrid, PatientGrid
    from analyzers.grid.places import Index


LEAST_EXTENT_MM = 10.0
MOST_VOXELS = 6_000_000
SEED_RADIUS_MM = 3.0
SEPARABLE = 4.0
"""How many standard deviations two classes must lie apart; Otsu parts one Gaussian by 2.6, a
uniform distribution by 3.5."""
RAMP_SHARE = 0.5
FAR_MM = 4.0


@dataclass(frozen=True, slots=True)
class TargetParameters(Parameters):
    """What is looked for."""

    seed_mm: Annotated[
        tuple[float, ...],
        Parameter("x, y, z of a point in it (patient LPS); empty: the whole series", "mm"),
    ] = ()
    reach_mm: Annotated[
        float,
        Parameter("nothing farther from the point belongs to it", "mm", least=5, most=150),
    ] = 40.0
    lowest: Annotated[
        float | None,
        Parameter(
            "lowest value of it in the units of the image (HU on CT, SUV on PET where the header"
            " allows it); left out: taken from the image"
        ),
    ] = None
    highest: Annotated[
        float | None, Parameter("highest value of it; left out: taken from the image")
    ] = None
    neck_mm: Annotated[
        float,
        Parameter(
            "with a point: what hangs on it by a neck thinner than this is cut off, as vessels and"
            " the chest wall are from a nodule; 0: nothing is",
            "mm",
            least=0,
            most=30,
        ),
    ] = 6.0
    least_ml: Annotated[
        float,
        Parameter("without a point: smaller pieces are left out", "mL", least=0, most=10_000),
    ] = 0.5

    def check(self) -> None:
        from analyzers.grid.places import require_point

        require_point("seed_mm", self.seed_mm)
        if self.lowest is not None and self.highest is not None and self.lowest >= self.highest:
            raise InvalidParameters(f"lowest {self.lowest:g} is not below highest {self.highest:g}")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The images on axes (z, y, x), a window of them, and the window on a grid of a few million.

    values: whole images. seed: index in the whole images. membership, core, outside: on the
    working grid ``coarse``. core and outside are certain. lowest, highest: the range that was used.
    """

    grid: PatientGrid
    values: Hounsfield | NDArray[Any]
    window: tuple[slice, ...]
    coarse: CoarseGrid
    membership: NDArray[np.float32]
    core: Mask
    outside: Mask
    seed: Index | None
    lowest: float
    highest: float

    @property
    def spacing_mm(self) -> Spacing:
        return self.coarse.spacing_mm


def scene(volume: Volume, parameters: TargetParameters) -> Scene:
    """The scene of a series.

    Raises
    ------
    NotApplicable
        The images are too small, without contrast, or the point lies outside of them.
    """
    from analyzers.grid.hounsfield import HounsfieldPlanes
    from analyzers.grid.patient_grid import coarse_grid, patient_grid, reduce_to, require_extent
    from analyzers.grid.places import index_of

    require_extent(volume, LEAST_EXTENT_MM)
    grid = patient_grid(volume)
    values = image_values(volume, grid)
    seed = index_of(volume, grid, parameters.seed_mm) if parameters.seed_mm else None
    window = _window(values.shape, grid.spacing_mm, seed, parameters.reach_mm)
    part = values.part(window) if isinstance(values, HounsfieldPlanes) else values[window]
    extent_mm3 = float(np.prod(part.shape)) * float(np.prod(grid.spacing_mm))
    aim_mm = max(min(grid.spacing_mm), float(np.cbrt(extent_mm3 / MOST_VOXELS)))
    coarse = coarse_grid(part.shape, grid.spacing_mm, aim_mm)
    image = reduce_to(coarse, part)
    seen = _seen(volume, grid, coarse, window)
    away = None
    if seed is not None:
        away = _distance_from(seed, window, coarse, image.shape)
    low, high = _range(
        _seen_of(image, seen), None if away is None else _seen_of(away, seen), parameters
    )
    membership = _membership(image, seen, low, high)
    if away is None:
        core = membership >= min(0.9, float(membership.max()))
        outside = membership <= max(0.1, float(membership.min()))
    else:
        core = away <= max(SEED_RADIUS_MM, 0.6 * max(coarse.spacing_mm))
        core &= (membership > 0.5) | (away <= away.min())
        outside = (away > parameters.reach_mm) | ((membership < 0.1) & (away > FAR_MM))
        membership = np.where(away > parameters.reach_mm, np.float32(0), membership)
    if seen is not None:
        core, outside = core & seen, outside | ~seen
    return Scene(grid, values, window, coarse, membership, core, outside, seed, low, high)


def image_values(volume: Volume, grid: PatientGrid) -> Hounsfield | NDArray[Any]:
    """Whole HU (int16) for CT, SUV for PET where known, else the values of the image."""
    from analyzers.grid.hounsfield import hounsfield_planes

    if volume.modality == "CT":
        return hounsfield_planes(volume, grid)
    values: NDArray[np.float32] = np.ascontiguousarray(grid.view(volume.values(np.float32)))
    np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    if volume.suv_factor is not None:
        values *= np.float32(volume.suv_factor)
    return values


def _seen(
    volume: Volume, grid: PatientGrid, coarse: CoarseGrid, window: tuple[slice, ...]
) -> Mask | None:
    """Working voxels of which at least half was measured; None: all."""
    from analyzers.grid.patient_grid import measured_here, reduce_to

    valid = measured_here(volume, grid)
    if valid is None:
        return None
    seen: Mask = reduce_to(coarse, valid[window].astype(np.uint8)) >= 0.5
    if not seen.any():
        raise NotApplicable("Nothing was measured there: the images hold padding only.")
    return seen


def _seen_of(values: NDArray[np.float32], seen: Mask | None) -> NDArray[np.float32]:
    return values if seen is None else values[seen]


def _window(
    shape: tuple[int, ...], spacing_mm: Spacing, seed: Index | None, reach_mm: float
) -> tuple[slice, ...]:
    if seed is None:
        return tuple(slice(0, size) for size in shape)
    margins = [int(np.ceil(reach_mm / step)) + 2 for step in spacing_mm]
    return tuple(
        slice(max(place - margin, 0), min(place + margin + 1, size))
        for place, margin, size in zip(seed, margins, shape, strict=True)
    )


def _distance_from(
    seed: Index, window: tuple[slice, ...], coarse: CoarseGrid, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Distance in mm of each working voxel from the seed."""
    axes = []
    for place, part, step, factor, size in zip(
        seed, window, coarse.spacing_mm, coarse.factors, shape, strict=True
    ):
        centre = (place - part.start + 0.5) / factor - 0.5
        axes.append((np.arange(size) - centre) * step)
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    away: NDArray[np.float32] = np.sqrt(z**2 + y**2 + x**2).astype(np.float32)
    return away


# --- which values belong to the target ------------------------------------------------------------


def _range(
    image: NDArray[np.float32], away: NDArray[np.float32] | None, parameters: TargetParameters
) -> tuple[float, float]:
    low, high = parameters.lowest, parameters.highest
    if low is None and high is None:
        if away is None:
            return bright_from(image), float("inf")
        return _round_seed(image, away, parameters.reach_mm)
    return (
        float("-inf") if low is None else float(low),
        float("inf") if high is None else float(high),
    )


def bright_from(image: NDArray[np.float32]) -> float:
    """The value from which structures are bright: Otsu's, on what Otsu leaves of the image.

    The second split counts only if it parts two classes clearly; the first then took away air.
    """
    values = image.ravel()
    if float(np.ptp(values)) <= 0:
        raise NotApplicable("The images have no contrast.")
    first = _otsu(values)
    rest = values[values > first]
    if rest.size < 100 or float(np.ptp(rest)) <= 0:
        return first
    second = _otsu(rest)
    return second if _separability(rest, second) >= SEPARABLE else first


def _round_seed(
    image: NDArray[np.float32], away: NDArray[np.float32], reach_mm: float
) -> tuple[float, float]:
    """Range round the value at the seed, up to half-way to darker and brighter neighbours."""
    level = float(np.median(image[away <= max(SEED_RADIUS_MM, float(away.min()))]))
    near = image[away <= max(reach_mm / 2, 5.0)]
    spread = float(np.ptp(near))
    if spread <= 0:
        raise NotApplicable("The images have no contrast round the point.")
    return _border(near, level, -1.0), _border(near, level, 1.0)


def _border(near: NDArray[np.float32], level: float, side: float) -> float:
    """The border on the dark (-1) or bright (+1) side of a level; infinite where there is none."""
    beyond = near[(near - level) * side > 0]
    if beyond.size < 10 or float(np.ptp(beyond)) <= 0:
        return float("inf") * side
    split = _otsu(beyond)
    clear = _separability(beyond, split) >= SEPARABLE
    return split if clear else float("inf") * side


def _otsu(values: NDArray[np.float32]) -> float:
    """Otsu's threshold; where many values part the classes alike, mid-way between the means."""
    from skimage.filters import threshold_otsu

    first = float(threshold_otsu(values))  # type: ignore[no-untyped-call]  # partly typed
    upper = values > first
    if not upper.any() or upper.all():
        return first
    means = values[upper].mean(dtype=np.float64), values[~upper].mean(dtype=np.float64)
    return float(means[0] + means[1]) / 2


def _separability(values: NDArray[np.float32], threshold: float) -> float:
    """Distance between the means of two classes over the standard deviation inside them."""
    upper = values > threshold
    share = float(upper.mean())
    if not 0 < share < 1:
        return 0.0
    high, low = values[upper], values[~upper]
    within = share * high.var(dtype=np.float64) + (1 - share) * low.var(dtype=np.float64)
    apart = float(high.mean(dtype=np.float64) - low.mean(dtype=np.float64))
    return apart / max(float(np.sqrt(within)), 1e-9)


def _membership(
    image: NDArray[np.float32], seen: Mask | None, low: float, high: float
) -> NDArray[np.float32]:
    """1 well inside the range, ½ at its ends, 0 well outside, with straight ramps between."""
    values = _seen_of(image, seen)
    inside = values[(values >= low) & (values <= high)]
    if inside.size == 0:
        raise NotApplicable("No voxel of the images lies in the range of values.")
    middle = float(np.median(inside))
    out = np.ones(image.shape, np.float32)
    for border, side in ((low, 1.0), (high, -1.0)):
        if np.isfinite(border):
            half = max(RAMP_SHARE * abs(middle - border), 1e-6)
            np.minimum(out, 0.5 + side * (image - border) / (2 * half), out=out)
    if seen is not None:
        out[~seen] = 0
    return np.clip(out, 0.0, 1.0)
