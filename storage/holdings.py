"""What the node holds: received instances and its own results alike, as one list of bytes.

For whoever fetches: read in pages, so that no transaction is open while bytes are sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction

_IN_LIMIT = 500
"""UIDs in one statement."""


@dataclass(frozen=True, slots=True)
class Held:
    """One instance, and where its bytes lie (``storage.archive``)."""

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
    found: dict[int, Held] = {}
    for conditions in _conditions(selection):
        instances = schema.instances
        query = _joined(*_COLUMNS).where(instances.c.id > after, *conditions)
        for row in tx.execute(query.order_by(instances.c.id).limit(limit)):
            found[row.id] = Held(*row)
    return [found[one] for one in sorted(found)[:limit]]


def count(tx: Transaction, selection: Selection) -> int:
    """How many instances are meant."""
    ids: set[int] = set()
    chosen = list(_conditions(selection))
    if len(chosen) == 1:
        return tx.scalar(_joined(sa.func.count()).where(*chosen[0])) or 0
    for conditions in chosen:
        ids.update(tx.scalars(_joined(schema.instances.c.id).where(*conditions)))
    return len(ids)


_COLUMNS = (
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


def _joined(*columns: Any) -> sa.Select[Any]:
    instances, series, studies = schema.instances, schema.series, schema.studies
    return sa.select(*columns).select_from(
        instances.join(series, series.c.id == instances.c.series_id)
        .join(studies, studies.c.id == series.c.study_id)
        .join(schema.patients, schema.patients.c.id == studies.c.patient_id)
    )


def _conditions(selection: Selection) -> Iterator[Sequence[sa.ColumnElement[bool]]]:
    """One set of conditions for every statement that is needed: lists may be of any length."""
    if selection.is_empty:
        return
    lists = (
        (schema.patients.c.patient_id, selection.patient_ids),
        (schema.studies.c.study_instance_uid, selection.study_uids),
        (schema.series.c.series_instance_uid, selection.series_uids),
        (schema.instances.c.sop_instance_uid, selection.sop_uids),
    )
    parts = [
        [column.in_(part) for part in _parts(tuple(dict.fromkeys(values)))]
        for column, values in lists
        if values
    ]
    yield from (list(one) for one in product(*parts))


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _IN_LIMIT):
        yield values[start : start + _IN_LIMIT]
