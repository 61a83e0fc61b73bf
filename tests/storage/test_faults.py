"""A database that is away is told from one that will never take a value."""

from __future__ import annotations

import random
import string

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from storage import index, schema
from storage.database import Database, open_database
from storage.errors import DatabaseUnavailable
from storage.faults import is_refused
from tests.storage.samples import NOON, record, with_study


def long_text(characters: int = 8_000, seed: int = 1) -> str:
    """Text that does not compress."""
    drawn = random.Random(seed)
    return "".join(drawn.choice(string.ascii_letters + string.digits) for _ in range(characters))


@pytest.mark.parametrize(
    "keyword", ["PatientID", "PatientName", "StudyDate", "AccessionNumber", "IssuerOfPatientID"]
)
def test_an_instance_with_a_header_value_of_any_length_is_indexed(
    database: Database, keyword: str
) -> None:
    text = long_text()
    study = {"PatientID": "P1", "StudyInstanceUID": "1.2.3", keyword: text}
    with database.write() as tx:
        assert index.add(tx, [with_study(record(1), **study)]) == 1
        found = index.list_studies(tx)[0]
    assert found.header[keyword] == text


def test_what_is_indexed_is_cut_alike_when_it_is_looked_for(database: Database) -> None:
    text = "山" * 8_000
    with database.write() as tx:
        index.add(tx, [record(1, Modality=text)])
        kept = tx.scalar(sa.select(schema.series.c.modality))
        found = tx.scalars(sa.select(schema.series.c.id).where(schema.series.c.modality == text))
        assert len(kept or "") == schema.IndexedText.MOST
        assert len(found.all()) == 1


def test_every_text_of_an_index_is_bounded() -> None:
    loose = [
        (table.name, column.name)
        for table in schema.metadata.sorted_tables
        for one in table.indexes
        for column in one.columns
        if isinstance(column.type, schema.PlainText | sa.Text | sa.String)
        and not isinstance(column.type, schema.IndexedText)
        and getattr(column.type, "length", None) is None
    ]
    assert loose == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.interop
def test_an_operational_error_about_a_value_is_not_a_database_that_is_away(
    database: Database,
) -> None:
    with database.write() as tx:
        tx.exec_driver_sql("CREATE INDEX ix_try ON series (series_description)")
    with pytest.raises(DBAPIError) as refused, database.write() as tx:
        index.add(tx, [record(1, SeriesDescription=long_text())])
    assert getattr(refused.value.orig, "sqlstate", "") == "54000"
    with database.write() as tx:
        assert index.add(tx, [record(2)]) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT nothing FROM nowhere",
        "SELECT * FROM studies WHERE",
        "INSERT INTO gaps (id) VALUES (1)",
    ],
)
def test_a_wrong_statement_is_not_a_database_that_is_away(
    database: Database, statement: str
) -> None:
    with pytest.raises(DBAPIError), database.write() as tx:
        tx.exec_driver_sql(statement)


class _ServerError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        ("08006", False), ("53100", False), ("53200", False), ("53300", False), ("55P03", False),
        ("57014", False), ("57P01", False), ("57P03", False), ("58030", False), ("40P01", False),
        ("25006", False), ("28P01", False), ("3D000", False), ("XX002", False),
        ("54000", True), ("22001", True), ("22021", True), ("23505", True), ("42601", True),
        ("0A000", True), ("21000", True),
    ],
)  # fmt: skip
def test_states_of_the_server_are_told_apart(state: str, refused: bool) -> None:
    assert is_refused(DBAPIError("", None, _ServerError(state))) is refused


def test_an_error_without_a_state_is_a_lost_connection() -> None:
    assert not is_refused(DBAPIError("", None, Exception("server closed the connection")))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.interop
def test_the_server_ends_statements_and_transactions_that_take_too_long(url: str) -> None:
    database = open_database(url)
    try:
        with database.read() as tx:
            limits = [
                tx.exec_driver_sql(f"SHOW {name}").scalar()
                for name in ("statement_timeout", "idle_in_transaction_session_timeout")
            ]
        assert limits == ["1min", "1min"]
        with pytest.raises(DatabaseUnavailable, match="timeout"), database.write() as tx:
            tx.exec_driver_sql("SET LOCAL statement_timeout = 10")
            tx.exec_driver_sql("SELECT pg_sleep(5)")
        database.prove(NOON)
        with database.read() as tx:
            parameters = tx.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        assert (parameters["keepalives_idle"], parameters["tcp_user_timeout"]) == ("20", "30000")
    finally:
        database.close()
