"""What every batch of instances asks of the index and writes into it, prepared once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.index.reading import SeriesHead
from storage.listed import each
from storage.prepared import Prepared
from storage.records import Header, StudyState
from storage.upsert import insert_missing

_UIDS = "uids"


class StudyHead(NamedTuple):
    """A study that is there already."""

    id: int
    state: str
    header: Header
    last_received_at: datetime


def known_uids(tx: Transaction, uids: Sequence[str]) -> set[str]:
    """Those of some SOP instances that are in the index."""
    return {uid for (uid,) in _KNOWN.rows(tx, uids=json.dumps(list(uids)))}


def study_head(tx: Transaction, study_instance_uid: str) -> StudyHead | None:
    found = _STUDY.rows(tx, uid=study_instance_uid)
    return StudyHead(*found[0]) if found else None


def series_heads(tx: Transaction, study_id: int, uids: Iterable[str]) -> dict[str, SeriesHead]:
    """Those of some series that are there, by UID, with what their rows and the study's say."""
    found = _SERIES.rows(tx, study=study_id, uids=json.dumps(list(uids)))
    return {
        uid: SeriesHead(series_id, {**header, **above}, bool(own))
        for uid, series_id, header, above, own in found
    }


def receive_again(tx: Transaction, study_id: int, last_received_at: datetime) -> None:
    """A study has got something: it is open, and its instances are others than before."""
    state = StudyState.RECEIVING.value
    _RECEIVE.run(tx, [{"study": study_id, "to": state, "last": last_received_at}])


def enter_origins(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises nothing where they are there already."""
    _ORIGINS.run(tx, rows)


def insert_instances(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as ``storage.index.adding.instance_row`` makes them.

    PostgreSQL gets all in one statement: its driver takes each row of many on a way of its own.
    """
    if tx.dialect.name != "postgresql":
        _INSTANCES.run(tx, rows)
    elif rows:
        plain = schema.PlainText()
        told = [
            {
                **row,
                "header": json.dumps(row["header"]),
                "received_at": row["received_at"].isoformat(),
                "calling_ae": plain.process_bind_param(row["calling_ae"], tx.dialect),
            }
            for row in rows
        ]
        _INSTANCES_AT_ONCE.run(tx, [{"rows": json.dumps(told)}])


# --- statements -----------------------------------------------------------------------------------


def _known(dialect: str) -> sa.Select[Any]:
    column = schema.instances.c.sop_instance_uid
    return sa.select(column).where(column.in_(each(dialect, sa.bindparam(_UIDS, type_=sa.Text))))


def _study(dialect: str) -> sa.Select[Any]:
    table = schema.studies
    columns = (table.c.id, table.c.state, table.c.header, table.c.last_received_at)
    return sa.select(*columns).where(table.c.study_instance_uid == sa.bindparam("uid"))


def _series(dialect: str) -> sa.Select[Any]:
    table, studies = schema.series, schema.studies
    columns = (table.c.series_instance_uid, table.c.id, table.c.header, studies.c.header)
    listed = each(dialect, sa.bindparam(_UIDS, type_=sa.Text))
    query = sa.select(*columns, table.c.own).select_from(table.join(studies))
    return query.where(
        table.c.study_id == sa.bindparam("study"), table.c.series_instance_uid.in_(listed)
    )


def _receive(dialect: str) -> sa.Update:
    table = schema.studies
    return (
        sa.update(table)
        .where(table.c.id == sa.bindparam("study"))
        .values(
            state=sa.bindparam("to"),
            last_received_at=sa.bindparam("last"),
            revision=table.c.revision + sa.literal_column("1"),
        )
    )


def _instances_at_once(dialect: str) -> sa.Insert:
    """The header is a text within the list: what JSON may say and no text, it keeps."""
    table = schema.instances
    columns = [
        sa.column(name, sa.Text() if name == "header" else table.c[name].type)
        for name in _OF_AN_INSTANCE
    ]
    listed = sa.cast(sa.bindparam("rows", type_=sa.Text), sa.JSON)
    rows = sa.func.json_to_recordset(listed).table_valued(*columns, name="told")
    told = rows.render_derived(with_types=True)
    chosen = [
        sa.cast(told.c.header, sa.JSON) if name == "header" else told.c[name]
        for name in _OF_AN_INSTANCE
    ]
    return sa.insert(table).from_select(_OF_AN_INSTANCE, sa.select(*chosen)).inline()


_KNOWN, _STUDY, _SERIES = Prepared(_known), Prepared(_study), Prepared(_series)
_RECEIVE = Prepared(_receive)
_ORIGINS = Prepared(
    lambda dialect: insert_missing(dialect, schema.study_origins), "study_id", "kind", "value"
)
_OF_AN_INSTANCE = (
    *("series_id", "sop_instance_uid", "sop_class_uid", "transfer_syntax_uid", "instance_number"),
    *("header", "key", "size_bytes", "sha256", "received_at", "calling_ae"),
)
_INSTANCES = Prepared(lambda dialect: sa.insert(schema.instances).inline(), *_OF_AN_INSTANCE)
_INSTANCES_AT_ONCE = Prepared(_instances_at_once)
