"""Instances on their way into the index, with the series, studies and patients above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import events, reading_state, schema, study_words
from storage.database import Transaction
from storage.errors import NotFound
from storage.header.told import patient_key
from storage.index import batches, reading
from storage.names import component_groups
from storage.records import (
    Header,
    InstanceAttributes,
    InstanceRecord,
    Level,
    StudyState,
    Topic,
)
from storage.restriction import OriginKind, normal
from storage.upsert import insert_missing


def add(tx: Transaction, records: Sequence[InstanceRecord]) -> int:
    """Enter instances, with their series, studies and patients; gives how many are new.

    Repeating it changes nothing. An instance that is new to a complete study re-opens it. The
    first header of a study or series stays; one that names another patient is an event.
    """
    known = batches.known_uids(tx, [record.attributes.sop_instance_uid for record in records])
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

    The study is open again: it is analyzed anew, and the new results supersede the old. Of series
    that the node made itself only the rows of the instances change.
    """
    by_study: dict[str, list[InstanceRecord]] = {}
    for record in records:
        by_study.setdefault(record.attributes.study_instance_uid, []).append(record)
    for members in by_study.values():
        study = _study_of(tx, members)
        received = _foreign(members, enter_series(tx, study.id, members))
        _note_received(tx, study, received)
        if received:
            _renew_study(tx, study.id, received[-1])
            _renew_series(tx, study.id, received)
        series = enter_series(tx, study.id, members)
        for record in members:
            uid = schema.instances.c.sop_instance_uid == record.attributes.sop_instance_uid
            values = instance_row(record, series[record.attributes.series_instance_uid])
            tx.execute(sa.update(schema.instances).where(uid).values(**values))


def _renew_study(tx: Transaction, study_id: int, newest: InstanceRecord) -> None:
    values = _study_values(newest.attributes.study)
    patient = _patient_of(tx, newest.attributes.study, newest.attributes.study_instance_uid)
    table = schema.studies
    tx.execute(sa.update(table).where(table.c.id == study_id).values(patient_id=patient, **values))
    names = schema.study_names
    tx.execute(sa.delete(names).where(names.c.study_id == study_id))
    _enter_names(tx, study_id, newest.attributes.study)
    study_words.enter(tx, study_id, newest.attributes.study)
    origins = schema.study_origins
    of_header = (origins.c.study_id == study_id, origins.c.kind == OriginKind.INSTITUTION.value)
    tx.execute(sa.delete(origins).where(*of_header))
    _enter_origins(tx, study_id, OriginKind.INSTITUTION, {_institution(newest.attributes.study)})


def _enter_names(tx: Transaction, study_id: int, header: Header) -> None:
    """By what the study is found whose patient's name is asked for."""
    found = component_groups(_text(header, "PatientName"))
    if found:
        rows = [{"study_id": study_id, "name": name} for name in found]
        tx.execute(sa.insert(schema.study_names), rows)


def _enter_origins(tx: Transaction, study_id: int, kind: OriginKind, values: set[str]) -> None:
    """By what a study is seen by who may see some only (``storage.restriction``).

    Its institution is that of its header, as its patient is: who stores another image into a study
    does not thereby see it.
    """
    rows = [
        {"study_id": study_id, "kind": kind.value, "value": one}
        for one in sorted(set(map(normal, values)))
        if one
    ]
    if rows:
        batches.enter_origins(tx, rows)


def _senders(members: Sequence[InstanceRecord]) -> set[str]:
    return {one.calling_ae for one in members}


def _institution(header: Header) -> str:
    return _text(header, "InstitutionName")


def _renew_series(tx: Transaction, study_id: int, members: list[InstanceRecord]) -> None:
    table = schema.series
    newest = {one.attributes.series_instance_uid: one for one in members}
    for uid, record in newest.items():
        is_it = (table.c.study_id == study_id, table.c.series_instance_uid == uid)
        values = _series_values(record.attributes.series)
        tx.execute(sa.update(table).where(*is_it).values(**values))


def _add_to_study(tx: Transaction, members: list[InstanceRecord]) -> None:
    study = _study_of(tx, members)
    series = enter_series(tx, study.id, members)
    _note_received(tx, study, _foreign(members, series))
    rows = [
        instance_row(record, series[record.attributes.series_instance_uid]) for record in members
    ]
    batches.insert_instances(tx, rows)


def _foreign(
    members: list[InstanceRecord], series: dict[str, reading.SeriesHead]
) -> list[InstanceRecord]:
    """Those of series that the node did not make itself."""
    return [one for one in members if not series[one.attributes.series_instance_uid].own]


def instance_row(record: InstanceRecord, series: reading.SeriesHead) -> dict[str, Any]:
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


@dataclass(frozen=True, slots=True)
class _Study:
    """The study of some instances; without a row where they are its first."""

    id: int
    row: batches.StudyHead | None


def _study_of(tx: Transaction, members: list[InstanceRecord]) -> _Study:
    row = batches.study_head(tx, members[0].attributes.study_instance_uid)
    return _Study(_new_study(tx, members), None) if row is None else _Study(row.id, row)


def _note_received(tx: Transaction, study: _Study, members: list[InstanceRecord]) -> None:
    """A known study has got these from outside: it is open, again if it was complete.

    Without any only its revision tells that it has changed.
    """
    row = study.row
    if row is None:
        return
    if not members:
        raise_revision(tx, study.id)
        return
    _enter_origins(tx, study.id, OriginKind.AE_TITLE, _senders(members))
    last = max(record.received_at for record in members)
    batches.receive_again(tx, row.id, max(last, row.last_received_at))
    if row.state == StudyState.COMPLETE.value:
        reading_state.renew(tx, row.id)
        reason = f"{len(members)} late instances"
        before, after = row.state, StudyState.RECEIVING
        events.record(tx, last, Level.INFO, Topic.STUDY, row.id, before, after, reason)
    _compare_patients(tx, study.id, row.header, members, last)


def raise_revision(tx: Transaction, study_id: int) -> None:
    """Its instances are others than before."""
    table = schema.studies
    again = sa.update(table).where(table.c.id == study_id)
    tx.execute(again.values(revision=table.c.revision + 1))


def _new_study(tx: Transaction, members: list[InstanceRecord]) -> int:
    attributes = members[0].attributes
    header, last = attributes.study, max(record.received_at for record in members)
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
    study_words.enter(tx, study_id, header)
    _enter_origins(tx, study_id, OriginKind.AE_TITLE, _senders(members))
    _enter_origins(tx, study_id, OriginKind.INSTITUTION, {_institution(header)})
    state, reason = StudyState.RECEIVING, "first instance"
    events.record(tx, last, Level.INFO, Topic.STUDY, study_id, "", state, reason)
    _compare_patients(tx, study_id, header, members, last)
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
    values = {
        "key": key,
        "patient_id": _text(header, "PatientID"),
        "issuer_of_patient_id": _text(header, "IssuerOfPatientID"),
        "patient_name": _text(header, "PatientName"),
        "patient_birth_date": _text(header, "PatientBirthDate"),
        "patient_sex": _text(header, "PatientSex"),
    }
    tx.execute(insert_missing(tx.dialect.name, table), [values])
    return int(tx.execute(sa.select(table.c.id).where(table.c.key == key)).scalar_one())


def _compare_patients(
    tx: Transaction, study_id: int, first: Header, members: list[InstanceRecord], at: datetime
) -> None:
    uid = members[0].attributes.study_instance_uid
    ours = patient_key(first, uid)
    said = [record.attributes.study for record in members]
    others = sum(one != first and patient_key(one, uid) != ours for one in said)
    if others:
        reason = f"{others} instances name another patient than the study's first"
        state = StudyState.RECEIVING
        events.record(tx, at, Level.WARNING, Topic.STUDY, study_id, state, state, reason)


def enter_series(
    tx: Transaction, study_id: int, members: Sequence[InstanceRecord], own: bool = False
) -> dict[str, reading.SeriesHead]:
    """The series of the instances by UID, with what their rows and the study's say.

    A series is the node's own if that is said, or if a job is known to have made it.
    """
    first: dict[str, InstanceRecord] = {}
    for record in members:
        first.setdefault(record.attributes.series_instance_uid, record)
    known = batches.series_heads(tx, study_id, first)
    fresh = {uid: record for uid, record in first.items() if uid not in known}
    if not fresh:
        return known
    _insert_series(tx, study_id, fresh, own)
    return known | batches.series_heads(tx, study_id, fresh)


def _insert_series(
    tx: Transaction, study_id: int, first: dict[str, InstanceRecord], own: bool
) -> None:
    rows = [
        {
            "study_id": study_id,
            "series_instance_uid": uid,
            "asked_uid": uid,
            **_series_values(record.attributes.series),
        }
        for uid, record in first.items()
    ]
    is_own = sa.true() if own else _made_here(sa.bindparam("asked_uid", type_=sa.String(64)))
    tx.execute(sa.insert(schema.series).values(own=is_own), rows)


def _made_here(series_instance_uid: Any) -> sa.ColumnElement[bool]:
    """Whether a job made this series, be it that its results are deleted by now."""
    made, retired = schema.results, schema.retired_series
    return sa.or_(
        sa.exists().where(made.c.series_instance_uid == series_instance_uid),
        sa.exists().where(retired.c.series_instance_uid == series_instance_uid),
    )


# --- statements both databases know ---------------------------------------------------------------


def _insert_id(tx: Transaction, table: sa.Table, values: dict[str, Any]) -> int:
    key = tx.execute(sa.insert(table).values(**values)).inserted_primary_key
    if key is None:
        raise NotFound(f"{table.name} gave no id")
    return int(key[0])


def _text(header: Header, keyword: str) -> str:
    value = header.get(keyword, "")
    return "\\".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _whole(value: object) -> int | None:
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if abs(number) < 2**31 else None
