"""What the node holds: received instances and its own results alike, as one list of bytes.

For whoever fetches: read in pages, so that no transaction is open while bytes are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from storage import schema
from storage.database import Database, Transaction
from storage.listed import among
from storage.records import StudyState
from storage.restriction import only_seen

_T = TypeVar("_T")
_IN_LIMIT = 500
"""UIDs in one statement."""


@dataclass(frozen=True, slots=True)
class Held:
    """One instance, and where its bytes lie (``storage.files.archive``)."""

    id: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    key: str
    size_bytes: int
    """Of the whole file."""
    sha256: str
    """Of the data set of what was received; of the whole file of what is the node's own."""
    own: bool
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Selection:
    """Of which patients, studies, series and instances. An empty list restricts nothing; without
    any list nothing is meant."""

    patient_ids: tuple[str, ...] = ()
    study_uids: tuple[str, ...] = ()
    series_uids: tuple[str, ...] = ()
    sop_uids: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.patient_ids or self.study_uids or self.series_uids or self.sop_uids)


def select(tx: Transaction, selection: Selection, after: int = 0, limit: int = 1000) -> list[Held]:
    """The next ``limit`` instances behind the one with the id ``after``, by id."""
    if selection.is_empty:
        return []
    order = schema.instances.c.id
    chosen = joined(*COLUMNS).where(order > after, *_conditions(tx, selection))
    return [Held(*row) for row in tx.execute(chosen.order_by(order).limit(limit))]


def count(tx: Transaction, selection: Selection) -> int:
    """How many instances are meant."""
    if selection.is_empty:
        return 0
    return tx.scalar(joined(sa.func.count()).where(*_conditions(tx, selection))) or 0


# --- what is new --------------------------------------------------------------------------------


def newest(tx: Transaction) -> int:
    """The id of the instance that was entered last; 0 where there is none."""
    return tx.scalar(sa.select(sa.func.max(schema.instances.c.id))) or 0


def studies_of_newer(tx: Transaction, after: int, limit: int) -> tuple[int, set[int]]:
    """The last of the next ``limit`` instances behind an id, and the rows of their studies."""
    instances, series = schema.instances, schema.series
    query = sa.select(instances.c.id, series.c.study_id).select_from(
        instances.join(series, series.c.id == instances.c.series_id)
    )
    rows = tx.execute(query.where(instances.c.id > after).order_by(instances.c.id).limit(limit))
    found = rows.all()
    return (found[-1].id if found else after), {row.study_id for row in found}


def newer_of(
    tx: Transaction, after: int, last: int, syntaxes: Sequence[str], limit: int
) -> tuple[int, list[str]]:
    """The keys of what came in one of these transfer syntaxes behind an id, and up to ``last``, to
    studies that are not complete; and the id up to which that is all."""
    instances, series, studies_ = schema.instances, schema.series, schema.studies
    query = (
        sa.select(instances.c.id, instances.c.key, studies_.c.state)
        .select_from(
            instances.join(series, series.c.id == instances.c.series_id).join(
                studies_, studies_.c.id == series.c.study_id
            )
        )
        .where(instances.c.id > after, instances.c.id <= last)
        .where(instances.c.transfer_syntax_uid.in_(syntaxes), sa.not_(instances.c.own))
    )
    rows = tx.execute(query.order_by(instances.c.id).limit(limit)).all()
    wanted = [row.key for row in rows if row.state != StudyState.COMPLETE.value]
    return (rows[-1].id if len(rows) == limit else last), wanted


@dataclass(frozen=True, slots=True)
class HeldStudy:
    """A study by its row. ``is_complete``: nothing more of it is expected."""

    id: int
    study_instance_uid: str
    is_complete: bool


def studies(tx: Transaction, ids: Iterable[int]) -> list[HeldStudy]:
    """Those of these that there are."""
    table = schema.studies
    query = sa.select(table.c.id, table.c.study_instance_uid, table.c.state)
    return [
        HeldStudy(row.id, row.study_instance_uid, row.state == StudyState.COMPLETE.value)
        for part in _parts(sorted(ids))
        for row in tx.execute(query.where(table.c.id.in_(part)))
    ]


def large_series(
    tx: Transaction, study_ids: Iterable[int], instances: int, size_bytes: int
) -> list[tuple[str, str]]:
    """The study and series UIDs of those of these studies' series that have so much, or more."""
    series, table, of = schema.series, schema.instances, schema.studies
    query = (
        sa.select(of.c.study_instance_uid, series.c.series_instance_uid)
        .select_from(
            table.join(series, series.c.id == table.c.series_id).join(
                of, of.c.id == series.c.study_id
            )
        )
        .group_by(of.c.study_instance_uid, series.c.id, series.c.series_instance_uid)
        .having(sa.or_(sa.func.count() >= instances, sa.func.sum(table.c.size_bytes) >= size_bytes))
    )
    return [
        (row.study_instance_uid, row.series_instance_uid)
        for part in _parts(sorted(study_ids))
        for row in tx.execute(query.where(of.c.id.in_(part)))
    ]


def study_uids(database: Database) -> Iterator[str]:
    """Of all studies, read in pages."""
    table, after = schema.studies, 0
    query = sa.select(table.c.id, table.c.study_instance_uid).order_by(table.c.id)
    while True:
        with database.read() as tx:
            rows = tx.execute(query.where(table.c.id > after).limit(10 * _IN_LIMIT)).all()
        if not rows:
            return
        yield from (row.study_instance_uid for row in rows)
        after = rows[-1].id


COLUMNS = (
    schema.instances.c.id,
    schema.patients.c.patient_id,
    schema.studies.c.study_instance_uid,
    schema.series.c.series_instance_uid,
    schema.instances.c.sop_instance_uid,
    schema.instances.c.sop_class_uid,
    schema.instances.c.transfer_syntax_uid,
    schema.instances.c.key,
    schema.instances.c.size_bytes,
    schema.instances.c.sha256,
    schema.instances.c.own,
    schema.instances.c.received_at,
)
"""Those of ``Held``, in its order."""


def joined(*columns: Any) -> sa.Select[Any]:
    """These columns of every instance with its series, study and patient."""
    instances, series, studies = schema.instances, schema.series, schema.studies
    return sa.select(*columns).select_from(
        instances.join(series, series.c.id == instances.c.series_id)
        .join(studies, studies.c.id == series.c.study_id)
        .join(schema.patients, schema.patients.c.id == studies.c.patient_id)
    )


def _conditions(tx: Transaction, selection: Selection) -> list[sa.ColumnElement[bool]]:
    patients = tuple(one[: schema.IndexedText.MOST] for one in selection.patient_ids)
    lists = (
        (schema.patients.c.patient_id, patients),
        (schema.studies.c.study_instance_uid, selection.study_uids),
        (schema.series.c.series_instance_uid, selection.series_uids),
        (schema.instances.c.sop_instance_uid, selection.sop_uids),
    )
    listed = [among(tx.dialect.name, column, values) for column, values in lists if values]
    return [*listed, *only_seen(tx, schema.studies.c.id)]


def _parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), _IN_LIMIT):
        yield values[start : start + _IN_LIMIT]
