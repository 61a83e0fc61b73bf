"""Statements prepared once write and read values as the columns' types say, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from storage import schema
from storage.database import Database
from storage.prepared import Prepared

_AT = datetime(2026, 1, 5, 9, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))


def _values(uid: str) -> dict[str, Any]:
    return {
        "study_instance_uid": uid,
        "state": "receiving",
        "header": {"PatientName": "Müller^\ud800", "PatientWeight": 71.5},
        "study_description": "CHEST\0",
        "first_received_at": _AT,
        "last_received_at": _AT,
    }


_INSERT = Prepared(lambda dialect: sa.insert(schema.studies).inline(), "patient_id", *_values(""))


def _select(dialect: str) -> sa.Select[Any]:
    table = schema.studies
    columns = (table.c.header, table.c.study_description, table.c.last_received_at)
    return sa.select(*columns).where(table.c.study_instance_uid == sa.bindparam("uid"))


def _patient(tx: sa.Connection) -> int:
    made = tx.execute(sa.insert(schema.patients).values(key="K")).inserted_primary_key
    assert made is not None
    return int(made[0])


def test_values_go_through_the_types_of_their_columns_both_ways(database: Database) -> None:
    with database.write() as tx:
        patient = _patient(tx)
        _INSERT.run(tx, [{**_values(uid), "patient_id": patient} for uid in ("1.2", "1.3")])
        header, description, last = Prepared(_select).rows(tx, uid="1.3")[0]
        stored = tx.execute(sa.select(schema.studies.c.header)).scalars().all()
    assert (header, description, last) == (stored[1], "CHEST", _AT.astimezone(UTC))
    assert header["PatientWeight"] == 71.5


def test_what_the_database_refuses_is_the_error_that_sqlalchemy_raises(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as tx:
        patient = _patient(tx)
        _INSERT.run(tx, [{**_values("1.2"), "patient_id": patient}] * 2)


def test_without_rows_nothing_is_asked_of_the_database(database: Database) -> None:
    with database.read() as tx:  # a write would be refused
        _INSERT.run(tx, [])
