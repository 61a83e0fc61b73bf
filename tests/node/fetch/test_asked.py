"""A wish that cannot be carried out is refused before it is entered."""

from __future__ import annotations

from typing import Any

import pytest

from node.fetch.asked import NotAskable, checked
from storage.fetches import NewFetch, Wanted


def wish(source: str = "pacs", analyzer: str = "", **wanted: Any) -> NewFetch:
    return NewFetch(source, Wanted(**wanted), "a test", analyzer)


@pytest.mark.parametrize(
    "good",
    [
        {"accession_number": "A1*"},
        {"patient_id": "17"},
        {"study_uids": ("1.2.840.113619.2.55",)},
        {"study_date": "20260301-"},
        {"study_date": "20260301", "modality": "CT"},
    ],
)
def test_what_names_something_is_taken(good: dict[str, Any]) -> None:
    assert checked(wish(**good), ["pacs"]).source == "pacs"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({}, "say what to fetch"),
        ({"modality": "CT"}, "say what to fetch"),
        ({"source": "pasc", "patient_id": "1"}, "did you mean 'pacs'"),
        ({"analyzer": "qualty", "patient_id": "1"}, "did you mean 'quality'"),
        ({"study_uids": ("1.2.x",)}, "by its UID"),
        ({"study_uids": ("1" * 65,)}, "by its UID"),
        ({"accession_number": "A\\B"}, "backslash"),
        ({"patient_id": "x" * 65}, "64 characters"),
        ({"study_date": "2026-03-01"}, "YYYYMMDD"),
        ({"study_date": "-"}, "YYYYMMDD"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_the_condition(
    bad: dict[str, Any], why: str
) -> None:
    with pytest.raises(NotAskable, match=why):
        checked(wish(**bad), ["pacs"])
