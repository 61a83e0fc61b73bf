"""Matching of values (PS3.4 C.2.2.2), one clause a test."""

from __future__ import annotations

from datetime import date, timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as some

from node.query.matching import PLAIN, Options, is_universal, matches

EMPTY_VALUE = Options(empty_value=True)
ALL_VALUES = Options(multiple_value=True)


def fits(vr: str, wanted: str, found: str, options: Options = PLAIN) -> bool:
    """Both sides as they are written in a data set."""
    values = [one for one in found.split("\\") if one] if found else []
    return matches(vr, wanted.split("\\"), values, options)


# --- single values, C.2.2.2.1 ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vr", "wanted", "found", "is_match"),
    [
        ("LO", "A1", "A1", True),
        ("LO", "A1", "a1", False),
        ("LO", " A1 ", "A1", True),
        ("LO", "A1", "A12", False),
        ("LO", "A1", "", False),
        ("SH", "A1", "X\\A1", True),
        ("CS", "ORIGINAL", "DERIVED\\PRIMARY", False),
        ("UI", "1.2.3", "1.2.3\0", True),
        ("UI", "1.2.3*", "1.2.34", False),
        ("AS", "045Y", "045Y", True),
        ("AS", "04?Y", "045Y", False),
    ],
)
def test_a_single_value_matches_what_is_equal(
    vr: str, wanted: str, found: str, is_match: bool
) -> None:
    assert fits(vr, wanted, found) is is_match


@pytest.mark.parametrize("vr", ["LO", "PN", "UI", "DA", "TM", "DT", "IS", "CS", "US"])
def test_an_empty_key_matches_anything(vr: str) -> None:
    assert fits(vr, "", "") and fits(vr, "", "whatever")


@pytest.mark.parametrize("vr", ["DA", "TM", "DT"])
@pytest.mark.parametrize("anything", ["-", "*", "", " "])
def test_clients_say_any_date_in_several_ways(vr: str, anything: str) -> None:
    assert is_universal(vr, [anything])
    assert fits(vr, anything, "") and fits(vr, anything, "20300101")


def test_a_star_alone_matches_what_is_empty_too() -> None:
    assert fits("LO", "*", "") and fits("PN", "*", "") and fits("CS", "**", "")


@pytest.mark.parametrize("vr", ["UI", "IS", "DS", "US", "AS"])
def test_a_star_alone_means_anything_where_wild_cards_are_not_defined(vr: str) -> None:
    assert is_universal(vr, ["*"]) and fits(vr, "*", "") and fits(vr, "*", "7")


@pytest.mark.parametrize("vr", ["OB", "OW", "UN"])
def test_bytes_are_not_matched(vr: str) -> None:
    assert fits(vr, "whatever", "")


@pytest.mark.parametrize(
    ("vr", "wanted", "found", "is_match"),
    [
        ("IS", "7", "007", True),
        ("IS", "+7", "7", True),
        ("DS", "1.50", "1.5", True),
        ("DS", "1e1", "10", True),
        ("DS", "1.5", "2\\1.5", True),
        ("US", "512", "512", True),
        ("IS", "7", "70", False),
        ("IS", "7*", "70", False),
        ("IS", "1-9", "5", False),
        ("DS", "nan", "nan", True),
    ],
)
def test_numbers_are_compared_as_numbers(vr: str, wanted: str, found: str, is_match: bool) -> None:
    assert fits(vr, wanted, found) is is_match


# --- lists, C.2.2.2.2 and C.2.2.2.8 ---------------------------------------------------------------


def test_one_uid_of_a_list_is_enough() -> None:
    assert fits("UI", "1.2\\1.3\\1.4", "1.3")
    assert not fits("UI", "1.2\\1.3", "1.5")
    assert fits("UI", "1.2\\1.3", "1.3", ALL_VALUES), "multiple value matching is not for UIDs"


def test_one_of_several_modalities_is_enough_unless_all_are_agreed_on() -> None:
    assert fits("CS", "CT\\PT", "CT")
    assert fits("CS", "UX\\CT", "CT")
    assert fits("CS", "CT\\PT", "CT\\PT\\SR", ALL_VALUES)
    assert fits("CS", "PT\\CT", "CT\\PT", ALL_VALUES)
    assert not fits("CS", "CT\\PT", "CT", ALL_VALUES)


def test_what_is_empty_is_found_where_that_is_agreed() -> None:
    assert fits("LO", '""', "", EMPTY_VALUE)
    assert not fits("LO", '""', "A", EMPTY_VALUE)
    assert not fits("LO", '""', "")
    assert fits("DA", '""', "", EMPTY_VALUE)


# --- wild cards, C.2.2.2.4 ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vr", "wanted", "found", "is_match"),
    [
        ("LO", "A*", "ABC", True),
        ("LO", "A*", "A", True),
        ("LO", "A?", "A", False),
        ("LO", "A?C", "ABC", True),
        ("LO", "*B*", "ABC", True),
        ("LO", "a*", "ABC", False),
        ("LO", "A.C", "ABC", False),
        ("LO", "[A]*", "ABC", False),
        ("CS", "C*", "CT", True),
        ("CS", "?T", "CT\\MR", True),
        ("UT", "a*\nb", "a\\x\nb", True),
        ("ST", "*knee*", "the left knee hurts", True),
        ("AE", "*", "", True),
        ("LO", "****************************b", "a" * 60, False),
    ],
)
def test_wild_cards(vr: str, wanted: str, found: str, is_match: bool) -> None:
    values = [found] if vr in ("UT", "ST") else found.split("\\")
    assert matches(vr, [wanted], values) is is_match


@given(some.text("ab*?", max_size=8), some.text("ab", max_size=8))
def test_wild_cards_are_those_of_file_names(wanted: str, found: str) -> None:
    if wanted:
        assert matches("LO", [wanted], [found]) == fnmatchcase(found, wanted)


def test_a_key_of_many_stars_ends_also_on_long_texts() -> None:
    assert fits("UT", "*a?" * 20 + "*z", "a" * 20_000 + "z")
    assert not fits("UT", "*a?" * 20 + "*z", "a" * 20_000)


# --- person names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "found", "is_match"),
    [
        ("doe^jane", "DOE^JANE", True),
        ("DOE^JANE", "Doe^Jane^^^", True),
        ("DOE^JANE^^", "Doe^Jane", True),
        ("DOE", "DOE^JANE", False),
        ("DOE*", "DOE^JANE", True),
        ("DOE^*", "DOE^JANE", True),
        ("DOE^*", "DOE", True),
        ("DOE^^", "DOE", True),
        ("DOE^J?NE", "DOE^JANE", True),
        ("*^JANE", "DOE^JANE", True),
        ("*^JANE*", "DOE^JANE^M", True),
        ("DOE ^JANE", "DOE^JANE", True),
        ("山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("やまだ*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("yamada*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("Yamada^Tarou=山田*", "Yamada^Tarou=山田^太郎", True),
        ("=山田*", "Yamada^Tarou=山田^太郎", True),
        ("=山田*=", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("=Yamada*", "Yamada^Tarou=山田^太郎", False),
        ("Yamada^Tarou==", "Yamada^Tarou=山田^太郎", True),
        ("Yamada*==やまだ*", "Yamada^Tarou=山田^太郎", False),
        ("GROẞ", "Groß", True),
        ("Rene\u0301", "Ren\u00e9", True),
        ("Renee", "Ren\u00e9e", False),
        ("Αιολοσ", "ΑΙΟΛΟΣ", True),
    ],
)
def test_person_names(wanted: str, found: str, is_match: bool) -> None:
    assert matches("PN", [wanted], [found]) is is_match


NAMES = some.lists(some.text("aBé山", max_size=3), min_size=1, max_size=5).map("^".join)


@given(NAMES, some.integers(0, 3))
def test_a_name_matches_itself_however_it_ends_and_is_written(name: str, more: int) -> None:
    assert matches("PN", [name], [name + "^" * more]) or not name.strip("^")
    assert matches("PN", [name.upper() + "^" * more + "="], [name.lower()]) or not name.strip("^")


# --- dates and times, C.2.2.2.5 -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vr", "wanted", "found", "is_match"),
    [
        ("DA", "20300102", "20300102", True),
        ("DA", "20300102", "2030.01.02", True),
        ("DA", "20300102-20300104", "20300104", True),
        ("DA", "20300102-20300104", "20300105", False),
        ("DA", "20300102 - 20300104", "20300103", True),
        ("DA", "-20300104", "19000101", True),
        ("DA", "20300104-", "20300103", False),
        ("DA", "20300102-", "", False),
        ("DA", "20300104-20300102", "20300103", False),
        ("DA", "99999999", "99999999", True),
        ("DA", "20300101-20300131", "no date", False),
        ("TM", "1030", "103000", True),
        ("TM", "10", "105959.999999", True),
        ("TM", "10", "110000", False),
        ("TM", "103000", "103000.5", True),
        ("TM", "10-11", "115959", True),
        ("TM", "1030-", "10", False),
        ("TM", "-103000.5", "103000.4", True),
        ("TM", "10:30:00", "103000", True),
        ("DT", "2030", "20301231235959", True),
        ("DT", "203002", "20300228", True),
        ("DT", "203002", "20300301", False),
        ("DT", "20300101-20300102", "20300102235959.9", True),
        ("DT", "20300101120000+0100", "20300101110000+0000", True),
        ("DT", "20300101120000+0100-20300101130000+0100", "20300101113000+0000", True),
        ("DT", "20300101120000-0500-20300101130000-0500", "20300101173000+0000", True),
        ("DT", "-2031", "20300101", True),
    ],
)
def test_dates_and_times(vr: str, wanted: str, found: str, is_match: bool) -> None:
    assert matches(vr, [wanted], [found] if found else []) is is_match


DAYS = some.dates(date(1950, 1, 1), date(2090, 12, 31))


@given(DAYS, DAYS, DAYS)
def test_a_range_of_dates_holds_what_lies_in_it(first: date, last: date, day: date) -> None:
    texts = [f"{one:%Y%m%d}" for one in (first, last, day)]
    assert matches("DA", [f"{texts[0]}-{texts[1]}"], [texts[2]]) == (first <= day <= last)


@given(some.integers(0, 86_399), some.integers(0, 86_399), some.integers(0, 86_399))
def test_a_range_of_times_holds_what_lies_in_it(first: int, last: int, moment: int) -> None:
    texts = [str(timedelta(seconds=one)).rjust(8, "0").replace(":", "") for one in
             (first, last, moment)]  # fmt: skip
    found = matches("TM", [f"{texts[0]}-{texts[1]}"], [texts[2]])
    assert found == (first <= moment <= last)


@given(some.sampled_from(["DA", "TM", "DT", "PN", "LO", "IS", "DS", "UI"]), some.text(max_size=12),
       some.text(max_size=12))  # fmt: skip
def test_whatever_is_asked_nothing_breaks(vr: str, wanted: str, found: str) -> None:
    assert matches(vr, [wanted], [found]) in (True, False)
