"""Conditions on a series' header. Pure functions; owns what a rule's ``when`` means."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from node.config.rules import Condition, ExistsCondition, MatchesCondition, RangeCondition
from storage.records import Header

IDENTIFYING = frozenset(
    {
        "AccessionNumber", "IssuerOfPatientID", "PatientBirthDate", "PatientID", "PatientName",
        "ReferringPhysicianName", "SeriesInstanceUID", "SOPInstanceUID", "StudyID",
        "StudyInstanceUID",
    }
)  # fmt: skip
"""Their values stay out of the reasons, which stand on the status page and in reports."""

_CODED = frozenset({"CS", "DS", "IS", "US", "SS", "UL", "SL", "FD", "FL", "UI"})
_CODE = re.compile(r"[A-Z0-9_ .+\-]{1,64}")
"""A code string, a number or a UID."""


def unmet(when: Mapping[str, Condition], header: Header) -> tuple[str, ...]:
    """The conditions that a header does not meet, in words; empty when the rule fires.

    A multi-valued attribute meets a condition when one of its values does. Text is compared
    without regard to case or padding, as DICOM code strings are.
    """
    reasons = (_reason(keyword, wanted, header.get(keyword)) for keyword, wanted in when.items())
    return tuple(reason for reason in reasons if reason)


def _reason(keyword: str, wanted: Condition, found: object) -> str:
    values = [value for value in _as_list(found) if value not in (None, "")]
    if isinstance(wanted, ExistsCondition):
        if bool(values) == wanted.exists:
            return ""
        return f"{keyword} is {'missing' if wanted.exists else 'present'}"
    if not values:
        return f"{keyword} is missing"
    if any(_meets(value, wanted) for value in values):
        return ""
    return f"{keyword} is {_said(keyword, values)}, not {_describe(wanted)}"


def _meets(value: object, wanted: Condition) -> bool:
    match wanted:
        case RangeCondition():
            return _in_range(value, wanted)
        case MatchesCondition():
            return re.search(wanted.matches, str(value)) is not None
        case list():
            return any(_equal(value, one) for one in wanted)
        case _:
            return _equal(value, wanted)


def _equal(value: object, wanted: object) -> bool:
    if isinstance(wanted, str):
        return str(value).strip().casefold() == wanted.strip().casefold()
    number = _number(value)
    return number is not None and number == _number(wanted)


def _in_range(value: object, wanted: RangeCondition) -> bool:
    number = _number(value)
    if number is None:
        return False
    above = wanted.min is None or number >= wanted.min
    return above and (wanted.max is None or number <= wanted.max)


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _describe(wanted: Condition) -> str:
    match wanted:
        case RangeCondition(min=low, max=high):
            return f"from {'-∞' if low is None else low} to {'∞' if high is None else high}"
        case MatchesCondition():
            return f"matched by {wanted.matches!r}"
        case list():
            return "one of " + ", ".join(str(one) for one in wanted)
        case _:
            return str(wanted)


def _said(keyword: str, values: list[object]) -> str:
    """Codes and numbers as they are; what may be free text, and so a name, is only "another"."""
    is_coded = dictionary_has_tag(keyword) and dictionary_VR(keyword) in _CODED
    if keyword in IDENTIFYING or not is_coded:
        return "another"
    return _words(values) if all(_CODE.fullmatch(str(one)) for one in values) else "another"


def _words(values: list[object]) -> str:
    return "\\".join(str(value) for value in values[:8])


def _as_list(found: object) -> list[object]:
    if isinstance(found, list | tuple):
        return list(found)
    return [found]
