"""Grey below, colour above: one picture of two series.

The palettes are those of PS3.6 Annex B (Hot Iron, PET), and one from black over green to white.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Blending, Shades, Volume

_Knots = tuple[tuple[int, int], ...]

_KNOTS: Mapping[str, tuple[_Knots, _Knots, _Knots]] = {
    "hot_iron": (
        ((0, 0), (127, 254), (128, 255)),
        ((128, 0), (254, 252), (255, 255)),
        ((191, 0), (254, 252), (255, 255)),
    ),
    "pet": (
        ((63, 0), (64, 1), (106, 85), (107, 86), (149, 170), (150, 171), (192, 255)),
        (
            *((0, 0), (31, 62), (32, 65), (62, 125), (63, 128), (95, 64), (96, 63)),
            *((127, 1), (128, 0), (254, 252), (255, 255)),
        ),
        (
            *((0, 0), (1, 1), (128, 255), (129, 252), (192, 0), (212, 80), (213, 85)),
            *((233, 165), (234, 170), (254, 250), (255, 255)),
        ),
    ),
    "green": (
        ((128, 0), (255, 255)),
        ((0, 0), (128, 255)),
        ((128, 0), (255, 255)),
    ),
}
PALETTES = tuple(_KNOTS)

SOFT_TISSUE_HU = Shades(-160.0, 240.0)
PET_PERCENTILE = 99.9
PERCENTILES = (1.0, 99.5)


def palette(name: str) -> NDArray[np.uint8]:
    """Red, green and blue of 256 shades, ``(256, 3)``."""
    shades = np.arange(256)
    channels = [np.interp(shades, *np.array(knots).T) for knots in _KNOTS[name]]
    table: NDArray[np.uint8] = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return table


def usual_shades(volume: Volume) -> Shades:
    """What is shown as the darkest and the brightest where nobody asks for another window."""
    if volume.modality == "CT":
        return SOFT_TISSUE_HU
    values = np.nan_to_num(volume.values(np.float32), copy=False)
    if volume.valid is not None:
        values = values[volume.valid]
    if volume.modality == "PT":
        return _apart(0.0, float(np.percentile(values, PET_PERCENTILE, overwrite_input=True)))
    low, high = (float(one) for one in np.percentile(values, PERCENTILES, overwrite_input=True))
    return _apart(low, high)


def _apart(low: float, high: float) -> Shades:
    return Shades(low, high if high > low else low + 1.0)


def blended(
    under: Volume, index: int, above: NDArray[Any], covered: NDArray[np.bool_], how: Blending
) -> NDArray[np.uint8]:
    """sRGB ``(row, column, 3)`` of one slice; grey alone where the companion has no values.

    above, covered: ``(row, column)``.
    """
    values = under.stored[index].astype(np.float32) * np.float32(under.slope[index])
    values += np.float32(under.intercept[index])
    shade = _shade(values, how.under)
    if under.valid is not None:
        shade[~under.valid[index]] = 0
    grey = np.repeat(shade[..., None], 3, axis=-1).astype(np.float32)
    colour = how.palette[_shade(above, how.above)]
    share = np.where(covered, np.float32(how.opacity), np.float32(0))[..., None]
    made: NDArray[np.uint8] = np.rint(grey * (1 - share) + colour * share).astype(np.uint8)
    return made


def _shade(values: NDArray[np.float32], shades: Shades) -> NDArray[np.uint8]:
    share = (values - np.float32(shades.low)) / np.float32(shades.high - shades.low)
    shade: NDArray[np.uint8] = np.rint(np.clip(np.nan_to_num(share), 0, 1) * 255).astype(np.uint8)
    return shade
