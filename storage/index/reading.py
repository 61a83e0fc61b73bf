"""What the index says of studies, their series and instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.header.told import readability
from storage.identity import IDENTITY, disagreements
from storage.records import (
    Header,
    StoredInstance,
    StoredSeries,
    StudyPlace,
    StudyRow,
    StudyState,
)
from storage.restriction import only_seen

_IN_LIMIT = 500


def series_of(tx: Transaction, study_id: int) -> list[StoredSeries]:
    """The series of a study from outside with all instances, by series id."""
    series, studies, instances = schema.series, schema.studies, schema.instances
    chosen = (series.c.study_id == study_id, ~series.c.own)
    rows = tx.execute(
        sa.select(series, studies.c.header.label("study_header"))
        .join(studies)
        .where(*chosen)
        .order_by(series.c.id)
    ).all()
    members: dict[int, list[StoredInstance]] = {row.id: [] for row in rows}
    query = sa.select(instances).join(series).where(*chosen).order_by(instances.c.id)
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
    """The series of some studies from outside, reading no more than one instance of each."""
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
        query = sa.select(*columns).select_from(series.join(studies)).where(~series.c.own)
        query = query.join(instances, instances.c.id == first)
        for study_id, own, above, image in tx.execute(query.where(series.c.study_id.in_(part))):
            found.append(Glance(study_id, {**image, **own, **above}))
    return found


@dataclass(frozen=True, slots=True)
class SeriesHead:
    """A series without its instances."""

    id: int
    header: Header
    own: bool
    """Whether the node made it itself."""


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
    return next(iter(study_rows(tx, query)), None)


def revision_of(tx: Transaction, study_id: int) -> int:
    """Another number whenever the study's instances are others.

    Raises
    ------
    NotFound
    """
    table = schema.studies
    found: int | None = tx.scalar(sa.select(table.c.revision).where(table.c.id == study_id))
    if found is None:
        raise NotFound(f"there is no study {study_id}")
    return found


def get_study(tx: Transaction, study_id: int) -> StudyRow:
    """One study.

    Raises
    ------
    NotFound
    """
    table = schema.studies
    rows = study_rows(tx, sa.select(table.c.id).where(table.c.id == study_id))
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
    return study_rows(tx, query)


def list_newer_studies(tx: Transaction, limit: int, after: StudyPlace) -> list[StudyRow]:
    """The studies next above a place in that list, in its order."""
    table = schema.studies
    key = sa.tuple_(table.c.last_received_at, table.c.id)
    query = sa.select(table.c.id).where(key > _literal(after))
    query = query.order_by(table.c.last_received_at, table.c.id).limit(limit)
    return study_rows(tx, query)[::-1]


def _literal(place: StudyPlace) -> sa.Tuple:
    at = sa.literal(place.last_received_at, schema.studies.c.last_received_at.type)
    return sa.tuple_(at, sa.literal(place.id))


def get_studies(tx: Transaction, ids: Iterable[int]) -> list[StudyRow]:
    """Studies in the order of ``ids``; unknown ones are left out."""
    wanted = list(ids)
    table = schema.studies
    rows = {
        row.id: row for row in study_rows(tx, sa.select(table.c.id).where(table.c.id.in_(wanted)))
    }
    return [rows[one] for one in wanted if one in rows]


def study_rows(tx: Transaction, chosen: sa.Select[Any]) -> list[StudyRow]:
    """Of the studies that a statement chooses, those that whoever asks may see."""
    ids: list[int] = list(tx.scalars(chosen.where(*only_seen(tx, schema.studies.c.id))))
    rows: dict[int, StudyRow] = {}
    for start in range(0, len(ids), _IN_LIMIT):
        rows |= _counted(tx, ids[start : start + _IN_LIMIT])
    return [rows[one] for one in ids]


def _counted(tx: Transaction, ids: Sequence[int]) -> dict[int, StudyRow]:
    studies, series, instances = schema.studies, schema.series, schema.instances
    counts = (
        sa.select(
            series.c.study_id,
            sa.func.count(sa.distinct(sa.case((~series.c.own, series.c.id)))).label("series"),
            sa.func.count(sa.case((~series.c.own, instances.c.id))).label("instances"),
            sa.func.count(sa.case((series.c.own, instances.c.id))).label("results"),
        )
        .select_from(series.outerjoin(instances))
        .where(series.c.study_id.in_(ids))
        .group_by(series.c.study_id)
        .subquery()
    )
    query = (
        sa.select(studies, counts.c.series, counts.c.instances, counts.c.results)
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
        results=row.results or 0,
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
        own=row.own,
    )
