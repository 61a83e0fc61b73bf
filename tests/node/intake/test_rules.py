"""What a rule's conditions mean."""

from __future__ import annotations

from typing import Any

import pytest

from node.config.rules import Condition, ExistsCondition, MatchesCondition, RangeCondition
from node.intake.rules import unmet

HEADER: dict[str, Any] = {
    "Modality": "CT",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SliceThickness": 1.25,
    "SeriesDescription": "Thorax 1.25 B70f",
    "BodyPartExamined": "",
}

CASES: list[tuple[str, Condition, bool]] = [
    ("Modality", "CT", True),
    ("Modality", "ct ", True),
    ("Modality", "MR", False),
    ("Modality", ["MR", "CT"], True),
    ("Modality", ["MR", "PT"], False),
    ("ImageType", "AXIAL", True),
    ("ImageType", "LOCALIZER", False),
    ("SliceThickness", 1.25, True),
    ("SliceThickness", RangeCondition(max=2), True),
    ("SliceThickness", RangeCondition(min=2), False),
    ("SliceThickness", RangeCondition(min=1.25, max=1.25), True),
    ("Modality", RangeCondition(min=0), False),
    ("SeriesDescription", MatchesCondition(matches="(?i)thorax|chest"), True),
    ("SeriesDescription", MatchesCondition(matches="^B70"), False),
    ("SeriesDescription", ExistsCondition(exists=True), True),
    ("BodyPartExamined", ExistsCondition(exists=True), False),
    ("BodyPartExamined", ExistsCondition(exists=False), True),
    ("ContrastBolusAgent", ExistsCondition(exists=False), True),
    ("ContrastBolusAgent", "iomeprol", False),
]


@pytest.mark.parametrize(("keyword", "condition", "met"), CASES)
def test_a_condition_is_met_or_says_why_not(keyword: str, condition: Condition, met: bool) -> None:
    reasons = unmet({keyword: condition}, HEADER)
    assert (not reasons) == met
    assert all(keyword in reason for reason in reasons)


def test_every_unmet_condition_is_named() -> None:
    reasons = unmet({"Modality": "MR", "Rows": RangeCondition(min=1)}, HEADER)
    assert reasons == ("Modality is CT, not MR", "Rows is missing")


def test_a_rule_without_conditions_always_fires() -> None:
    assert unmet({}, {}) == ()


@pytest.mark.parametrize("keyword", ["PatientName", "PatientID", "AccessionNumber"])
def test_a_reason_does_not_say_who_the_patient_is(keyword: str) -> None:
    (reason,) = unmet({keyword: MatchesCondition(matches="^TEST")}, {keyword: "DOE^JOHN"})
    assert reason == f"{keyword} is another, not matched by '^TEST'"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("SeriesDescription", "Doe, Jane: chest"), ("Modality", "Doe^Jane"), ("ProtocolName", "Jane")],
)
def test_free_text_of_a_header_is_not_repeated_in_a_reason(keyword: str, value: str) -> None:
    (reason,) = unmet({keyword: "CT"}, {keyword: value})
    assert reason == f"{keyword} is another, not CT"
