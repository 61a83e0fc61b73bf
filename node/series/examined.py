"""What a header says of the person examined, as an analyzer may know it: no name, no identity."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from pydicom.dataset import Dataset

from analyzers.contract import Subject

_AGE = re.compile(r"^(\d{3})([DWMY])$")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
OLDEST_YEARS, HEAVIEST_KG, TALLEST_M = 130.0, 650.0, 2.8


def subject(header: Dataset) -> Subject:
    """Age, sex, weight, height (PS3.3 C.7.1.1, C.7.2.2); None for what is missing or cannot be."""
    sex = str(header.get("PatientSex") or "").upper()
    return Subject(
        age_years=_age_years(header),
        sex=sex if sex in ("F", "M", "O") else None,
        weight_kg=_number(header.get("PatientWeight"), HEAVIEST_KG),
        height_m=_number(header.get("PatientSize"), TALLEST_M),
    )


def _age_years(header: Dataset) -> float | None:
    """Patient's Age, else the time from birth to the study."""
    stated = _AGE.match(str(header.get("PatientAge") or "").strip())
    if stated:
        return float(stated[1]) * _YEARS[stated[2]]
    born, examined = _date(header.get("PatientBirthDate")), _date(header.get("StudyDate"))
    if born is None or examined is None:
        return None
    years = (examined - born).days / 365.25
    return years if 0 <= years <= OLDEST_YEARS else None


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(str(value or "").strip().replace(".", ""))
    except ValueError:
        return None


def _number(value: Any, largest: float) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number <= largest else None
