"""Instances on their way into the index, with the series, studies and patients above them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage import events, schema
from storage.attributes import patient_key
from storage.database import Transaction
from storage.errors import NotFound
from storage.index import reading
from storage.names import component_groups
from storage.records import (
    Header,
    InstanceAttributes,
    InstanceRecord,
    Level,
    Placement,
    PutOutcome,
    ResultObject,
    StudyState,
    Topic,
)

_IN_LIMIT = 500


def add(tx: Transaction, records: Sequence[InstanceRecord]) -> int:
    """Enter instances, with their series, studies and patients; gives how many are new.

    Repeating it changes nothing. An instance that is new to a complete study re-opens it. The
    first header of a study or series stays; one that names another patient is an event.
    """
    known = _known_uids(tx, [record.attributes.sop_instance_uid for record in records])
    fresh: dict[str, InstanceRecord] = {}
    for record in records:
        if record.attributes.sop_instance_uid not in known:
            fresh.setdefault(record.attributes.sop_instance_uid, record)
    if not fresh:
        return 0
    by_study: dict[str, list[InstanceRecord]] = {}
    for record in fresh.values():
        by_study.setdefault(record.attributes.study_instance_uid, []).append(record)
    for members in by_study.values():
        _add_to_study(tx, members)
    return len(fresh)


def correct(tx: Transaction, records: Sequence[InstanceRecord]) -> None:
    """Instances that are known have other bytes now: their rows, and all that those say above them.

    The study is open again: it is analyzed anew, and the new results supersede the old.
    """
    by_study: dict[str, list[InstanceRecord]] = {}
    for record in records:
        by_study.setdefault(record.attributes.study_instance_uid, []).append(record)
    for members in by_study.values():
        study_id = _study_of(tx, members)
        _renew_study(tx, study_id, members[-1])
        newest = {one.attributes.series_instance_uid: one for one in members}
        for series_uid, head in _series_of(tx, study_id, members).items():
            _renew_series(tx, head.id, newest[series_uid])
        series = _series_of(tx, study_id, members)
        for record in members:
            uid = schema.instances.c.sop_instance_uid == record.attributes.sop_instance_uid
            values = _instance_row(record, series[record.attributes.series_instance_uid])
            tx.execute(sa.update(schema.instances).where(uid).values(**values))


def _renew_study(tx: Transaction, study_id: int, newest: InstanceRecord) -> None:
    values = _study_values(newest.attributes.study)
    patient = _patient_of(tx, newest.attributes.study, newest.attributes.study_instance_uid)
    table = schema.studies
    tx.execute(sa.update(table).where(table.c.id == study_id).values(patient_id=patient, **values))
    names = schema.study_names
    tx.execute(sa.delete(names).where(names.c.study_id == study_id))
    _enter_names(tx, study_id, newest.attributes.study)


def _enter_names(tx: Transaction, study_id: int, header: Header) -> None:
    """By what the study is found whose patient's name is asked for."""
    found = component_groups(_text(header, "PatientName"))
    if found:
        rows = [{"study_id": study_id, "name": name} for name in found]
        tx.execute(sa.insert(schema.study_names), rows)


def _renew_series(tx: Transaction, series_id: int, newest: InstanceRecord) -> None:
    table = schema.series
    values = _series_values(newest.attributes.series)
    tx.execute(sa.update(table).where(table.c.id == series_id).values(**values))


def _add_to_study(tx: Transaction, members: list[InstanceRecord]) -> None:
    study_id = _study_of(tx, members)
    series = _series_of(tx, study_id, members)
    rows = [
        _instance_row(record, series[record.attributes.series_instance_uid]) for record in members
    ]
    tx.execute(sa.insert(schema.instances), rows)


def _instance_row(record: InstanceRecord, series: reading.SeriesHead) -> dict[str, Any]:
    attributes, placement = record.attributes, record.placement
    return {
        "series_id": series.id,
        "sop_instance_uid": attributes.sop_instance_uid,
        "sop_class_uid": attributes.sop_class_uid,
        "transfer_syntax_uid": attributes.transfer_syntax_uid,
        "instance_number": _whole(attributes.instance.get("InstanceNumber")),
        "header": {**attributes.instance, **_otherwise(attributes, series.header)},
        "key": placement.key,
        "size_bytes": placement.size_bytes,
        "sha256": placement.sha256,
        "received_at": record.received_at,
        "calling_ae": record.calling_ae,
    }


def _otherwise(attributes: InstanceAttributes, above: Header) -> dict[str, Any]:
    """What an instance says of its series, study and patient other than their rows do.

    None where it says nothing.
    """
    said = {**attributes.series, **attributes.study}
    if said == above:
        return {}
    words = said.keys() | above.keys()
    return {word: said.get(word) for word in words if said.get(word) != above.get(word)}


def _study_of(tx: Transaction, members: list[InstanceRecord]) -> int:
    attributes = members[0].attributes
    last = max(record.received_at for record in members)
    table = schema.studies
    query = sa.select(table).where(table.c.study_instance_uid == attributes.study_instance_uid)
    row = tx.execute(query).one_or_none()
    if row is None:
        study_id = _new_study(tx, members, last)
        _compare_patients(tx, study_id, attributes.study, members, last)
        return study_id
    tx.execute(
        sa.update(table)
        .where(table.c.id == row.id)
        .values(
            state=StudyState.RECEIVING.value,
            last_received_at=max(last, row.last_received_at),
            revision=table.c.revision + 1,
        )
    )
    if row.state == StudyState.COMPLETE.value:
        reason = f"{len(members)} late instances"
        events.record(
            tx,
            last,
            Level.INFO,
            Topic.STUDY,
            row.id,
            row.state,
            StudyState.RECEIVING,
            reason,
        )
    _compare_patients(tx, int(row.id), row.header, members, last)
    return int(row.id)


def _new_study(tx: Transaction, members: list[InstanceRecord], last: datetime) -> int:
    attributes = members[0].attributes
    header = attributes.study
    values = {
        "patient_id": _patient_of(tx, header, attributes.study_instance_uid),
        "study_instance_uid": attributes.study_instance_uid,
        "state": StudyState.RECEIVING.value,
        **_study_values(header),
        "first_received_at": min(record.received_at for record in members),
        "last_received_at": last,
        "revision": 1,
    }
    study_id = _insert_id(tx, schema.studies, values)
    _enter_names(tx, study_id, header)
    events.record(
        tx,
        last,
        Level.INFO,
        Topic.STUDY,
        study_id,
        "",
        StudyState.RECEIVING,
        "first instance",
    )
    return study_id


def _study_values(header: Header) -> dict[str, Any]:
    return {
        "study_date": _text(header, "StudyDate"),
        "study_time": _text(header, "StudyTime"),
        "accession_number": _text(header, "AccessionNumber"),
        "study_id": _text(header, "StudyID"),
        "study_description": _text(header, "StudyDescription"),
        "referring_physician_name": _text(header, "ReferringPhysicianName"),
        "header": dict(header),
    }


def _series_values(header: Header) -> dict[str, Any]:
    return {
        "modality": _text(header, "Modality"),
        "series_number": _whole(header.get("SeriesNumber")),
        "series_description": _text(header, "SeriesDescription"),
        "body_part_examined": _text(header, "BodyPartExamined"),
        "header": dict(header),
    }


def _patient_of(tx: Transaction, header: Header, study_instance_uid: str) -> int:
    table = schema.patients
    key = patient_key(header, study_instance_uid)
    _insert_missing(
        tx,
        table,
        [
            {
                "key": key,
                "patient_id": _text(header, "PatientID"),
                "issuer_of_patient_id": _text(header, "IssuerOfPatientID"),
                "patient_name": _text(header, "PatientName"),
                "patient_birth_date": _text(header, "PatientBirthDate"),
                "patient_sex": _text(header, "PatientSex"),
            }
        ],
    )
    return int(tx.execute(sa.select(table.c.id).where(table.c.key == key)).scalar_one())


def _compare_patients(
    tx: Transaction, study_id: int, first: Header, members: list[InstanceRecord], at: datetime
) -> None:
    uid = members[0].attributes.study_instance_uid
    ours = patient_key(first, uid)
    others = sum(patient_key(record.attributes.study, uid) != ours for record in members)
    if others:
        reason = f"{others} instances name another patient than the study's first"
        state = StudyState.RECEIVING
        events.record(tx, at, Level.WARNING, Topic.STUDY, study_id, state, state, reason)


def add_own(tx: Transaction, study_id: int, objects: Sequence[ResultObject], at: datetime) -> None:
    """Enter what a job of the node made as instances of its study, marked as the node's own.

    The study stays as it is: nothing was received. What is there already gets the bytes that the
    job made last; what came from elsewhere stays as received.
    """
    found = {one.sop_instance_uid: one for one in objects if one.attributes is not None}
    records = [_own_record(one, at) for one in found.values()]
    if not records:
        return
    known = _known_uids(tx, list(found))
    series = _series_of(tx, study_id, records, own=True)
    rows = [
        {**_instance_row(one, series[one.attributes.series_instance_uid]), "own": True}
        for one in records
    ]
    fresh = [row for row in rows if row["sop_instance_uid"] not in known]
    if fresh:
        tx.execute(sa.insert(schema.instances), fresh)
    table = schema.instances
    for row in rows:
        if row["sop_instance_uid"] in known:
            is_it = table.c.sop_instance_uid == row["sop_instance_uid"]
            tx.execute(sa.update(table).where(is_it, table.c.own).values(**row))
    studies = schema.studies
    again = sa.update(studies).where(studies.c.id == study_id)
    tx.execute(again.values(revision=studies.c.revision + 1))


def _own_record(made: ResultObject, at: datetime) -> InstanceRecord:
    if made.attributes is None:
        raise ValueError("what is not read cannot be entered")
    placement = Placement(PutOutcome.NEW, made.key, made.size_bytes, made.sha256, "")
    return InstanceRecord(made.attributes, placement, at)


def _series_of(
    tx: Transaction, study_id: int, members: list[InstanceRecord], own: bool = False
) -> dict[str, reading.SeriesHead]:
    """The series of the instances by UID, with what their rows and the study's say."""
    table, studies = schema.series, schema.studies
    first: dict[str, InstanceRecord] = {}
    for record in members:
        first.setdefault(record.attributes.series_instance_uid, record)
    rows = [
        {
            "study_id": study_id,
            "series_instance_uid": uid,
            "own": own,
            **_series_values(record.attributes.series),
        }
        for uid, record in first.items()
    ]
    _insert_missing(tx, table, rows)
    columns = (table.c.series_instance_uid, table.c.id, table.c.header, studies.c.header)
    query = sa.select(*columns).select_from(table.join(studies))
    chosen = (table.c.study_id == study_id, table.c.series_instance_uid.in_(first))
    return {
        uid: reading.SeriesHead(series_id, {**own, **above})
        for uid, series_id, own, above in tx.execute(query.where(*chosen))
    }


# --- statements both databases know ---------------------------------------------------------------


def _insert_missing(tx: Transaction, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    tx.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def _insert_id(tx: Transaction, table: sa.Table, values: dict[str, Any]) -> int:
    key = tx.execute(sa.insert(table).values(**values)).inserted_primary_key
    if key is None:
        raise NotFound(f"{table.name} gave no id")
    return int(key[0])


def _known_uids(tx: Transaction, uids: list[str]) -> set[str]:
    table = schema.instances
    known: set[str] = set()
    for start in range(0, len(uids), _IN_LIMIT):
        part = uids[start : start + _IN_LIMIT]
        query = sa.select(table.c.sop_instance_uid).where(table.c.sop_instance_uid.in_(part))
        known.update(tx.scalars(query))
    return known


def _text(header: Header, keyword: str) -> str:
    value = header.get(keyword, "")
    return "\\".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _whole(value: object) -> int | None:
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if abs(number) < 2**31 else None
