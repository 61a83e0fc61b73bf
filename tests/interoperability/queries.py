"""Queries made from a seed, each of one kind of matching."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from tests.interoperability.corpus import values

UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}

Keys = dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One query. ``kind`` says what it is about, ``clause`` where PS3.4 tells how it is matched."""

    kind: str
    clause: str
    level: str
    keys: Keys
    patient_root: bool = False
    decided: bool = True
    """Whether the standard says what is found; else each may differ."""

    @property
    def unique(self) -> str:
        return UNIQUE[self.level]

    def identifier(self) -> Dataset:
        identifier = Dataset()
        identifier.SpecificCharacterSet = "ISO_IR 100"
        identifier.QueryRetrieveLevel = self.level
        setattr(identifier, self.unique, "")
        for keyword, value in self.keys.items():
            setattr(identifier, keyword, int(value) if keyword == "Rows" else value)  # type: ignore[arg-type]
        return identifier


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes queries about values that exist, and some that do not."""

    images: Sequence[Dataset]
    chance: random.Random
    known: dict[str, list[str]] = field(default_factory=dict)

    def some(self, keyword: str) -> str:
        if keyword not in self.known:
            self.known[keyword] = values(self.images, keyword)
        return self.chance.choice(self.known[keyword])

    def one_of(self, *values: str) -> str:
        return self.chance.choice(values)


def generated(images: Sequence[Dataset], count: int, seed: int) -> list[Asked]:
    """So many, of each kind about as many."""
    maker = Maker(images, random.Random(seed))
    kinds = list(_KINDS)
    return [kinds[number % len(kinds)](maker) for number in range(count)]


# --- kinds ----------------------------------------------------------------------------------------

_SINGLE, _UID_LIST, _UNIVERSAL = "C.2.2.2.1", "C.2.2.2.2", "C.2.2.2.3"
_WILDCARD, _RANGE, _SEVERAL = "C.2.2.2.4", "C.2.2.2.5", "C.2.2.2.1"
_MODALITIES, _RELATIONAL = "C.3.4", "C.4.1.2.2.1"


def _patient_id(make: Maker) -> Asked:
    return Asked("single value, LO", _SINGLE, "STUDY", {"PatientID": make.some("PatientID")})


def _other_case(make: Maker) -> Asked:
    value = make.some("PatientID").swapcase()
    return Asked("LO in other case", _SINGLE, "STUDY", {"PatientID": value})


def _accession(make: Maker) -> Asked:
    value = make.some("AccessionNumber")
    return Asked("single value, SH", _SINGLE, "STUDY", {"AccessionNumber": value})


def _id_by_wildcard(make: Maker) -> Asked:
    value = make.some("PatientID")
    asked = make.one_of(f"{value[:3]}*", f"*{value[-3:]}", f"{value[:-1]}?", f"?{value[1:]}", "*")
    return Asked("wildcard, LO", _WILDCARD, "STUDY", {"PatientID": asked})


def _description(make: Maker) -> Asked:
    value = make.some("StudyDescription")
    asked = make.one_of(value, f"{value[:3]}*", f"*{value[-4:]}", value.swapcase())
    kind = "wildcard, LO" if "*" in asked else "single value, LO"
    clause = _WILDCARD if "*" in asked else _SINGLE
    return Asked(kind, clause, "STUDY", {"StudyDescription": asked})


def _name(make: Maker) -> Asked:
    return Asked("name", _SINGLE, "STUDY", {"PatientName": make.some("PatientName")})


def _name_in_other_case(make: Maker) -> Asked:
    value = make.some("PatientName").swapcase()
    return Asked("name in other case", _SINGLE, "STUDY", {"PatientName": value}, decided=False)


def _name_by_wildcard(make: Maker) -> Asked:
    value = make.some("PatientName")
    family = value.split("^")[0]
    asked = make.one_of(
        f"{family}*", f"{family[:3]}*", f"*{value[-3:]}", f"{family}^*", "*^J*", "*"
    )
    return Asked("name by wildcard", _WILDCARD, "STUDY", {"PatientName": asked})


def _name_with_empty_components(make: Maker) -> Asked:
    value = make.some("PatientName") + make.one_of("^", "^^", "=", "^^^^")
    return Asked(
        "name, empty components at its end", "PS3.5 6.2.1.1", "STUDY", {"PatientName": value}
    )


def _referrer(make: Maker) -> Asked:
    value = make.some("ReferringPhysicianName")
    asked = make.one_of(value, value.split("^")[0] + "*", f"*{value[-4:]}")
    return Asked("another name", _WILDCARD, "STUDY", {"ReferringPhysicianName": asked})


def _date(make: Maker) -> Asked:
    return Asked("date", _SINGLE, "STUDY", {"StudyDate": make.some("StudyDate")})


def _date_range(make: Maker) -> Asked:
    first, last = sorted((make.some("StudyDate"), make.some("StudyDate")))
    asked = make.one_of(f"{first}-{last}", f"{first}-", f"-{last}", f"{first}-{first}")
    return Asked("range of dates", _RANGE, "STUDY", {"StudyDate": asked})


def _any_date(make: Maker) -> Asked:
    value = make.one_of("-", "*")
    keys: Keys = {"StudyDate": value, "PatientID": make.some("PatientID")}
    return Asked("'-' or '*' for a date", _RANGE, "STUDY", keys, decided=False)


def _birth_date(make: Maker) -> Asked:
    value = make.some("PatientBirthDate")
    asked = make.one_of(value, f"{value}-", f"-{value}")
    kind = "range of dates" if "-" in asked else "date"
    clause = _RANGE if "-" in asked else _SINGLE
    return Asked(kind, clause, "STUDY", {"PatientBirthDate": asked})


def _time(make: Maker) -> Asked:
    return Asked("time", _SINGLE, "STUDY", {"StudyTime": make.some("StudyTime")}, decided=False)


def _time_range(make: Maker) -> Asked:
    asked = make.one_of(
        "080000-120000", "0900-0930", "093000-", "-093000", "140000-140000.5", "09-10"
    )
    return Asked("range of times", _RANGE, "STUDY", {"StudyTime": asked}, decided=False)


def _date_and_time(make: Maker) -> Asked:
    first, last = sorted((make.some("StudyDate"), make.some("StudyDate")))
    keys: Keys = {"StudyDate": f"{first}-{last}", "StudyTime": "100000-150000"}
    return Asked("ranges of date and time, apart", _RANGE, "STUDY", keys)


def _modality(make: Maker) -> Asked:
    keys: Keys = {
        "StudyInstanceUID": make.some("StudyInstanceUID"),
        "Modality": make.one_of("CT", "MR", "C?", "*", "XX"),
    }
    return Asked("modality", _WILDCARD, "SERIES", keys)


def _modalities(make: Maker) -> Asked:
    value = make.one_of("CT", "PT", "C*", "XX")
    keys: Keys = {"ModalitiesInStudy": value, "StudyDate": "20200101-20210101"}
    return Asked("modalities in study", _MODALITIES, "STUDY", keys)


def _several_modalities(make: Maker) -> Asked:
    value = list(make.chance.choice((("CT", "PT"), ("UX", "CT"), ("NM", "US", "CR"))))
    keys: Keys = {"ModalitiesInStudy": value, "StudyDate": "20200101-20210101"}
    return Asked("several modalities in study", _MODALITIES, "STUDY", keys)


def _uid(make: Maker) -> Asked:
    level = make.one_of("STUDY", "SERIES", "IMAGE")
    unique = UNIQUE[level]
    return Asked("UID, without those above", _RELATIONAL, level, {unique: make.some(unique)})


def _uid_list(make: Maker) -> Asked:
    count = make.chance.choice((2, 10, 60))
    uids = [make.some("StudyInstanceUID") for _ in range(count)] + ["2.25.999"]
    return Asked("list of UIDs", _UID_LIST, "STUDY", {"StudyInstanceUID": uids})


def _empty(make: Maker) -> Asked:
    keys: Keys = {"PatientID": make.some("PatientID"), "StudyDescription": ""}
    return Asked("empty key", _UNIVERSAL, "STUDY", keys)


def _number(make: Maker) -> Asked:
    value = make.one_of("1", "2", "3", "01", "+1")
    keys: Keys = {
        "StudyInstanceUID": make.some("StudyInstanceUID"),
        "SeriesNumber": value,
    }
    return Asked(
        "number, IS", "CP-2305", "SERIES", keys, decided=value.isdigit() and value[0] != "0"
    )


def _series_of_patient(make: Maker) -> Asked:
    keys: Keys = {"PatientID": make.some("PatientID")}
    return Asked("series without the study's key", _RELATIONAL, "SERIES", keys, decided=False)


def _images_of_series(make: Maker) -> Asked:
    series = make.some("SeriesInstanceUID")
    keys: Keys = {
        "StudyInstanceUID": series.rpartition(".")[0],
        "SeriesInstanceUID": series,
        "InstanceNumber": make.one_of("", "1", "2"),
    }
    return Asked("images of a series", _SINGLE, "IMAGE", keys)


def _image_type(make: Maker) -> Asked:
    series = make.some("SeriesInstanceUID")
    keys: Keys = {
        "StudyInstanceUID": series.rpartition(".")[0],
        "SeriesInstanceUID": series,
        "ImageType": make.one_of("AXIAL", "LOCALIZER", "ORIGINAL"),
    }
    return Asked("one of several values", _SEVERAL, "IMAGE", keys)


def _rows(make: Maker) -> Asked:
    series = make.some("SeriesInstanceUID")
    keys: Keys = {
        "StudyInstanceUID": series.rpartition(".")[0],
        "SeriesInstanceUID": series,
        "Rows": make.one_of("8", "16", "24"),
    }
    return Asked("Rows, US", _SINGLE, "IMAGE", keys)


def _patients(make: Maker) -> Asked:
    keys: Keys = {
        "PatientName": make.some("PatientName")[:3] + "*",
        "PatientSex": make.one_of("", "F", "M"),
    }
    return Asked("patients", _WILDCARD, "PATIENT", keys, patient_root=True)


def _studies_of_patient(make: Maker) -> Asked:
    keys: Keys = {"PatientID": make.some("PatientID"), "StudyDate": "20200101-"}
    return Asked("studies of a patient", _RANGE, "STUDY", keys, patient_root=True)


_KINDS: tuple[Callable[[Maker], Asked], ...] = (
    _patient_id, _other_case, _accession, _id_by_wildcard, _description, _name, _name_in_other_case,
    _name_by_wildcard, _name_with_empty_components, _referrer, _date, _date_range, _any_date,
    _birth_date, _time, _time_range, _date_and_time, _modality, _modalities, _several_modalities,
    _uid, _uid_list, _empty, _number, _series_of_patient, _images_of_series, _image_type, _rows,
    _patients, _studies_of_patient,
)  # fmt: skip
