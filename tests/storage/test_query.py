"""What the index finds for queries: on both databases, by indexes, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from storage import index, query
from storage.database import Database
from storage.query import Level, Narrowing, Texts
from tests.storage.samples import record, with_study

STUDIES = 30


@pytest.fixture
def filled(database: Database) -> Database:
    """Thirty studies of two series with two images; every third one of another patient."""
    with database.write() as tx:
        for number in range(STUDIES):
            study = f"1.2.{number}"
            said = {
                "PatientID": f"P{number // 3:03d}",
                "PatientName": f"Family{number // 3:03d}^Given=漢{number}",
                "StudyDate": f"203001{number + 1:02d}",
                "AccessionNumber": f"A{number:03d}",
            }
            for series, modality in ((1, "CT"), (2, "PT" if number % 2 else "MR")):
                records = [
                    with_study(record(image, study, f"{study}.{series}", Modality=modality), **said)
                    for image in (1, 2)
                ]
                index.add(tx, records)
    return database


def found(
    database: Database, level: Level, wanted: Narrowing, few: int = query.FEW
) -> list[query.Hit]:
    with database.read() as tx:
        return query.find(tx, level, wanted, None, 1000, few)


NARROWINGS = [
    (Narrowing(), 10, 30, 60, 120),
    (Narrowing(patient_id=Texts(exact=("P001",))), 1, 3, 6, 12),
    (Narrowing(patient_id=Texts(prefix="P00")), 10, 30, 60, 120),
    (Narrowing(patient_id=Texts(prefix="P000")), 1, 3, 6, 12),
    (Narrowing(patient_name=Texts(prefix="family002")), 1, 3, 6, 12),
    (Narrowing(patient_name=Texts(exact=("漢4",))), 1, 1, 2, 4),
    (Narrowing(accession_number=Texts(exact=("A001", "A029"))), 2, 2, 4, 8),
    (Narrowing(first_date="20300103", last_date="20300104"), 2, 2, 4, 8),
    (Narrowing(last_date="20300102"), 1, 2, 4, 8),
    (Narrowing(modality=Texts(exact=("PT",))), 10, 15, 15, 30),
    (Narrowing(study_uids=tuple(f"1.2.{one}" for one in range(5000))), 10, 30, 60, 120),
    (Narrowing(study_uids=("1.2.1", "1.2.2", "9")), 1, 2, 4, 8),
    (Narrowing(series_uids=("1.2.1.1", "1.2.2.2")), 1, 2, 2, 4),
    (Narrowing(sop_uids=("1.2.1.1.2",)), 1, 1, 1, 1),
    (Narrowing(study_uids=("1.2.1",), modality=Texts(prefix="P")), 1, 1, 1, 2),
    (Narrowing(patient_name=Texts(exact=("family001^given",)), first_date="20300105"), 1, 2, 4, 8),
]


@pytest.mark.parametrize("few", [query.FEW, 0], ids=["followed", "walked"])
def test_rows_of_every_level_are_narrowed(filled: Database, few: int) -> None:
    for wanted, *numbers in NARROWINGS:
        if wanted.sop_uids or wanted.series_uids or wanted.modality:
            levels: Sequence[Level] = list(Level)[1:]
        else:
            levels = list(Level)
        for level in levels:
            rows = found(filled, level, wanted, few)
            number = numbers[list(Level).index(level)]
            assert len(rows) == number, (wanted, level)
            ids = [one.id for one in rows]
            assert ids == sorted(set(ids), reverse=True)


def test_pages_follow_each_other_without_a_gap(filled: Database) -> None:
    every = [one.id for one in found(filled, Level.IMAGE, Narrowing())]
    paged: list[int] = []
    before = None
    with filled.read() as tx:
        while page := query.find(tx, Level.IMAGE, Narrowing(), before, 7):
            paged += [one.id for one in page]
            before = paged[-1]
    assert paged == every


def test_what_lies_below_is_counted_and_listed(filled: Database) -> None:
    (patient,) = found(filled, Level.PATIENT, Narrowing(patient_id=Texts(exact=("P000",))))
    with filled.read() as tx:
        of_patient = query.counts(tx, Level.PATIENT, [patient.id])[patient.id]
        of_study = query.counts(tx, Level.STUDY, [patient.study_id])[patient.study_id]
        series = query.find(tx, Level.SERIES, Narrowing(study_uids=("1.2.0",)), None, 9)
        of_series = query.counts(tx, Level.SERIES, [one.id for one in series])
        modalities = query.modalities(tx, [patient.study_id])
        classes = query.sop_classes(tx, [patient.study_id])
    assert (of_patient.studies, of_patient.series, of_patient.instances) == (3, 6, 12)
    assert (of_study.series, of_study.instances) == (2, 4)
    assert [one.instances for one in of_series.values()] == [2, 2]
    assert modalities == {patient.study_id: ("CT", "MR")}
    assert classes == {patient.study_id: ("1.2.840.10008.5.1.4.1.1.2",)}


def test_one_instance_speaks_for_patients_studies_and_series(filled: Database) -> None:
    with filled.read() as tx:
        for level in Level:
            hits = query.find(tx, level, Narrowing(study_uids=("1.2.2",)), None, 9)
            samples = query.samples(tx, level, hits)
            assert set(samples) == {one.id for one in hits}
            assert {one.own for one in samples.values()} == {False}
    assert {one.header["InstanceNumber"] for one in samples.values()} == {1, 2}


def plan_of(database: Database, statement: sa.Select[Any]) -> str:
    """How SQLite goes about a statement."""
    with database.read() as tx:
        text = statement.compile(tx.engine, compile_kwargs={"literal_binds": True})
        return "\n".join(str(row[3]) for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))


@pytest.mark.parametrize(
    ("wanted", "by"),
    [
        (Narrowing(patient_id=Texts(exact=("P001",))), "ix_patients_patient_id"),
        (Narrowing(patient_id=Texts(prefix="P00")), "ix_patients_patient_id"),
        (Narrowing(patient_name=Texts(prefix="family")), "ix_study_names_name"),
        (Narrowing(accession_number=Texts(prefix="A00")), "ix_studies_accession_number"),
        (Narrowing(first_date="20300103", last_date="20300104"), "ix_studies_by_date"),
        (Narrowing(modality=Texts(exact=("PT",))), "ix_series_modality"),
        (Narrowing(study_uids=("1.2.1", "1.2.2")), "study_instance_uid"),
        (Narrowing(series_uids=("1.2.1.1",)), "ix_series_series_instance_uid"),
        (Narrowing(sop_uids=("1.2.1.1.2",)), "sop_instance_uid"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_few_fulfil_is_looked_up_by_its_index(
    filled: Database, backend: str, wanted: Narrowing, by: str
) -> None:
    if backend != "sqlite":
        pytest.skip("the plans of SQLite")
    for level in list(Level)[1:]:
        plan = plan_of(filled, query.statement("sqlite", level, wanted).limit(100))
        assert by in plan, plan
        assert "SCAN studies" not in plan and "SCAN instances" not in plan, plan
        assert "SCAN series" not in plan, plan
