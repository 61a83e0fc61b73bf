"""Window presets: the usual windows of a modality, as states in which the series can be shown.

No pixel is computed anew: a viewer takes a preset from its list, and measures on the original.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from analyzers import families
from analyzers.contract import (
    About,
    Code,
    Findings,
    InputContract,
    Limits,
    NotApplicable,
    Parameter,
    Parameters,
    Shades,
    Volume,
    WindowPreset,
    no_suv,
)
from analyzers.filters import derived

CT_HU: Mapping[str, Shades] = {
    "soft_tissue": Shades(-160, 240),
    "lung": Shades(-1350, 150),
    "mediastinum": Shades(-125, 225),
    "bone": Shades(-500, 1300),
    "liver": Shades(-20, 180),
    "brain": Shades(0, 80),
    "subdural": Shades(-30, 180),
    "angiography": Shades(0, 600),
}
"""Usual windows; they differ by a few tens of HU from house to house."""
PET_SUV: Mapping[str, Shades] = {
    "suv_5": Shades(0, 5),
    "suv_10": Shades(0, 10),
    "suv_20": Shades(0, 20),
}
MR_PERCENT: Mapping[str, Shades] = {
    "whole_range": Shades(0, 100),
    "usual": Shades(1, 99.5),
    "high_contrast": Shades(10, 95),
}
"""MR has no units: shares of the voxels of the series that are darker."""
KNOWN = (*CT_HU, *PET_SUV, *MR_PERCENT)


@dataclass(frozen=True, slots=True)
class WindowPresetsParameters(Parameters):
    """Which presets are made."""

    presets: Annotated[
        tuple[str, ...], Parameter("presets; empty: all of the modality", choices=KNOWN)
    ] = ()


class WindowPresets:
    """Offers the windows of a modality as presentation states."""

    name: ClassVar[str] = "window_presets"
    version: ClassVar[str] = "1.0.1"
    title: ClassVar[str] = "Window presets"
    about: ClassVar[About] = About(
        purpose="Gives the usual windows of a modality.",
        gives=("a presentation state for each window",),
    )
    family: ClassVar[Code] = families.HISTOGRAM_ANALYSIS
    inputs: ClassVar[InputContract] = derived.INPUTS
    limits: ClassVar[Limits] = Limits(time_s=120.0, memory_mb=4096)
    parameters: ClassVar[type[WindowPresetsParameters]] = WindowPresetsParameters

    def __init__(self, device: str) -> None:
        """device: accepted for the contract's sake; there is next to nothing to compute."""
        self.device = device

    def analyze(self, volume: Volume, parameters: WindowPresetsParameters) -> Findings:
        """One preset for each name.

        Raises
        ------
        NotApplicable
            The series holds no image, its values have no unit that a preset could be given in, or
            none of the names belongs to its modality.
        """
        derived.require_image(volume)
        known = _known(volume)
        names = [name for name in parameters.presets or known if name in known]
        if not names:
            raise NotApplicable(f"None of the presets asked for is one of {volume.modality}.")
        items = tuple(WindowPreset(name.replace("_", " "), known[name]) for name in names)
        return Findings(items, ("The pixels are unchanged.",))


def _known(volume: Volume) -> dict[str, Shades]:
    """The presets of the modality, in the units of the series."""
    if volume.modality == "CT":
        return dict(CT_HU)
    if volume.modality == "PT":
        return _of_pet(volume)
    finite = _finite(volume)
    if finite.size == 0 or finite.min() == finite.max():
        raise NotApplicable("All voxels have the same value: there is no contrast to be shown.")
    return {name: _percentiles(finite, share) for name, share in MR_PERCENT.items()}


def _finite(volume: Volume) -> NDArray[np.float32]:
    """The measured values, one after the other: no copy of all that was not is held."""
    from analyzers.grid.value_planes import ValuePlanes

    found, count = np.empty(volume.stored.size, np.float32), 0
    for z, plane in enumerate(ValuePlanes(volume)):
        wanted = np.isfinite(plane)
        if volume.valid is not None:
            wanted &= volume.valid[z]
        values = plane[wanted]
        found[count : count + values.size] = values
        count += values.size
    return found[:count]


def _of_pet(volume: Volume) -> dict[str, Shades]:
    if not volume.suv_factor:
        raise NotApplicable(no_suv(volume))
    one = 1 / volume.suv_factor
    return {name: Shades(suv.low * one, suv.high * one) for name, suv in PET_SUV.items()}


def _percentiles(values: NDArray[np.float32], share: Shades) -> Shades:
    """The values lie in another order then."""
    found = np.percentile(values, (share.low, share.high), overwrite_input=True)
    low, high = (float(v) for v in found)
    return Shades(low, high if high > low else float(values.max()))
