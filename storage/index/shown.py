"""What the index says of a study for who looks at its images: its series, and what lies over them.

Series and instances are told by their rows, the node's own like those from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.holdings import COLUMNS, Held, joined
from storage.kinds import ObjectKind
from storage.records import Header
from storage.restriction import only_seen


@dataclass(frozen=True, slots=True)
class ShownSeries:
    """A series in the list of a study. ``header``: of the series and of its first instance."""

    id: int
    series_instance_uid: str
    modality: str
    number: int | None
    description: str
    own: bool
    instances: int
    sop_class_uid: str
    """Of the first instance."""
    header: Header


@dataclass(frozen=True, slots=True)
class Member:
    """An instance of a series, with what the index keeps of its header, and where it lies."""

    held: Held
    series_id: int
    header: Header


@dataclass(frozen=True, slots=True)
class OwnResult:
    """What a job says of an instance that it made."""

    job_id: int
    source_series_id: int
    kind: ObjectKind


def series_shown(tx: Transaction, study_id: int) -> list[ShownSeries]:
    """All series of a study that hold something, by their rows."""
    series, instances = schema.series, schema.instances
    counted = (
        sa.select(
            instances.c.series_id,
            sa.func.count().label("number"),
            sa.func.min(instances.c.id).label("first"),
        )
        .join(series, series.c.id == instances.c.series_id)
        .where(series.c.study_id == study_id)
        .group_by(instances.c.series_id)
        .subquery()
    )
    query = (
        sa.select(
            series, counted.c.number, instances.c.sop_class_uid, instances.c.header.label("image")
        )
        .join(counted, counted.c.series_id == series.c.id)
        .join(instances, instances.c.id == counted.c.first)
        .order_by(series.c.id)
    )
    return [
        ShownSeries(
            id=row.id,
            series_instance_uid=row.series_instance_uid,
            modality=row.modality,
            number=row.series_number,
            description=row.series_description,
            own=row.own,
            instances=row.number,
            sop_class_uid=row.sop_class_uid,
            header={**row.image, **row.header},
        )
        for row in tx.execute(query)
    ]


def members(tx: Transaction, series_ids: Sequence[int], limit: int) -> list[Member]:
    """The instances of some series, by their rows; at most ``limit``."""
    table = schema.instances
    query = joined(*COLUMNS, table.c.series_id, table.c.header)
    seen = only_seen(tx, schema.studies.c.id)
    chosen = query.where(table.c.series_id.in_(series_ids), *seen).order_by(table.c.id).limit(limit)
    count = len(COLUMNS)
    return [Member(Held(*row[:count]), row[count], row[count + 1]) for row in tx.execute(chosen)]


def own_results(tx: Transaction, study_id: int) -> dict[str, OwnResult]:
    """What jobs say of what they made of a study, by SOP Instance UID."""
    jobs, results = schema.jobs, schema.results
    query = (
        sa.select(results.c.sop_instance_uid, jobs.c.id, jobs.c.series_id, results.c.kind)
        .join(jobs, jobs.c.id == results.c.job_id)
        .where(jobs.c.study_id == study_id)
    )
    return {
        uid: OwnResult(job_id, series_id, ObjectKind(kind))
        for uid, job_id, series_id, kind in tx.execute(query)
    }


def revision(tx: Transaction, study_id: int) -> int:
    """Another one whenever an instance of the study comes, changes or goes.

    Raises
    ------
    NotFound
        There is none for whoever asks.
    """
    table = schema.studies
    query = sa.select(table.c.revision).where(table.c.id == study_id)
    found = tx.scalar(query.where(*only_seen(tx, table.c.id)))
    if found is None:
        raise NotFound(f"there is no study {study_id}")
    return int(found)
