"""What a header says of the person examined, as an analyzer may know it: no name, no identity."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydicom.dataset import Dataset

from analyzers.contract import Subject
from node.series.geometry import MixedPatients
from storage.header import values
from storage.header.values import Unknown
from storage.identity import IDENTITY, disagreements

_AGE = re.compile(r"([0-9]{3})([DWMY])")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
OLDEST_YEARS, HEAVIEST_KG, TALLEST_M = 130.0, 650.0, 2.8


def subject(header: Dataset) -> Subject:
    """Age, sex, weight, height (PS3.3 C.7.1.1, C.7.2.2); None for what is missing or cannot be."""
    sex = values.text(header, "PatientSex").upper()
    return Subject(
        age_years=_age_years(header),
        sex=sex if sex in ("F", "M", "O") else None,
        weight_kg=_number(header, "PatientWeight", HEAVIEST_KG),
        height_m=_number(header, "PatientSize", TALLEST_M),
    )


def require_one_patient(headers: Iterable[Dataset]) -> None:
    """All images show the same person.

    Raises
    ------
    MixedPatients
    """
    found = disagreements(
        {word: values.text(header, word) for word in IDENTITY} for header in headers
    )
    if found:
        raise MixedPatients(tuple(values.named(word) for word in found))


def _age_years(header: Dataset) -> float | None:
    """Patient's Age, else the time from birth to the study."""
    stated = _AGE.fullmatch(values.text(header, "PatientAge"))
    if stated:
        return _possible(float(stated[1]) * _YEARS[stated[2]])
    born, examined = values.day(header, "PatientBirthDate"), values.day(header, "StudyDate")
    if isinstance(born, Unknown) or isinstance(examined, Unknown):
        return None
    return _possible((examined - born).days / 365.25)


def _possible(years: float) -> float | None:
    return years if 0 <= years <= OLDEST_YEARS else None


def _number(header: Dataset, keyword: str, largest: float) -> float | None:
    number = values.known(values.number(header, keyword))
    return number if number is not None and 0 < number <= largest else None
