"""The one place where a value of a foreign header is converted.

``number``, ``whole``, ``text``, ``day``, ``time_of_day``, ``moment`` … read a value by the grammar
of its representation (PS3.5 6.2), and give ``Unknown`` with the reason where it does not keep to
it; pydicom alone takes "0928" for 09:02:08 and "1_0" for 10. No reason holds anything of a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from pydicom.datadict import dictionary_description
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items
from pydicom.valuerep import PersonName

from storage.header.guarded import DAMAGED, GuardedItem

_T = TypeVar("_T")


# --- what is not known ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a value is not known, in words that hold nothing of it."""

    keyword: str
    problem: str = "is not given"

    @property
    def is_given(self) -> bool:
        return self.problem != "is not given"

    def __str__(self) -> str:
        return f"{named(self.keyword)} {self.problem}"


def named(keyword: str) -> str:
    """The attribute's name in the standard."""
    try:
        return dictionary_description(keyword)
    except KeyError:
        return keyword


def known(value: _T | Unknown) -> _T | None:
    """The value, or None where it is not known."""
    return None if isinstance(value, Unknown) else value


# --- reading a value ------------------------------------------------------------------------------


def value(holder: Dataset, keyword: str) -> Any:
    """What pydicom made of a value; None where it is missing, empty or damaged."""
    try:
        found = holder.get(keyword)
    except DAMAGED:
        return None
    return None if found is None or found in ("", b"") else found


def is_damaged(holder: Dataset, keyword: str) -> bool:
    """Whether there is a value that cannot be converted."""
    if isinstance(holder, GuardedItem):
        value(holder, keyword)
        return holder.is_damaged(keyword)
    try:
        holder.get(keyword)
    except DAMAGED:
        return True
    return False


def element(holder: Dataset, keyword: str) -> DataElement | None:
    """The element as it can be converted; None where it is missing or damaged."""
    try:
        if keyword not in holder:
            return None
        found = holder[keyword]
    except DAMAGED:
        return None
    return None if is_damaged(holder, keyword) else found


def items(holder: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is missing, damaged or no sequence."""
    found = value(holder, keyword)
    return list(found) if isinstance(found, Items) else []


def item(holder: Dataset, keyword: str) -> Dataset:
    """The first item of a sequence, or an empty one."""
    found = items(holder, keyword)
    return found[0] if found else Dataset()


def texts(holder: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a text or a code string, each without its padding."""
    found = value(holder, keyword)
    parts = found if isinstance(found, MultiValue | list | tuple) else [found]
    return tuple(_stripped(part) for part in parts if isinstance(part, str | PersonName))


def text(holder: Dataset, keyword: str) -> str:
    """A text without its padding; empty where there is none. Several values keep backslashes."""
    return "\\".join(texts(holder, keyword)).strip("\\")


def spelt(part: object) -> str:
    """One value as it was written: a number with all its digits. Empty for none."""
    if part is None:
        return ""
    written = getattr(part, "original_string", None)
    return written if isinstance(written, str) else str(part)


def _stripped(part: object) -> str:
    return str(part).strip(" \0\t\r\n")


_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def uid(holder: Dataset, keyword: str) -> str:
    """A UID of whatever root (PS3.5 9); empty where there is none."""
    given = text(holder, keyword)
    return given if len(given) <= 64 and _UID.fullmatch(given) else ""


def number(holder: Dataset, keyword: str) -> float | Unknown:
    """One finite number."""
    found = numbers(holder, keyword)
    if isinstance(found, Unknown):
        return found
    return found[0] if len(set(found)) == 1 else Unknown(keyword, "has more than one value")


def numbers(holder: Dataset, keyword: str) -> tuple[float, ...] | Unknown:
    """All numbers of an attribute, each of them finite."""
    found = value(holder, keyword)
    if found is None:
        damaged = is_damaged(holder, keyword)
        return Unknown(keyword, "is not a number") if damaged else Unknown(keyword)
    parts = found if isinstance(found, MultiValue | list | tuple) else [found]
    if not parts or all(part in (None, "") for part in parts):
        return Unknown(keyword)
    read = [as_number(part) for part in parts]
    if any(part is None for part in read):
        return Unknown(keyword, "is not a number")
    finite = tuple(part for part in read if part is not None and abs(part) < float("inf"))
    return finite if len(finite) == len(read) else Unknown(keyword, "is not a finite number")


_DECIMAL = re.compile(r" *[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *")
_NOT_FINITE = re.compile(r" *[+-]?(nan|inf|infinity) *", re.IGNORECASE)


def as_number(part: object) -> float | None:
    """A number as DS and IS spell it, or a binary one; None where it is neither.

    Not finite where the value is, or is spelt "NaN" or "inf".
    """
    spelt = getattr(part, "original_string", part)
    if isinstance(spelt, bool) or not isinstance(spelt, str | int | float):
        return float(str(part)) if type(part).__name__ in ("Decimal", "DSdecimal") else None
    if isinstance(spelt, str):
        bare = spelt.strip("\0")
        if not (_DECIMAL.fullmatch(bare) or _NOT_FINITE.fullmatch(bare)):
            return None
        spelt = bare
    try:
        read = float(spelt)
    except (ValueError, OverflowError):
        return None
    return float("inf") if read != read else read


def whole(holder: Dataset, keyword: str) -> int | Unknown:
    """One whole number."""
    found = number(holder, keyword)
    if isinstance(found, Unknown):
        return found
    return int(found) if found.is_integer() else Unknown(keyword, "is not a whole number")


def private_number(holder: Dataset, group: int, creator: str, place: int) -> float | None:
    """A finite number of a vendor, from the block that the vendor has reserved (PS3.5 7.8.1)."""
    try:
        found = holder.private_block(group, creator)[place].value
    except DAMAGED:
        return None
    read = as_number(found.decode("ascii", "replace") if isinstance(found, bytes) else found)
    return read if read is not None and abs(read) < float("inf") else None


# --- dates and times ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, and as much of a time as is given.

    offset: of the clock from UTC; None: the value does not say.
    """

    day: date
    time: timedelta | None
    offset: timedelta | None

    @property
    def clock(self) -> datetime:
        """What the clock on the wall showed."""
        return at(self.day, self.time or timedelta(0))


def at(day: date, time: timedelta) -> datetime:
    """A day and the time since its midnight; second 60 is the next minute."""
    return datetime(day.year, day.month, day.day) + time


def day(holder: Dataset, keyword: str) -> date | Unknown:
    """A DA value."""
    return _parsed(holder, keyword, parse_date, "is not a date")


def time_of_day(holder: Dataset, keyword: str) -> timedelta | Unknown:
    """A TM value, since midnight."""
    return _parsed(holder, keyword, parse_time, "is not a time of day")


def moment(holder: Dataset, keyword: str) -> Moment | Unknown:
    """A DT value that gives at least the day."""
    return _parsed(holder, keyword, parse_moment, "is not a date and time")


def offset(holder: Dataset, keyword: str) -> timedelta | Unknown:
    """A difference from UTC as (0008,0201) spells it."""
    return _parsed(holder, keyword, parse_offset, "is no offset from UTC")


def _parsed(
    holder: Dataset, keyword: str, parse: Callable[[str], _T | None], problem: str
) -> _T | Unknown:
    given = texts(holder, keyword)
    if is_damaged(holder, keyword):
        return Unknown(keyword, problem)
    if not any(given):
        return Unknown(keyword)
    parsed = parse(given[0]) if len(set(given)) == 1 else None
    return Unknown(keyword, problem) if parsed is None else parsed


_DA = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})|([0-9]{4})\.([0-9]{2})\.([0-9]{2})")
_TM = re.compile(
    r"([01][0-9]|2[0-3])(?:([0-5][0-9])(?:([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?"
    r"|([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]|60)(\.[0-9]{1,6})?)?"
)
_DT = re.compile(r"([0-9]{8})([0-9.]*)([+-][0-9]{4})?")
_OFFSET = re.compile(r"([+-])([0-9]{2})([0-5][0-9])")
_EAST, _WEST = timedelta(hours=14), timedelta(hours=-12)


def parse_date(given: str) -> date | None:
    """YYYYMMDD, and YYYY.MM.DD as ACR-NEMA had it (PS3.5 6.2, DA)."""
    match = _DA.fullmatch(given)
    if match is None:
        return None
    year, month, on = (int(part) for part in match.groups() if part is not None)
    try:
        return date(year, month, on)
    except ValueError:
        return None


def parse_time(given: str) -> timedelta | None:
    """HH, HHMM or HHMMSS with a fraction, and HH:MM:SS as ACR-NEMA had it (PS3.5 6.2, TM).

    What is not given counts as zero.
    """
    match = _TM.fullmatch(given)
    if match is None:
        return None
    groups = match.groups()
    hours, minutes, seconds, part = groups[:4] if groups[0] is not None else groups[4:]
    micro = int(part[1:].ljust(6, "0")) if part else 0
    return timedelta(
        hours=int(hours), minutes=int(minutes or 0), seconds=int(seconds or 0), microseconds=micro
    )


def parse_moment(given: str) -> Moment | None:
    """YYYYMMDD, then a time as in TM, then an offset from UTC (PS3.5 6.2, DT)."""
    match = _DT.fullmatch(given)
    on = parse_date(match[1]) if match else None
    if match is None or on is None:
        return None
    time = parse_time(match[2]) if match[2] else None
    shift = parse_offset(match[3]) if match[3] else None
    if (match[2] and time is None) or (match[3] and shift is None):
        return None
    return Moment(on, time, shift)


def parse_offset(given: str) -> timedelta | None:
    """From -1200 to +1400; -0000 is not allowed (PS3.5 6.2, DT; PS3.3 C.12.1.1.8)."""
    match = _OFFSET.fullmatch(given)
    if match is None or given == "-0000":
        return None
    size = timedelta(hours=int(match[2]), minutes=int(match[3]))
    shift = -size if match[1] == "-" else size
    return shift if _WEST <= shift <= _EAST else None


def is_offset(shift: timedelta) -> bool:
    """Whether a clock on earth can be so far from UTC: zones differ by quarters of an hour."""
    return _WEST <= shift <= _EAST and shift % timedelta(minutes=15) == timedelta(0)
