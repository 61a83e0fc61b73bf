"""The index of what is stored: patients, studies, series, instances; and when a study is due."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage import events, schema
from storage.attributes import patient_key, readability
from storage.database import Transaction
from storage.errors import NotFound
from storage.identity import IDENTITY, disagreements
from storage.records import (
    Header,
    InstanceAttributes,
    InstanceRecord,
    Level,
    StoredInstance,
    StoredSeries,
    StudyPlace,
    StudyRow,
    StudyState,
    Subject,
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


def _instance_row(record: InstanceRecord, series: SeriesHead) -> dict[str, Any]:
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
            tx, last, Level.INFO, Subject.STUDY, row.id, row.state, StudyState.RECEIVING, reason
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
    events.record(
        tx, last, Level.INFO, Subject.STUDY, study_id, "", StudyState.RECEIVING, "first instance"
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
        events.record(tx, at, Level.WARNING, Subject.STUDY, study_id, state, state, reason)


def _series_of(
    tx: Transaction, study_id: int, members: list[InstanceRecord]
) -> dict[str, SeriesHead]:
    """The series of the instances by UID, with what their rows and the study's say."""
    table, studies = schema.series, schema.studies
    first: dict[str, InstanceRecord] = {}
    for record in members:
        first.setdefault(record.attributes.series_instance_uid, record)
    rows = [
        {
            "study_id": study_id,
            "series_instance_uid": uid,
            **_series_values(record.attributes.series),
        }
        for uid, record in first.items()
    ]
    _insert_missing(tx, table, rows)
    columns = (table.c.series_instance_uid, table.c.id, table.c.header, studies.c.header)
    query = sa.select(*columns).select_from(table.join(studies))
    chosen = (table.c.study_id == study_id, table.c.series_instance_uid.in_(first))
    return {
        uid: SeriesHead(series_id, {**own, **above})
        for uid, series_id, own, above in tx.execute(query.where(*chosen))
    }


# --- completion -----------------------------------------------------------------------------------


def due_studies(tx: Transaction, quiet_before: datetime) -> list[StudyRow]:
    """All open studies to which nothing came since ``quiet_before``, the longest waiting first."""
    table = schema.studies
    return _study_rows(
        tx,
        sa.select(table.c.id)
        .where(
            table.c.state == StudyState.RECEIVING.value, table.c.last_received_at <= quiet_before
        )
        .order_by(table.c.last_received_at),
    )


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study that is not complete, as much of it as says when it is."""

    id: int
    study_instance_uid: str
    revision: int
    """Another one whenever instances have come."""
    last_received_at: datetime


def open_studies(tx: Transaction) -> list[OpenStudy]:
    """All studies that are not complete, the longest waiting first; no instance is read."""
    table = schema.studies
    columns = (table.c.id, table.c.study_instance_uid, table.c.revision, table.c.last_received_at)
    query = sa.select(*columns).where(table.c.state == StudyState.RECEIVING.value)
    ordered = query.order_by(table.c.last_received_at, table.c.id)
    return [OpenStudy(*row) for row in tx.execute(ordered)]


def complete(
    tx: Transaction,
    study_id: int,
    at: datetime,
    seen_last_received_at: datetime,
    evidence: str = "associations ended, quiet period over",
    seen_revision: int | None = None,
) -> bool:
    """Mark a study complete, unless an instance came since it was looked at."""
    table = schema.studies
    unchanged = table.c.last_received_at == seen_last_received_at
    if seen_revision is not None:
        unchanged = table.c.revision == seen_revision
    done = tx.execute(
        sa.update(table)
        .where(table.c.id == study_id, table.c.state == StudyState.RECEIVING.value, unchanged)
        .values(state=StudyState.COMPLETE.value, generation=table.c.generation + 1, completed_at=at)
    )
    if done.rowcount == 0:
        return False
    events.record(
        tx, at, Level.INFO, Subject.STUDY, study_id,
        StudyState.RECEIVING, StudyState.COMPLETE, evidence,
    )  # fmt: skip
    return True


def note(tx: Transaction, study_id: int, text: str) -> None:
    """Say why nothing was run on a study; empty when something was."""
    table = schema.studies
    tx.execute(sa.update(table).where(table.c.id == study_id).values(note=text))


# --- reading --------------------------------------------------------------------------------------


def series_of(tx: Transaction, study_id: int) -> list[StoredSeries]:
    """The series of a study with all instances, by series id."""
    series, studies, instances = schema.series, schema.studies, schema.instances
    own = sa.select(schema.results.c.series_instance_uid)
    rows = tx.execute(
        sa.select(series, studies.c.header.label("study_header"))
        .add_columns(series.c.series_instance_uid.in_(own).label("own"))
        .join(studies)
        .where(series.c.study_id == study_id)
        .order_by(series.c.id)
    ).all()
    members: dict[int, list[StoredInstance]] = {row.id: [] for row in rows}
    query = (
        sa.select(instances)
        .join(series)
        .where(series.c.study_id == study_id)
        .order_by(instances.c.id)
    )
    for row in tx.execute(query):
        members[row.series_id].append(_instance(row))
    return [_series(row, tuple(members[row.id])) for row in rows]


def _series(row: sa.Row[Any], members: tuple[StoredInstance, ...]) -> StoredSeries:
    above = {**row.header, **row.study_header}
    shown = max(members, key=lambda one: readability(one.header)).header if members else {}
    header = {word: value for word, value in {**above, **shown}.items() if value is not None}
    return StoredSeries(
        id=row.id,
        study_id=row.study_id,
        series_instance_uid=row.series_instance_uid,
        header=header,
        instances=members,
        own=bool(row.own),
        disagreements=_disagreements(members, above),
    )


def _disagreements(members: Sequence[StoredInstance], above: Header) -> tuple[str, ...]:
    """On what the images of a series disagree; most repeat nothing of their patient."""
    if not any(word in one.header for one in members for word in IDENTITY):
        return ()
    return disagreements({**above, **one.header} for one in members)


@dataclass(frozen=True, slots=True)
class Glance:
    """A series as its first image shows it."""

    study_id: int
    header: Header


def glances(tx: Transaction, study_ids: Sequence[int]) -> list[Glance]:
    """The series of some studies, without reading more than one instance of each."""
    series, studies, instances = schema.series, schema.studies, schema.instances
    members = instances.alias("members")
    first = (
        sa.select(sa.func.min(members.c.id))
        .where(members.c.series_id == series.c.id)
        .correlate(series)
        .scalar_subquery()
    )
    columns = (series.c.study_id, series.c.header, studies.c.header, instances.c.header)
    found: list[Glance] = []
    for start in range(0, len(study_ids), _IN_LIMIT):
        part = study_ids[start : start + _IN_LIMIT]
        query = sa.select(*columns).select_from(series.join(studies))
        query = query.join(instances, instances.c.id == first)
        for study_id, own, above, image in tx.execute(query.where(series.c.study_id.in_(part))):
            found.append(Glance(study_id, {**image, **own, **above}))
    return found


@dataclass(frozen=True, slots=True)
class SeriesHead:
    """A series without its instances."""

    id: int
    header: Header


def series_heads(tx: Transaction, study_id: int) -> list[SeriesHead]:
    """The series of a study, without reading their instances."""
    table = schema.series
    query = sa.select(table.c.id, table.c.header).where(table.c.study_id == study_id)
    return [SeriesHead(row.id, row.header) for row in tx.execute(query.order_by(table.c.id))]


def instances_by_id(tx: Transaction, ids: Iterable[int]) -> list[StoredInstance]:
    """Instances in the order of ``ids``; unknown ids are left out."""
    wanted = list(ids)
    table = schema.instances
    found: dict[int, StoredInstance] = {}
    for start in range(0, len(wanted), _IN_LIMIT):
        query = sa.select(table).where(table.c.id.in_(wanted[start : start + _IN_LIMIT]))
        found |= {row.id: _instance(row) for row in tx.execute(query)}
    return [found[one] for one in wanted if one in found]


def find_study(tx: Transaction, study_instance_uid: str) -> StudyRow | None:
    table = schema.studies
    query = sa.select(table.c.id).where(table.c.study_instance_uid == study_instance_uid)
    return next(iter(_study_rows(tx, query)), None)


def get_study(tx: Transaction, study_id: int) -> StudyRow:
    """One study.

    Raises
    ------
    NotFound
    """
    table = schema.studies
    rows = _study_rows(tx, sa.select(table.c.id).where(table.c.id == study_id))
    if not rows:
        raise NotFound(f"there is no study {study_id}")
    return rows[0]


def list_studies(
    tx: Transaction,
    limit: int = 50,
    offset: int = 0,
    before: StudyPlace | None = None,
) -> list[StudyRow]:
    """Studies, the one that received last first; with ``before`` those further down."""
    table = schema.studies
    key = sa.tuple_(table.c.last_received_at, table.c.id)
    order = (table.c.last_received_at.desc(), table.c.id.desc())
    query = sa.select(table.c.id).order_by(*order).limit(limit).offset(offset)
    if before is not None:
        query = query.where(key < _literal(before))
    return _study_rows(tx, query)


def list_newer_studies(tx: Transaction, limit: int, after: StudyPlace) -> list[StudyRow]:
    """The studies next above a place in that list, in its order."""
    table = schema.studies
    key = sa.tuple_(table.c.last_received_at, table.c.id)
    query = sa.select(table.c.id).where(key > _literal(after))
    query = query.order_by(table.c.last_received_at, table.c.id).limit(limit)
    return _study_rows(tx, query)[::-1]


def _literal(place: StudyPlace) -> sa.Tuple:
    at = sa.literal(place.last_received_at, schema.studies.c.last_received_at.type)
    return sa.tuple_(at, sa.literal(place.id))


def get_studies(tx: Transaction, ids: Iterable[int]) -> list[StudyRow]:
    """Studies in the order of ``ids``; unknown ones are left out."""
    wanted = list(ids)
    table = schema.studies
    rows = {
        row.id: row for row in _study_rows(tx, sa.select(table.c.id).where(table.c.id.in_(wanted)))
    }
    return [rows[one] for one in wanted if one in rows]


def _study_rows(tx: Transaction, chosen: sa.Select[Any]) -> list[StudyRow]:
    ids: list[int] = list(tx.scalars(chosen))
    rows: dict[int, StudyRow] = {}
    for start in range(0, len(ids), _IN_LIMIT):
        rows |= _counted(tx, ids[start : start + _IN_LIMIT])
    return [rows[one] for one in ids]


def _counted(tx: Transaction, ids: Sequence[int]) -> dict[int, StudyRow]:
    studies, series, instances = schema.studies, schema.series, schema.instances
    counts = (
        sa.select(
            series.c.study_id,
            sa.func.count(sa.distinct(series.c.id)).label("series"),
            sa.func.count(instances.c.id).label("instances"),
        )
        .select_from(series.outerjoin(instances))
        .where(series.c.study_id.in_(ids))
        .group_by(series.c.study_id)
        .subquery()
    )
    query = (
        sa.select(studies, counts.c.series, counts.c.instances)
        .outerjoin(counts, counts.c.study_id == studies.c.id)
        .where(studies.c.id.in_(ids))
    )
    return {row.id: _study(row) for row in tx.execute(query)}


def _study(row: sa.Row[Any]) -> StudyRow:
    return StudyRow(
        id=row.id,
        study_instance_uid=row.study_instance_uid,
        state=StudyState(row.state),
        generation=row.generation,
        header=row.header,
        series=row.series or 0,
        instances=row.instances or 0,
        first_received_at=row.first_received_at,
        last_received_at=row.last_received_at,
        completed_at=row.completed_at,
        note=row.note,
    )


def _instance(row: sa.Row[Any]) -> StoredInstance:
    return StoredInstance(
        id=row.id,
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        key=row.key,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        header=row.header,
    )


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
