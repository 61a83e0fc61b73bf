"""Numbers and times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from node.config.values import is_local
from node.web import wording
from storage.records import FindingRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "written"),
    [(1695.4, "1 695"), (-812.41, "−812"), (0.0412, "0.0412"), (7.618, "7.62"), (99.96, "100"),
     (1234567.0, "1 234 567"), (0.0, "0"), (-0.5, "−0.5"), (99.94, "99.9"),
     (float("inf"), "not a number")],
)  # fmt: skip
def test_values_keep_three_digits_and_group_thousands(value: float, written: str) -> None:
    assert wording.number(FindingRow("", "", value, "")) == written


def test_a_finding_without_value_is_its_text() -> None:
    assert wording.number(FindingRow("", "", None, "", "clear")) == "clear"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(-3, "0 s"), (9, "9 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "2 h"),
     (172_800, "2 days")],
)  # fmt: skip
def test_spans_have_one_unit(seconds: float, written: str) -> None:
    assert wording.span(seconds) == written
    assert wording.ago(NOON - timedelta(seconds=seconds), NOON) == f"{written} ago"


def test_what_is_due_is_due_now() -> None:
    assert wording.until(NOON, NOON) == "now"
    assert wording.until(None, NOON) == "now"
    assert wording.until(NOON + timedelta(seconds=40), NOON) == "in 40 s"


def test_the_exact_time_names_its_zone() -> None:
    east = NOON.astimezone(timezone(timedelta(hours=2)))
    assert wording.exact(east) == "2026-03-01 12:00:00 UTC"


@pytest.mark.parametrize(
    ("stored", "shown"), [("20260301", "2026-03-01"), ("2026", ""), ("", ""), ("2026030x", "")]
)
def test_study_dates_are_iso_or_nothing(stored: str, shown: str) -> None:
    assert wording.study_date({"StudyDate": stored}) == shown


def test_the_address_to_type_is_never_that_of_everywhere() -> None:
    assert wording.reachable_host("10.0.0.12") == "10.0.0.12"
    assert wording.reachable_host("0.0.0.0") not in wording.EVERYWHERE
    assert is_local("127.0.0.1")
    assert not is_local("10.0.0.12")


@pytest.mark.parametrize("name", ["127.example.org", "127.0.0.1.example.org", "localhost.org", ""])
def test_a_name_that_begins_as_a_local_address_does_is_not_local(name: str) -> None:
    assert not is_local(name)
    assert is_local("LocalHost") and is_local("::1") and is_local("127.9.9.9")
