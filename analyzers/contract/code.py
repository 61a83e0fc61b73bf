"""A coded concept, as findings, units and families name it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme designator (SCT, DCM, UCUM …) and meaning."""

    value: str
    scheme: str
    meaning: str
