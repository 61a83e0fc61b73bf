"""Searching what is held: levels, sources of values, order and limits."""

from __future__ import annotations

import pytest

from node.query.asked import Level, Query, named_key
from node.query.search import Limits, TooMuch, search
from tests.node.query.holding import Holding, uid


def test_studies_are_found_newest_first_with_only_what_was_asked(held: Holding) -> None:
    for study in (1, 2, 3):
        held.add(study, StudyDate=f"2030010{study}")
    answers = held.ask(PatientName="NAME^*", StudyDate="20300102-", AccessionNumber="")
    assert [one.dataset.StudyDate for one in answers] == ["20300103", "20300102"]
    assert {element.keyword for element in answers[0].dataset} == {
        "PatientName", "StudyDate", "AccessionNumber", "RetrieveAETitle", "InstanceAvailability",
    }  # fmt: skip
    assert answers[0].dataset.AccessionNumber == ""
    assert not answers[0].unsupported


def test_what_is_counted_is_counted_for_every_level(held: Holding) -> None:
    for series, number in (("a", 1), ("a", 2), ("b", 1)):
        held.add(1, series, number, Modality="CT" if series == "a" else "PT")
    held.add(2)
    (study,) = held.ask(
        PatientID="P1",
        NumberOfStudyRelatedSeries="",
        NumberOfStudyRelatedInstances="",
        NumberOfPatientRelatedStudies="",
        ModalitiesInStudy="",
        SOPClassesInStudy="",
    )
    assert study.dataset.NumberOfStudyRelatedSeries == 2
    assert study.dataset.NumberOfStudyRelatedInstances == 3
    assert study.dataset.NumberOfPatientRelatedStudies == 1
    assert list(study.dataset.ModalitiesInStudy) == ["CT", "PT"]
    series = held.ask(Level.SERIES, PatientID="P1", NumberOfSeriesRelatedInstances="")
    assert [one.dataset.NumberOfSeriesRelatedInstances for one in series] == [1, 2]


def test_images_are_found_with_values_of_all_levels(held: Holding) -> None:
    held.add(1, "a", 1)
    held.add(1, "a", 2)
    (one,) = held.ask(
        Level.IMAGE, SeriesInstanceUID=uid("series", 1, "a"), InstanceNumber="2", Rows=None,
        PatientID="", Modality="",
    )  # fmt: skip
    found = one.dataset
    assert (found.InstanceNumber, found.Rows, found.PatientID) == (2, 2, "P1")


def test_what_the_index_lacks_is_read_from_one_file(held: Holding) -> None:
    held.add(1, PatientComments="on the left")
    held.add(2, PatientComments="")
    held.add(3)
    answers = held.ask(PatientID="", PatientComments="")
    assert [one.dataset.PatientComments for one in answers] == ["", "", "on the left"]
    (one,) = held.ask(PatientID="", PatientComments="*left")
    assert one.dataset.PatientID == "P1"


def test_more_files_than_the_limit_are_not_read(held: Holding) -> None:
    for study in (1, 2, 3):
        held.add(study)
    query = Query(Level.STUDY, (named_key("PatientComments", "*left*"),))
    with pytest.raises(TooMuch, match="too many files"):
        held.search(query, Limits(headers=2))


def test_what_is_only_asked_for_is_left_out_beyond_that_limit(held: Holding) -> None:
    for study in (1, 2, 3):
        held.add(study, PatientComments="on the left")
    query = Query(Level.STUDY, (named_key("PatientComments"), named_key("PatientID")))
    *read, last = held.search(query, Limits(headers=2))
    assert [one.dataset.PatientComments for one in read] == ["on the left"] * 2
    assert "PatientComments" not in last.dataset
    assert [key.keyword for key in last.unsupported] == ["PatientComments"]


def test_pages_of_answers_follow_each_other(held: Holding) -> None:
    for study in range(5):
        held.add(study)
    query = Query(Level.STUDY, (named_key("PatientID"),))
    found = [
        str(one.dataset.PatientID)
        for skip in (0, 2, 4)
        for one in search(held.database, held.archive, query, "WETREAD", skip=skip, limit=2)
    ]
    assert found == ["P4", "P3", "P2", "P1", "P0"]
