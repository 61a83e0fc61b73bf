"""What of a query the index can look up: a superset of what matches."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from node.query.asked import Key, Query
from node.query.matching import EMPTY, bare, parse_range
from storage.names import normalised
from storage.query import ANYTHING, Level, Narrowing, Texts

_WILD = re.compile(r"[*?]")


def narrowing(query: Query) -> Narrowing:
    """By what the rows of a query are looked for."""
    keys = {key.keyword: key for key in query.keys if key.is_matched and key.keyword}
    usable = {
        name: key
        for name, key in keys.items()
        if not (query.options.empty_value and EMPTY in key.values)
    }
    first, last = _dates(usable.get("StudyDate"))
    return Narrowing(
        study_uids=_values(usable.get("StudyInstanceUID")),
        series_uids=_values(usable.get("SeriesInstanceUID")),
        sop_uids=_values(usable.get("SOPInstanceUID")),
        patient_id=_text(usable.get("PatientID")),
        patient_name=_name(usable.get("PatientName")),
        accession_number=_text(usable.get("AccessionNumber")),
        first_date=first,
        last_date=last,
        modality=_modality(query.level, usable),
    )


def _values(key: Key | None) -> tuple[str, ...]:
    return tuple(one for one in key.values if one) if key else ()


def _modality(level: Level, keys: dict[str, Key]) -> Texts:
    if level is Level.PATIENT:
        return ANYTHING
    in_study = keys.get("ModalitiesInStudy") if level is Level.STUDY else None
    return _text(keys.get("Modality")) or _text(in_study)


def _text(key: Key | None) -> Texts:
    """Values without wild cards, or the beginning of the one with some."""
    values = [bare(one) for one in _values(key)]
    if not any(map(_WILD.search, values)):
        return Texts(exact=tuple(dict.fromkeys(form for one in values for form in _forms(one))))
    return Texts(prefix=_ascii(_beginning(values[0]))) if len(values) == 1 else ANYTHING


def _forms(text: str) -> Sequence[str]:
    """As somebody else's letters may be composed."""
    if text.isascii():
        return (text,)
    return (text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD")))


def _beginning(text: str) -> str:
    return _WILD.split(text, maxsplit=1)[0]


def _ascii(text: str) -> str:
    """As much of a beginning as is composed in one way only: the letter before may take a mark."""
    plain = re.match(r"[\x00-\x7f]*", text)
    found = plain[0] if plain else ""
    return found if len(found) == len(text) else found[:-1]


def _name(key: Key | None) -> Texts:
    """By the first component group that says anything."""
    values = _values(key)
    if len(values) != 1:
        return ANYTHING
    for group in values[0].split("="):
        if not _WILD.search(group) and normalised(group):
            return Texts(exact=(normalised(group),))
        found = _name_beginning(_beginning(group))
        if found:
            return found
    return ANYTHING


def _name_beginning(text: str) -> Texts:
    """Behind ``A^`` comes more, or the name ends and has left out the delimiter."""
    begins, bare_text = normalised(text), text.rstrip(" ")
    delimiters = len(bare_text) - len(bare_text.rstrip("^"))
    if begins and delimiters:
        return Texts(exact=(begins,), prefix=begins + "^" * delimiters)
    return Texts(prefix=begins)


def _dates(key: Key | None) -> tuple[str, str]:
    values = _values(key)
    if len(values) != 1:
        return "", ""
    span = parse_range("DA", values[0])
    if span is None:
        return "", ""
    first = "" if span.first.year <= 1 else f"{span.first:%Y%m%d}".rjust(8, "0")
    last = "" if span.last.year >= 9999 else f"{span.last:%Y%m%d}".rjust(8, "0")
    return first, last
