"""Synthetic series, small enough to test with, real enough for an analyzer to have a say.

No anatomy is claimed: shapes, values and noise in the range of the modality.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import FDG, InputContract, SeriesFacts, Subject, Tracer, Volume

SHAPE = (34, 58, 88)
SPACING_MM = (6.0, 4.0, 4.0)
PROJECTIONS = frozenset({"CR", "DX"})
_PREFERRED = ("CT", "MR", "PT", "DX", "CR")


def example(inputs: InputContract) -> Volume:
    """A series that meets an input contract: CT where it may be CT, else MR, PET, a radiograph."""
    modality = next((one for one in _PREFERRED if one in inputs.modalities), min(inputs.modalities))
    if modality in PROJECTIONS:
        return volume(radiograph(), modality)
    pictures = {"CT": torso, "MR": head, "PT": uptake}
    return volume(pictures.get(modality, head)(), modality)


def volume(
    values: NDArray[Any],
    modality: str,
    *,
    affine: NDArray[np.float64] | None = None,
    intercept: float = 0.0,
) -> Volume:
    """A read-only axial volume (writing to it raises) with what a complete header would tell."""
    stored = np.ascontiguousarray(values)
    stored.setflags(write=False)
    count = len(stored)
    return Volume(
        stored=stored,
        affine=grid() if affine is None else affine,
        modality=modality,
        slope=np.ones(count),
        intercept=np.full(count, intercept),
        projection=modality in PROJECTIONS,
        suv_factor=0.001 if modality == "PT" else None,
        tracer=Tracer(FDG, "F-18") if modality == "PT" else Tracer(),
        subject=Subject(age_years=60.0, sex="F", weight_kg=70.0, height_m=1.7),
        facts=SeriesFacts(modality, count, count, spacing_mm=SPACING_MM[0]),
    )


def in_round_field(of: Volume, padding: int) -> Volume:
    """As from a scanner with a round field of view: outside of it a padding value was stored."""
    _, rows, columns = of.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    valid = np.broadcast_to(np.hypot(y, x) <= 1, of.shape)
    limits = np.iinfo(of.stored.dtype)
    value = np.clip(padding, limits.min, limits.max).astype(of.stored.dtype)
    stored = np.where(valid, of.stored, value)
    stored.setflags(write=False)
    return dataclasses.replace(of, stored=stored, valid=valid)


def grid() -> NDArray[np.float64]:
    """The affine of an axial series with ``SPACING_MM``: index → LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag(SPACING_MM)[::-1]
    return affine


def torso() -> NDArray[np.int16]:
    """A torso with lungs and a spine, in HU."""
    z, y, x = _millimetres()
    hu = np.full(SHAPE, -1000.0)
    hu[(x / 160) ** 2 + (y / 105) ** 2 <= 1] = 40
    for centre, radius in ((70, 45), (-72, 50)):
        hu[(z / 80) ** 2 + (y / 65) ** 2 + ((x - centre) / radius) ** 2 <= 1] = -850
    spine = np.hypot(y - 75, x)
    hu[spine < 18] = 700
    hu[spine < 12] = 250
    return _with_noise(hu, 10)


def head() -> NDArray[np.int16]:
    """A head with a bright rim and two structures of other brightness inside."""
    z, y, x = _millimetres()
    distance = np.sqrt((z / 90) ** 2 + (y / 100) ** 2 + (x / 80) ** 2)
    signal = np.where(distance <= 1, 400.0, 0.0)
    signal[(distance > 0.92) & (distance <= 1)] = 800
    for side, brightness in ((-30, 600), (30, 250)):
        signal[np.sqrt((z / 1.5) ** 2 + y**2 + (x - side) ** 2) < 18] = brightness
    return np.maximum(_with_noise(signal, 12), 0)


def uptake() -> NDArray[np.int16]:
    """A body with two hot spots: SUV 1 in the background, 8 and 12 in the spots."""
    z, y, x = _millimetres()
    activity = np.where((x / 160) ** 2 + (y / 105) ** 2 <= 1, 1000.0, 20.0)
    for centre, level in (((0, 20, 60), 8000), ((30, -30, -60), 12000)):
        away = np.sqrt((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
        activity[away < 20] = level
    return np.maximum(_with_noise(activity, 30), 0)


def radiograph() -> NDArray[np.int16]:
    """A frontal chest-like projection ``(1, 256, 256)``, brighter is denser."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    signal = 2600 - 700 * np.hypot(x, y * 0.8)
    for centre in (-0.45, 0.45):
        signal[((x - centre) / 0.3) ** 2 + (y / 0.65) ** 2 <= 1] -= 1200
    rng = np.random.default_rng(5)
    picture: NDArray[np.int16] = np.rint(signal + rng.normal(0, 25, signal.shape)).astype(np.int16)
    return picture[None]


def _millimetres() -> list[NDArray[np.float64]]:
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, SPACING_MM, strict=True)]
    return list(np.meshgrid(*axes, indexing="ij"))


def _with_noise(values: NDArray[np.float64], deviation: float) -> NDArray[np.int16]:
    noise = np.random.default_rng(11).normal(0, deviation, values.shape)
    noisy: NDArray[np.int16] = np.rint(values + noise).astype(np.int16)
    return noisy
