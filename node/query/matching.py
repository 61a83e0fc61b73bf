"""Whether a value matches a key (PS3.4 C.2.2.2): pure, and one way for C-FIND and QIDO-RS.

A value is the text of its values, one string each; an attribute that is absent or empty has none.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from storage.header.values import at, parse_offset, parse_time
from storage.names import normalised

WILD = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
"""Representations with wild cards. PS3.4 C.2.2.2.4."""
NUMBERS = frozenset(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"))
"""Compared as numbers: to the standard this is the implementation's choice (CP-2305)."""
MOMENTS = frozenset(("DA", "DT", "TM"))
UNMATCHED = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
"""Bytes: such a key asks for the value and matches anything."""
ALL_OF = frozenset(("AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"))
"""Representations of Multiple Value Matching. PS3.4 C.2.2.2.8."""
EMPTY = '""'
"""The key that matches what is empty, where that is negotiated. PS3.4 C.2.2.2.7."""
ANY = frozenset(("", "*", "-"))
"""Dates and times with which clients say "any", beside the empty ones."""
COMPONENTS = 5
"""Of a person's name, between ``^``. PS3.5 6.2.1."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was negotiated (PS3.4 C.5.1.1), or asked for over the web."""

    combined_datetime: bool = False
    empty_value: bool = False
    multiple_value: bool = False


PLAIN = Options()
"""Nothing was."""

Test = Callable[[str], bool]
Matcher = Callable[[Sequence[str]], bool]


def is_universal(vr: str, wanted: Sequence[str]) -> bool:
    """Whether a key matches everything, and only asks for the value. PS3.4 C.2.2.2.3."""
    if vr in UNMATCHED or not any(wanted):
        return True
    if len(wanted) > 1:
        return False
    only = wanted[0].strip()
    return not only.strip("*") or (vr in MOMENTS and only in ANY)


def matches(vr: str, wanted: Sequence[str], found: Sequence[str], options: Options = PLAIN) -> bool:
    """Whether the values of an attribute match a key's.

    One of several values of the attribute is enough. Of several values of the key one is enough,
    or all have to match where Multiple Value Matching is negotiated.
    """
    return matcher(vr, tuple(wanted), options)(found)


@functools.lru_cache(maxsize=1024)
def matcher(vr: str, wanted: tuple[str, ...], options: Options = PLAIN) -> Matcher:
    """The test of an attribute's values for a key: many are compared with the same."""
    if is_universal(vr, wanted):
        return lambda found: True
    if options.empty_value and wanted == (EMPTY,):
        return lambda found: not any(one.strip(" \0") for one in found)
    tests = [_test(vr, one) for one in wanted if one]
    if len(tests) > 1 and options.multiple_value and vr in ALL_OF:
        return lambda found: all(any(test(one) for one in found) for test in tests)
    if vr == "UI":
        among = frozenset(bare(one) for one in wanted if one)
        return lambda found: any(bare(one) in among for one in found)
    return lambda found: any(test(one) for test in tests for one in found)


@functools.lru_cache(maxsize=4096)
def _test(vr: str, wanted: str) -> Test:
    if vr == "PN":
        return _name_test(wanted)
    if vr in MOMENTS:
        return _moment_test(vr, wanted)
    if vr in NUMBERS:
        return _number_test(wanted)
    if vr in WILD and _is_wild(wanted):
        pattern = _pattern(bare(wanted))
        return lambda found: pattern.fullmatch(bare(found)) is not None
    text = bare(wanted)
    return lambda found: bare(found) == text


def bare(text: str) -> str:
    """Without padding and in composed letters: how a name was typed does not count."""
    stripped = text.strip(" \0")
    return stripped if stripped.isascii() else unicodedata.normalize("NFC", stripped)


def _is_wild(wanted: str) -> bool:
    return "*" in wanted or "?" in wanted


def _pattern(wanted: str) -> re.Pattern[str]:
    """``*`` for any letters, ``?`` for one. PS3.4 C.2.2.2.4.

    What stands between two stars is taken where it comes first, and never looked for again: else
    each star more costs a power of the length.
    """
    begin, *parts = (_letters(one) for one in wanted.split("*"))
    if not parts:
        return re.compile(begin, re.DOTALL)
    *middle, end = parts
    between = "".join(f"(?>.*?{one})" for one in middle if one)
    return re.compile(f"{begin}{between}.*{end}", re.DOTALL)


def _letters(wanted: str) -> str:
    return "".join("." if one == "?" else re.escape(one) for one in wanted)


# --- person names ---------------------------------------------------------------------------------


def groups(name: str) -> list[str]:
    """The component groups of a name as they are compared, trailing empty ones dropped."""
    found = [normalised(one) for one in name.strip(" \0").split("=")]
    while found and not found[-1]:
        found.pop()
    return found


def _name_test(wanted: str) -> Test:
    """A key of one group may match any group of the name; of several, each its own."""
    tests = [_group_test(one) for one in wanted.strip(" \0").split("=")]
    while tests and tests[-1] is None:
        tests.pop()
    if len(tests) == 1 and tests[0] is not None:
        single = tests[0]
        return lambda found: any(single(one) for one in groups(found))

    def each_its_own(found: str) -> bool:
        there = groups(found)
        there += [""] * (len(tests) - len(there))
        return all(test is None or test(one) for test, one in zip(tests, there, strict=False))

    return each_its_own


def _group_test(wanted: str) -> Test | None:
    """None for a group that says nothing."""
    if not _is_wild(wanted):
        text = normalised(wanted)
        return (lambda found: found == text) if text else None
    pattern = _pattern(normalised(wanted))
    return lambda found: _fits(pattern, found)


def _fits(pattern: re.Pattern[str], group: str) -> bool:
    """Trailing ``^`` that the name has left out may be asked for."""
    left_out = max(COMPONENTS - 1 - group.count("^"), 0)
    written = (group + "^" * more for more in range(left_out + 1))
    return any(pattern.fullmatch(one) is not None for one in written)


# --- numbers --------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _number_test(wanted: str) -> Test:
    number = _number(wanted)
    if number is None:
        text = bare(wanted)
        return lambda found: bare(found) == text
    return lambda found: _number(found) == number


def _number(text: str) -> float | None:
    stripped = text.strip(" \0")
    return float(stripped) if _NUMBER.fullmatch(stripped) else None


# --- dates and times ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last moment that a value of some precision can mean."""

    first: datetime
    last: datetime


_TICK = timedelta(microseconds=1)
_DAY_ZERO = date(2000, 1, 1)
"""Of times of day, which have no day."""
MIN, MAX = datetime.min, datetime.max


def _moment_test(vr: str, wanted: str) -> Test:
    """Range matching, else a single value (PS3.4 C.2.2.2.1, C.2.2.2.5)."""
    wished = parse_range(vr, wanted)
    if wished is None:
        text = bare(wanted)
        return lambda found: bare(found) == text

    def within(found: str) -> bool:
        span = parse_span(vr, found)
        return span is not None and wished.first <= span.first <= wished.last

    return within


def parse_range(vr: str, text: str) -> Span | None:
    """A range with both or one end, or a single value as all that it can mean; None: neither."""
    stripped = text.strip(" \0")
    single = parse_span(vr, stripped)
    if single is not None:
        return single
    for place in (one for one, letter in enumerate(stripped) if letter == "-"):
        first, last = stripped[:place].strip(), stripped[place + 1 :].strip()
        begin = parse_span(vr, first) if first else Span(MIN, MIN)
        end = parse_span(vr, last) if last else Span(MAX, MAX)
        if begin is not None and end is not None and (first or last):
            return Span(begin.first, end.last)
    return None


@functools.lru_cache(maxsize=16384)
def parse_span(vr: str, text: str) -> Span | None:
    """What a DA, TM or DT value can mean, by its precision; None where it is none."""
    stripped = text.strip(" \0")
    if vr == "DA":
        return _day(stripped)
    if vr == "TM":
        return _time(stripped, _DAY_ZERO)
    return _date_time(stripped)


_DA = re.compile(r"([0-9]{4})(?:([0-9]{2})([0-9]{2})|\.([0-9]{2})\.([0-9]{2}))")
_DT = re.compile(r"([0-9]{4})([0-9]{2})?([0-9]{2})?([0-9.]*)([+-][0-9]{4})?")


def _day(text: str) -> Span | None:
    match = _DA.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(one) for one in match.groups() if one is not None)
    return _days(year, month, day)


def _days(year: int, month: int | None, day: int | None) -> Span | None:
    try:
        first = datetime(year, month or 1, day or 1)
    except ValueError:
        return None
    if day is not None:
        after = _later(first, timedelta(days=1))
    elif month is not None:
        after = datetime(year + month // 12, month % 12 + 1, 1) if year < MAX.year else MAX
    else:
        after = datetime(year + 1, 1, 1) if year < MAX.year else MAX
    return Span(first, after - _TICK)


def _time(text: str, day: date) -> Span | None:
    since = parse_time(text)
    if since is None:
        return None
    first = at(day, since)
    return Span(first, _later(first, _precision(text.replace(":", ""))) - _TICK)


def _precision(digits: str) -> timedelta:
    whole, _, part = digits.partition(".")
    if part:
        return timedelta(microseconds=10 ** (6 - min(len(part), 6)))
    return {2: timedelta(hours=1), 4: timedelta(minutes=1)}.get(len(whole), timedelta(seconds=1))


def _date_time(text: str) -> Span | None:
    """A DT value: what it leaves out is open; a difference from UTC is taken off."""
    match = _DT.fullmatch(text)
    if match is None or (match[4] and not match[3]):
        return None
    year, month, day = (None if one is None else int(one) for one in match.groups()[:3])
    span = _days(year or 0, month, day)
    if span is not None and match[4]:
        span = _time(match[4], span.first.date())
    shift = parse_offset(match[5]) if match[5] else timedelta(0)
    if span is None or shift is None:
        return None
    return Span(_later(span.first, -shift), _later(span.last, -shift))


def _later(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return MAX if by > timedelta(0) else MIN
