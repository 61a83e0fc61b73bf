"""The list of studies as a person searches it, on both databases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from storage import index, ledger, reading_state, study_list
from storage.database import Database, Transaction
from storage.reading_state import ReadingState
from storage.records import FindingRow, JobResults, RowKind
from storage.study_list import Asked, Order, Place, Wanted
from storage.study_words import WordKind
from tests.storage.samples import NOON, enqueue, minutes, new_job, record, with_study

EVERYTHING = tuple(WordKind)
PEOPLE = (
    ("Müller^Åsa", "PAT-1", "ACC-1", "20300501"),
    ("MULLER^Jan", "PAT-2", "ACC-2", "20300502"),
    ("Yamada^Tarou=山田^太郎", "OTHER-3", "", "20300503"),
)


@pytest.fixture
def filled(database: Database) -> Database:
    """Three studies, the third one received last."""
    with database.write() as tx:
        for number, (name, patient, accession, day) in enumerate(PEOPLE, 1):
            uid = f"1.2.{number}"
            header = {
                "PatientName": name, "PatientID": patient, "AccessionNumber": accession,
                "StudyDate": day, "StudyInstanceUID": uid,
            }  # fmt: skip
            one = with_study(record(1, uid, f"{uid}.1", NOON + minutes(number)), **header)
            index.add(tx, [one])
            study = index.find_study(tx, uid)
            assert study is not None
            index.complete(tx, study.id, NOON, study.last_received_at)
    return database


def found(
    database: Database, kinds: Sequence[WordKind] = EVERYTHING, **wanted: object
) -> list[int]:
    asked = Asked(Wanted(**wanted), kinds=tuple(kinds))  # type: ignore[arg-type]  # as given
    with database.read() as tx:
        return list(study_list.part(tx, asked, 10).ids)


def analyze(tx: Transaction, study: int, *rows: FindingRow) -> None:
    job = enqueue(tx, new_job(tx, study, inputs=f"{study}{len(rows)}"))
    ledger.claim(tx, NOON)
    ledger.done(tx, job, NOON, JobResults(findings=rows))


def test_a_name_is_found_whatever_its_case_and_accents_from_the_beginning_of_any_part(
    filled: Database,
) -> None:
    assert found(filled, words="muller") == [2, 1]
    assert found(filled, words="Müll") == [2, 1]
    assert found(filled, words="asa, mül") == [1]
    assert found(filled, words="山田") == [3]
    assert found(filled, words="uller") == []


def test_an_id_and_an_accession_number_are_found_by_the_same_field(filled: Database) -> None:
    assert found(filled, words="pat-") == [2, 1]
    assert found(filled, words="acc-2 muller") == [2]
    assert found(filled, words="acc-2 yamada") == []


def test_who_may_not_see_names_finds_nothing_by_them(filled: Database) -> None:
    some = (WordKind.ACCESSION,)
    assert found(filled, some, words="muller") == []
    assert found(filled, some, words="pat-1") == []
    assert found(filled, some, words="acc-1") == [1]


def test_studies_are_narrowed_by_date_modality_and_state(filled: Database) -> None:
    assert found(filled, first_date="20300502") == [3, 2]
    assert found(filled, last_date="20300502") == [2, 1]
    assert found(filled, first_date="20300502", last_date="20300502") == [2]
    assert found(filled, modality="ct") == [3, 2, 1]
    assert found(filled, modality="MR") == []
    assert found(filled, state=ReadingState.RECEIVED) == [3, 2, 1]
    assert found(filled, state=ReadingState.FINDING) == []


def test_a_study_is_found_by_what_was_found_in_it_not_by_what_was_not(filled: Database) -> None:
    absent = FindingRow("Effusion", "Presence", None, "", "not found", RowKind.ABSENT)
    with filled.write() as tx:
        analyze(tx, 1, FindingRow("Left lung", "Volume", 1.0, "L"), absent)
        analyze(tx, 2, absent)
    assert found(filled, finding="lung") == [1]
    assert found(filled, finding="left l") == [1]
    assert found(filled, finding="effusion") == []
    assert found(filled, state=ReadingState.FINDING) == [1]
    assert found(filled, state=ReadingState.NOTHING) == [2]


def test_what_is_read_is_so_until_something_changes(filled: Database) -> None:
    with filled.write() as tx:
        analyze(tx, 1, FindingRow("Left lung", "Volume", 1.0, "L"))
        reading_state.mark_read(tx, 1, NOON, "ann", reading_state.as_it_stands(tx, 1))
    assert found(filled, state=ReadingState.READ) == [1]
    with filled.read() as tx:
        reader = reading_state.reader_of(tx, 1)
    assert reader is not None and (reader.name, reader.at) == ("ann", NOON)
    with filled.write() as tx:
        index.add(tx, [record(2, "1.2.1", "1.2.1.1", NOON + minutes(9))])
    assert found(filled, state=ReadingState.RECEIVING) == [1]
    with filled.read() as tx:
        assert reading_state.reader_of(tx, 1) is None


@pytest.mark.parametrize("order", list(Order))
def test_parts_follow_one_another_down_and_up(filled: Database, order: Order) -> None:
    with filled.read() as tx:
        first = study_list.part(tx, Asked(order=order), 2)
        assert (first.ids, first.newer) == ((3, 2), None)
        second = study_list.part(tx, Asked(order=order, before=first.older), 2)
        assert (second.ids, second.older) == ((1,), None)
        assert isinstance(second.newer, Place)
        again = study_list.part(tx, Asked(order=order, after=second.newer), 2)
        assert (again.ids, again.older) == (first.ids, first.older)
