"""Units of rule conditions: UCUM symbols and their factor to a common unit of the same kind."""

from __future__ import annotations

_FACTORS: dict[str, tuple[str, float]] = {
    "mm": ("length", 1.0),
    "cm": ("length", 10.0),
    "m": ("length", 1000.0),
    "mm2": ("area", 1.0),
    "cm2": ("area", 100.0),
    "mm3": ("volume", 1.0),
    "mL": ("volume", 1000.0),
    "cm3": ("volume", 1000.0),
    "L": ("volume", 1e6),
    "a": ("time", 1.0),
    "mo": ("time", 1.0 / 12.0),
    "kg": ("mass", 1000.0),
    "g": ("mass", 1.0),
    "mg": ("mass", 0.001),
    "%": ("ratio", 0.01),
    "1": ("ratio", 1.0),
    "{ratio}": ("ratio", 1.0),
    "[hnsf'U]": ("attenuation", 1.0),
    "g/mL{SUVbw}": ("uptake", 1.0),
    "g/ml{SUVbw}": ("uptake", 1.0),
}


class UnknownUnit(ValueError):
    """A unit that no condition can be written in; the message lists those that can."""

    def __init__(self, unit: str) -> None:
        super().__init__(f"unit {unit!r} is not known; known are {', '.join(sorted(_FACTORS))}")


class UnlikeUnits(ValueError):
    """Two units that do not measure the same kind of quantity."""


def require_known(unit: str) -> None:
    """
    Raises
    ------
    UnknownUnit
    """
    if unit not in _FACTORS:
        raise UnknownUnit(unit)


def convert(value: float, unit: str, to: str) -> float:
    """A value in another unit of the same kind.

    Raises
    ------
    UnknownUnit, UnlikeUnits
    """
    if unit == to:
        return value
    require_known(unit)
    require_known(to)
    (kind, factor), (wanted, per) = _FACTORS[unit], _FACTORS[to]
    if kind != wanted:
        raise UnlikeUnits(f"{unit} ({kind}) cannot be compared with {to} ({wanted})")
    return value * factor / per
