"""What the node made itself, as instances of its study: entered, found to have come back, dropped.

Bytes of these lie with the results. Their series are known to be the node's own for as long as the
study is there, so that what comes back of them is no reason to analyze it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.index.adding import add, enter_series, instance_row, raise_revision
from storage.index.batches import known_uids
from storage.records import InstanceRecord, Placement, PutOutcome, ResultObject
from storage.upsert import insert_missing

_IN_LIMIT = 500


def add_own(tx: Transaction, study_id: int, objects: Sequence[ResultObject], at: datetime) -> int:
    """Enter what a job of the node made as instances of its study; gives how many are new.

    The study stays as it is: nothing was received. What is there already gets the bytes that the
    job made last; what came from elsewhere stays as received. What nobody has read is left out.
    """
    records = [_record(one, at) for one in {one.sop_instance_uid: one for one in objects}.values()]
    read = [one for one in records if one is not None]
    if not read:
        return 0
    raise_revision(tx, study_id)
    known = known_uids(tx, [one.attributes.sop_instance_uid for one in read])
    _claim_series(tx, study_id, {one.attributes.series_instance_uid for one in read})
    series = enter_series(tx, study_id, read, own=True)
    rows = [
        {**instance_row(one, series[one.attributes.series_instance_uid]), "own": True}
        for one in read
    ]
    fresh = [row for row in rows if row["sop_instance_uid"] not in known]
    if fresh:
        tx.execute(sa.insert(schema.instances), fresh)
    table = schema.instances
    for row in rows:
        if row["sop_instance_uid"] in known:
            is_it = table.c.sop_instance_uid == row["sop_instance_uid"]
            tx.execute(sa.update(table).where(is_it, table.c.own).values(**row))
    return len(fresh)


def _record(made: ResultObject, at: datetime) -> InstanceRecord | None:
    if made.attributes is None:
        return None
    placement = Placement(PutOutcome.NEW, made.key, made.size_bytes, made.sha256, "")
    return InstanceRecord(made.attributes, placement, at)


def _claim_series(tx: Transaction, study_id: int, uids: Iterable[str]) -> None:
    """What came from elsewhere before the job ended here turns out to be of the node's own."""
    table = schema.series
    is_it = (table.c.study_id == study_id, table.c.series_instance_uid.in_(tuple(uids)))
    tx.execute(sa.update(table).where(*is_it, ~table.c.own).values(own=True))


# --- the same object comes back -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CameBack:
    """A received instance that is one of the node's own results."""

    record: InstanceRecord
    study_id: int
    key: str
    """Of the result's file."""


def came_back(tx: Transaction, records: Sequence[InstanceRecord]) -> list[CameBack]:
    """Those of received instances that are held as results already."""
    instances, series = schema.instances, schema.series
    columns = (instances.c.sop_instance_uid, series.c.study_id, instances.c.key)
    query = sa.select(*columns).join(series).where(instances.c.own)
    by_uid = {one.attributes.sop_instance_uid: one for one in records}
    uids, found = list(by_uid), list[CameBack]()
    for start in range(0, len(uids), _IN_LIMIT):
        part = instances.c.sop_instance_uid.in_(uids[start : start + _IN_LIMIT])
        found += [CameBack(by_uid[uid], *rest) for uid, *rest in tx.execute(query.where(part))]
    return found


def take_instead(tx: Transaction, record: InstanceRecord) -> None:
    """The result's own file is gone: what came back is what the node holds from now on."""
    table, uid = schema.instances, record.attributes.sop_instance_uid
    tx.execute(sa.delete(table).where(table.c.sop_instance_uid == uid, table.c.own))
    add(tx, [record])


# --- results go -----------------------------------------------------------------------------------


def drop_own(tx: Transaction, study_id: int, sop_instance_uids: Sequence[str]) -> int:
    """These results are no longer kept; gives how many there were.

    That their series are the node's own is remembered.
    """
    table, gone = schema.instances, 0
    for start in range(0, len(sop_instance_uids), _IN_LIMIT):
        part = table.c.sop_instance_uid.in_(sop_instance_uids[start : start + _IN_LIMIT])
        gone += tx.execute(sa.delete(table).where(part, table.c.own)).rowcount
    if gone:
        _retire_series(tx, study_id)
        raise_revision(tx, study_id)
    return gone


def _retire_series(tx: Transaction, study_id: int) -> None:
    """Take away the node's own series that are empty, and remember them."""
    series, instances, retired = schema.series, schema.instances, schema.retired_series
    is_empty = ~sa.exists().where(instances.c.series_id == series.c.id)
    chosen = (series.c.study_id == study_id, series.c.own, is_empty)
    columns = ["study_id", "series_instance_uid"]
    rows = sa.select(*(series.c[name] for name in columns)).where(*chosen)
    tx.execute(insert_missing(tx.dialect.name, retired).from_select(columns, rows))
    tx.execute(sa.delete(series).where(*chosen))
